// The page of a run while it runs.
import { assert, suite } from "../lib/suite.mjs";

for (const [name, options] of Object.entries({
  "a run's page, live": {},
  "a run's page, live, below a prefix and with sign-in": { prefix: "/apps/nes", token: "correct-horse-battery-staple" },
})) {
  suite(name, options, (t) => {
    t.test("what a cell prints is on the page within a second", async ({ server, open }) => {
      const gate = server.gate();
      const run = await server.submit("live.ipynb", { gate: gate.dir, name: "Ada" });
      const page = await open("/runs/" + run.id);
      const printed = (words) => page.locator(".outputs", { hasText: words });
      await printed("hello Ada").waitFor();
      for (const [n, words] of [[1, "step one"], [2, "step two"]]) {
        assert.equal(await printed(words).count(), 0, "not yet: " + words);
        const from = Date.now();
        gate.open(n);
        await printed(words).waitFor();
        const took = Date.now() - from;
        assert.ok(took < (process.env.NES_SLOW ? 5000 : 1500), words + " took " + took + " ms");
      }
      await page.locator(".badge", { hasText: "Succeeded" }).first().waitFor();
      assert.match(await page.title(), /^live/);
    });
  });
}
