// Reading a notebook: switches, keys, search, menus, forms.
import { assert, serious, suite } from "../lib/suite.mjs";

const prepare = async (t) => {
  t.good = await t.server.execute("report.ipynb", { region: "south" });
  t.bad = await t.server.execute("report.ipynb", { region: "south", fail: true }, { group: "nightly", labels: { team: "growth" } });
  assert.equal(t.good.status, "Succeeded", JSON.stringify(t.good));
  assert.equal(t.bad.reason, "CellError", JSON.stringify(t.bad));
};
const shown = (page, text) => page.locator("#cells .outputs", { hasText: text });

suite("reading a run", { prepare }, (t) => {
  t.test("code, report and everything, kept in the address", async ({ open, good }) => {
    const page = await open("/runs/" + good.id);
    const at = (name) => page.locator(".switches a", { hasText: name }).click();
    assert.equal(await shown(page, "a secret of the kitchen").isVisible(), false, "remove-cell");
    assert.ok(await page.locator(".source", { hasText: "print(f" }).first().isVisible());
    await at("Report");
    assert.equal(new URL(page.url()).search, "?view=report");
    assert.equal(await page.locator(".source:visible").count(), 0, "a report has no code");
    assert.ok(await shown(page, "80 rows of south").isVisible());
    assert.ok(await shown(page, "only the output counts").isVisible());
    await page.reload();
    assert.equal(await page.locator(".source:visible").count(), 0, "also when it is opened by its address");
    await at("Everything");
    assert.ok(await shown(page, "a secret of the kitchen").isVisible());
    assert.ok(await page.locator(".source", { hasText: "import nes" }).isVisible(), "folds are open");
    await at("Code");
    assert.equal(new URL(page.url()).search, "");
  });

  t.test("the switches work without script too", async ({ open, good }) => {
    const page = await open("/runs/" + good.id, { javaScriptEnabled: false });
    await page.locator(".switches a", { hasText: "Everything" }).click();
    assert.ok(await page.locator(".source", { hasText: "import nes" }).isVisible());
    assert.ok(await shown(page, "a secret of the kitchen").isVisible());
    await page.locator(".switches a", { hasText: "Wrap" }).click();
    assert.equal(new URL(page.url()).search, "?view=everything&wrap=1");
  });

  t.test("keys go from cell to cell, to errors, and to the contents", async ({ open, bad }) => {
    const page = await open("/runs/" + bad.id);
    const here = () => page.evaluate(() => document.querySelector(".cell.here")?.id);
    await page.keyboard.press("j");
    const first = await here();
    await page.keyboard.press("j");
    const second = await here();
    assert.notEqual(first, second);
    await page.keyboard.press("k");
    assert.equal(await here(), first);
    await page.keyboard.press("e");
    assert.equal(await here(), await page.evaluate(() => document.querySelector(".cell.failed").id));
    const top = await page.locator(".cell.here").evaluate((el) => el.getBoundingClientRect().top);
    assert.ok(top >= 0 && top < 400, "it is in sight: " + top);
    assert.ok(await page.locator(".contents").isVisible());
    await page.keyboard.press("t");
    assert.equal(await page.locator(".contents").isVisible(), false);
    assert.equal(new URL(page.url()).searchParams.get("contents"), "0");
    await page.keyboard.press("?");
    assert.ok(await page.locator("dialog#keys").isVisible());
    await page.keyboard.press("Escape");
    assert.equal(await page.locator("dialog#keys").isVisible(), false);
  });

  t.test("the address of a cell leads to it", async ({ open, bad }) => {
    const page = await open("/runs/" + bad.id);
    await page.getByRole("link", { name: /Jump to the failed cell/ }).click();
    const id = new URL(page.url()).hash.slice(1);
    assert.match(await page.locator("#" + id).getAttribute("class"), /failed/);
    const again = await open("/runs/" + bad.id + "#" + id);
    await again.waitForFunction((el) => { const r = document.getElementById(el).getBoundingClientRect(); return r.top >= 0 && r.top < innerHeight; }, id);
  });

  t.test("/ searches in the page, also where code is highlighted and folded", async ({ open, good }) => {
    const page = await open("/runs/" + good.id);
    await page.keyboard.press("/");
    await page.locator("#finder input").fill("get(region, 10)");
    assert.equal(await page.locator("#finder .num").innerText(), "1 / 1");
    assert.ok(await page.locator(".source", { hasText: "import nes" }).isVisible(), "the fold is open");
    await page.locator("#finder input").fill("rows");
    const [, all] = (await page.locator("#finder .num").innerText()).split(" / ").map(Number);
    assert.ok(all > 3);
    await page.keyboard.press("Enter");
    assert.equal(await page.locator("#finder .num").innerText(), "2 / " + all);
    assert.equal(await page.evaluate(() => CSS.highlights.get("found").size), all);
    await page.keyboard.press("Escape");
    assert.equal(await page.locator("#finder").isVisible(), false);
  });

  t.test("a command is copied, and a menu closes by itself", async ({ open, good }) => {
    const page = await open("/runs/" + good.id, { permissions: ["clipboard-read", "clipboard-write"] });
    await page.locator(".menu summary", { hasText: "Copy as" }).click();
    await page.locator("figure", { hasText: "Airflow" }).getByRole("button", { name: "Copy" }).click();
    await page.locator("button.done").waitFor();
    const text = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(text, /^NesOperator\(\n {4}task_id="report",/);
    await page.locator(".summary").click();
    assert.equal(await page.locator(".menu[open]").count(), 0);
  });

  t.test("edit and run: what is wrong is said at the field, what is right runs", async ({ server, open, good }) => {
    const page = await open("/runs/" + good.id);
    await page.locator(".menu summary", { hasText: "Run …" }).click();
    await page.getByRole("link", { name: "Edit and run" }).click();
    const region = page.getByLabel("region");
    assert.equal(await region.inputValue(), '"south"');
    await region.fill("east");
    await page.locator("form.edit button[type=submit]").click();
    await page.waitForURL(/\/runs\/[0-9a-f-]+$/);
    const id = page.url().split("/").pop();
    assert.notEqual(id, good.id);
    const run = await server.wait({ id });
    assert.deepEqual(run.parameters, { region: "east" });
    assert.equal(run.parent, good.id);
    await page.getByText("95 rows of east").first().waitFor();
    assert.match(await page.locator(".params tr", { hasText: "region" }).innerText(), /was "south" in the run before/);
  });

  t.test("a cancel is asked for once more, and keeps what was written", async ({ server, open }) => {
    const gate = server.gate();
    const run = await server.submit("live.ipynb", { gate: gate.dir });
    const page = await open("/runs/" + run.id);
    await page.locator(".outputs", { hasText: "hello world" }).waitFor();
    page.removeAllListeners("dialog");
    page.once("dialog", (d) => d.accept());
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.locator(".badge", { hasText: "Cancelled" }).first().waitFor();
    assert.ok(await page.locator(".outputs", { hasText: "hello world" }).isVisible());
    assert.match(await page.locator("link[rel=icon]").getAttribute("href"), /icon-cancelled\.svg$/);
  });

  t.test("axe finds nothing serious, in light and dark, wide and narrow", async ({ open, good, bad }) => {
    for (const colorScheme of ["light", "dark"]) {
      for (const path of ["/", "/runs/" + good.id, "/runs/" + bad.id, "/runs/" + good.id + "/again", "/runs/" + good.id + "/log", "/nowhere"]) {
        const page = await open(path, { colorScheme, bypassCSP: true, status: path === "/nowhere" ? 404 : 200, ...(colorScheme === "dark" ? { viewport: { width: 390, height: 800 } } : {}) });
        assert.deepEqual(await serious(page), [], path + " in " + colorScheme);
      }
    }
  });

  t.test("in Korean", async ({ open, bad }) => {
    const page = await open("/runs/" + bad.id, { locale: "ko-KR" });
    assert.equal(await page.locator("html").getAttribute("lang"), "ko");
    assert.match(await page.locator(".verdict").innerText(), /셀에서 오류가 났습니다/);
    assert.match(await page.locator(".summary time").innerText(), /전|방금|지금/);
  });
});
