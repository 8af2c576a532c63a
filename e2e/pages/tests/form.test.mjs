// The form of a new run: made of the parameters cell, checked, sent, and shown as commands.
import { assert, serious, suite, until } from "../lib/suite.mjs";
import { code, notebook, parameters, standard } from "../lib/notebooks.mjs";

const everything = notebook([
  parameters(`from datetime import date
region = "seoul"        # where from [choices: seoul, busan]
days: int = 7           # how far back [range: 1..90]
share = 0.5
name = "한국어 'x'"
day: date = "2024-01-31"
full = False
limits = [1, 2]
top: int | None = 3
big = 1`),
  code("import nes\nnes.result({k: v for k, v in globals().items() if k in ('region', 'days', 'share', 'name', 'full', 'limits', 'top', 'big')})"),
]);
const notebooks = { ...standard, "every thing.ipynb": everything };

suite("the form of a new run", { notebooks }, (t) => {
  const path = () => "/new?url=" + encodeURIComponent(t.server.repository.address("every thing.ipynb"));

  t.test("an address gives the form, by keyboard alone", async ({ open, server }) => {
    const page = await open("/new");
    await page.locator("#url").focus();
    await page.keyboard.type(server.repository.address("every thing.ipynb"));
    await page.keyboard.press("Enter");
    await page.locator("#p-region").waitFor();
    assert.equal(await page.locator("#p-days").inputValue(), "7");
    assert.equal(await page.locator("#p-name").inputValue(), "한국어 'x'");
    assert.deepEqual(await serious(page), []);
  });

  t.test("what is not changed is not sent, and what is arrives as given", async ({ open, server }) => {
    const page = await open(path());
    await page.locator("#p-region").selectOption({ label: "busan" });
    await page.locator("#p-days").fill("30");
    await page.locator("#p-name").fill('a "b" \\ c');
    await page.locator("#p-limits").fill('[3, {"a": null}]');
    await page.locator("#p-big").fill("12345678901234567890123");
    await page.locator("[data-null=top]").check();
    await page.locator("form.edit [type=submit]").click();
    await page.waitForURL(/\/runs\/[0-9a-f-]{36}$/);
    const id = page.url().split("/").pop();
    const run = await server.wait({ id });
    assert.equal(run.status, "Succeeded", run.message);
    assert.deepEqual(Object.keys(run.parameters).sort(), ["big", "days", "limits", "name", "region", "top"]);
    const answer = await (await fetch(server.url + "/v1/runs/" + id + "/result")).text();
    assert.match(answer, /12345678901234567890123/);
    const { big, ...rest } = JSON.parse(answer);
    assert.deepEqual(rest, { region: "busan", days: 30, share: 0.5, name: 'a "b" \\ c', full: false, limits: [3, { a: null }], top: null });
  });

  t.test("the commands follow the form, and the command runs", async ({ open }) => {
    const page = await open(path());
    const curl = page.locator(".recipe").first().locator("pre");
    await page.locator("#p-days").fill("12");
    await until(async () => /"days":\s*12/.test(await curl.innerText()), "days in the command");
    assert.match(await page.locator(".recipe").nth(1).locator("pre").innerText(), /nes run .*-p days 12/s);
    await page.locator("#p-days").fill("7");
    await until(async () => !/days/.test(await curl.innerText()), "the default to go");
  });

  t.test("the browser checks before anything is sent", async ({ open, server }) => {
    const before = (await server.api("/v1/runs?limit=200")).runs.length;
    const page = await open(path());
    await page.locator("#p-days").fill("91");
    await page.locator("form.edit [type=submit]").click();
    assert.equal(await page.locator("#p-days").evaluate((el) => el.validity.rangeOverflow), true);
    assert.equal((await server.api("/v1/runs?limit=200")).runs.length, before);
  });

  t.test("what only the server finds stands beside its field", async ({ open }) => {
    const page = await open(path(), { refused: [422] });
    await page.locator("#p-limits").fill("not a list");
    await page.locator("form.edit [type=submit]").click();
    const says = page.locator("tr:has(#p-limits) .problem");
    await says.waitFor();
    assert.match(await says.innerText(), /does not fit: the notebook declares/);
  });

  t.test("an address that leads nowhere can be mended in place", async ({ open, server }) => {
    const page = await open("/new?url=" + encodeURIComponent(server.repository.address("evry thing.ipynb")), { status: 422 });
    assert.match(await page.locator(".ask .problem").innerText(), /there is no evry thing\.ipynb .*nearest: every thing\.ipynb/);
    assert.match(await page.locator("#url").inputValue(), /evry thing/);
  });
});

suite("the form below a prefix, with sign-in", { prefix: "/nes", token: "correct-horse-battery-staple", notebooks }, (t) => {
  t.test("it runs", async ({ open, server }) => {
    const page = await open("/new?url=" + encodeURIComponent(server.repository.address("every thing.ipynb")));
    assert.match(await page.locator(".recipe").first().innerText(), /Authorization: Bearer \$NES_TOKEN/);
    await page.locator("form.edit [type=submit]").click();
    await page.waitForURL(/\/nes\/runs\/[0-9a-f-]{36}$/);
  });
});
