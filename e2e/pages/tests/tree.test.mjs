// The bucket as a tree, in nes serve and in nes view.
import { assert, serious, suite } from "../lib/suite.mjs";

const prepare = async (t) => { t.run = await t.server.execute("report.ipynb", { region: "south" }); };

for (const [name, options] of Object.entries({ "the tree": { prepare }, "the tree, below a prefix": { prepare, prefix: "/nes" } })) {
  suite(name, options, (t) => {
    t.test("from the root to a run's notebook, by clicks", async ({ open, run }) => {
      const page = await open("/");
      await page.getByRole("link", { name: "Files", exact: true }).click();
      for (let name = page.locator(".folder .name"); !(await page.locator(".folder .nb").count());) {
        const before = page.url();
        const next = page.locator(".folder .dir", { hasText: /^(notebooks|(?!runs|sources).+)\/$/ }).first();
        await next.click();
        await page.waitForURL((url) => String(url) !== before);
      }
      await page.locator(".folder .nb").first().click();
      assert.match(decodeURIComponent(page.url()), new RegExp("/view/notebooks/.*" + run.id + "\\.1\\.ipynb$"));
      await page.locator(".outputs", { hasText: "80 rows of south" }).waitFor();
      await page.locator(".switches a", { hasText: "Report" }).click();
      assert.equal(await page.locator(".source:visible").count(), 0);
      await page.locator("#cells img").scrollIntoViewIfNeeded();
      await page.waitForFunction(() => { const img = document.querySelector("#cells img"); return img.complete && img.naturalWidth === 240; });
      await page.locator(".crumb a").last().click();
      await page.locator(".folder").waitFor();
      assert.deepEqual(await serious(await open(new URL(page.url()).pathname.slice(options.prefix ? 4 : 0), { bypassCSP: true, colorScheme: "dark" })), []);
    });
  });
}
