// Finding the run that matters: lists, filters, histories, groups, search, stable addresses.
import { assert, serious, suite, until } from "../lib/suite.mjs";

const prepare = async (t) => {
  t.runs = [];
  for (const [region, year] of [["north", 2024], ["south", 2025], ["north", 2026]]) {
    t.runs.push(await t.server.execute("report.ipynb", { region, year }, { group: "regions", labels: { team: "growth" } }));
  }
  t.failed = await t.server.execute("report.ipynb", { fail: true });
};

for (const [name, options] of Object.entries({ "finding runs": { prepare }, "finding runs, below a prefix": { prepare, prefix: "/nes" } })) {
  suite(name, options, (t) => {
    t.test("the form of filters makes an address, and each filter can be taken out", async ({ server, open, runs }) => {
      const page = await open("/");
      assert.equal(await page.locator("#runs tbody tr").count(), 4);
      await page.locator(".filters summary").click();
      await page.getByLabel("Parameter").fill("region=north");
      await page.getByLabel("Label", { exact: true }).fill("team=growth");
      await page.getByRole("button", { name: "Show" }).click();
      await page.waitForURL(/parameter=/);
      assert.equal(new URL(page.url()).search, "?label=team%3Dgrowth&parameter=region%3Dnorth", "what is empty is left out");
      assert.equal(await page.locator("#runs tbody tr").count(), 2);
      await page.locator(".kept .tag", { hasText: "parameter" }).getByRole("link").click();
      await page.waitForURL((url) => !url.search.includes("parameter"));
      assert.equal(await page.locator("#runs tbody tr").count(), 3);
      await page.locator(".tabs a", { hasText: "Failed" }).click();
      await page.getByText("No runs here that match.").waitFor();
    });

    t.test("a list shows a new run by itself", async ({ server, open }) => {
      const page = await open("/?notebook=live.ipynb");
      await page.getByText("No runs here that match.").waitFor();
      const gate = server.gate();
      const run = await server.submit("live.ipynb", { gate: gate.dir });
      await page.locator("#runs .badge", { hasText: "Running" }).waitFor();
      gate.open(1);
      gate.open(2);
      await page.locator("#runs .badge", { hasText: "Succeeded" }).waitFor();
      await server.wait(run);
    });

    t.test("a notebook's history: strip, plot, columns; the newest run and the newest success", async ({ server, open, runs, failed }) => {
      const page = await open("/runs/" + failed.id);
      await page.locator(".crumb a").nth(1).click();
      await page.waitForURL(/\/notebooks\//);
      assert.equal(await page.locator(".history a").count(), 4);
      assert.equal(await page.locator(".chart circle").count(), 3, "a run without the result has no point");
      assert.match(await page.locator(".columns tbody tr", { hasText: "2025" }).innerText(), /south[\s\S]*80/);
      await page.locator(".measures a", { hasText: "Duration" }).click();
      await page.waitForURL(/plot=duration/);
      assert.equal(await page.locator(".chart circle").count(), 4);
      await page.getByRole("link", { name: "Newest success" }).click();
      await page.waitForURL("**/runs/" + runs.at(-1).id);
      await page.goBack();
      await page.getByRole("link", { name: "Newest run" }).click();
      await page.waitForURL("**/runs/" + failed.id);
    });

    t.test("a group has its page, and search finds it, notebooks, and a run by its id", async ({ open, runs }) => {
      const page = await open("/");
      const find = page.getByLabel("Search everything");
      await find.fill("regions");
      await find.press("Enter");
      await page.locator("main").getByRole("link", { name: "regions", exact: true }).click();
      await page.waitForURL(/\/groups\/regions$/);
      assert.match(await page.locator(".tally").innerText(), /3 Succeeded/);
      await find.fill("report");
      await find.press("Enter");
      await page.locator("main").getByRole("link", { name: "report", exact: true }).first().click();
      await page.waitForURL(/\/notebooks\/local\//);
      await find.fill(runs[0].id);
      await find.press("Enter");
      await page.waitForURL("**/runs/" + runs[0].id);
    });

    t.test("axe finds nothing serious, in light and dark", async ({ open, runs }) => {
      const notebook = "/notebooks/" + runs[0].source.repository + "/-/report.ipynb";
      for (const colorScheme of ["light", "dark"]) {
        for (const path of ["/?label=team%3Dgrowth", "/notebooks", notebook, "/groups/regions", "/search?q=report"]) {
          const page = await open(path, { colorScheme, bypassCSP: true, ...(colorScheme === "dark" ? { viewport: { width: 390, height: 800 } } : {}) });
          assert.deepEqual(await serious(page), [], path + " in " + colorScheme);
        }
      }
    });
  });
}
