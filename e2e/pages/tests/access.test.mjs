// Signing in: off, and on.
import { assert, suite } from "../lib/suite.mjs";

const token = "correct-horse-battery-staple";

suite("without sign-in", {}, (t) => {
  t.test("the list is there", async ({ open }) => {
    const page = await open("/");
    assert.match(await page.locator("main").innerText(), /No runs here yet/);
  });
  t.test("a page that is not there says so", async ({ open }) => {
    const page = await open("/nowhere", { status: 404 });
    assert.equal(await page.locator("h1").innerText(), "Not found");
  });
});

suite("with sign-in", { token }, (t) => {
  t.test("a browser that signs in sees the list", async ({ open }) => {
    assert.match(await (await open("/")).locator("main").innerText(), /No runs here yet/);
  });
  t.test("one that does not is asked to", async ({ server }) => {
    const answer = await fetch(server.url + "/");
    assert.equal(answer.status, 401);
    assert.match(answer.headers.get("www-authenticate"), /Basic/);
  });
});
