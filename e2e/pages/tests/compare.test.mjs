// Two runs side by side.
import { assert, serious, suite } from "../lib/suite.mjs";

const prepare = async (t) => {
  t.good = await t.server.execute("report.ipynb", { region: "south" });
  t.bad = await t.server.execute("report.ipynb", { region: "north", fail: true });
};

suite("comparing runs", { prepare, prefix: "/nes" }, (t) => {
  t.test("one click from a failed run to what changed since its last success", async ({ open, good, bad }) => {
    const page = await open("/runs/" + bad.id);
    await page.getByRole("link", { name: "Compare with its last success" }).click();
    await page.waitForURL("**/compare/" + good.id + "/" + bad.id);
    const parameters = page.locator("section", { has: page.getByRole("heading", { name: "Parameters" }) });
    assert.match(await parameters.innerText(), /region\s+"south"\s+"north"/);
    const printed = page.locator(".twin", { hasText: "rows of" });
    assert.equal(await printed.locator(".words del").first().innerText(), "80");
    assert.equal(await printed.locator(".words ins").first().innerText(), "120");
    const pictures = page.locator(".twin .pair", { has: page.locator("img") });
    await pictures.scrollIntoViewIfNeeded();
    await page.waitForFunction(() => [...document.querySelectorAll(".twin img")].every((img) => img.complete && img.naturalWidth === 240));
    const [left, right] = await pictures.locator("img").evaluateAll((list) => list.map((img) => img.getBoundingClientRect().x));
    assert.ok(left < right, "images stand side by side");
    assert.equal(await page.getByText("What was sold").count(), 0, "only changes");
    await page.getByRole("link", { name: "Show everything" }).first().click();
    await page.getByText("What was sold").waitFor();
    await page.getByRole("link", { name: "Only changes" }).click();
    await page.getByRole("link", { name: "Swap" }).click();
    await page.waitForURL("**/compare/" + bad.id + "/" + good.id);
    assert.equal(await page.locator(".twin", { hasText: "rows of" }).locator(".words del").first().innerText(), "120");
  });

  t.test("axe finds nothing serious, and it reads in a narrow window", async ({ open, good, bad }) => {
    for (const options of [{ colorScheme: "light" }, { colorScheme: "dark", viewport: { width: 390, height: 800 } }]) {
      const page = await open("/compare/" + good.id + "/" + bad.id + "?all=1", { ...options, bypassCSP: true });
      assert.deepEqual(await serious(page), []);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing is beyond the edge");
    }
  });
});
