// What the test files have in common: one server and one browser for all tests of a suite.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import * as browsers from "./browser.mjs";
import * as servers from "./server.mjs";

const missing = servers.missing() || browsers.missing();
if (missing && process.env.CI) throw new Error(missing);

/**
 * Declares a suite on a server with options (see Server.start). body gets t: t.server, t.open(path, options) for a page that is
 * closed with its test and must have done nothing wrong, and t.test(name, f).
 */
export function suite(name, options, body) {
  describe(name, { skip: missing || false }, () => {
    const t = {};
    before(async () => {
      t.server = await servers.Server.start(options);
      t.browser = await browsers.Browser.start();
      if (options.prepare) await options.prepare(t);
    });
    after(async () => {
      await t.browser?.stop();
      await t.server?.stop();
    });
    t.test = (what, f) => test(what, { timeout: 120_000 }, async () => {
      const pages = [];
      t.open = async (path, more) => {
        const page = await t.browser.open(t.server, path, more);
        pages.push(page);
        return page;
      };
      try {
        await f(t);
        for (const page of pages) assert.deepEqual(page.faults, [], page.url());
      } finally {
        for (const page of pages) await page.closeAll();
      }
    });
    body(t);
  });
}

export { assert };
export { serious } from "./browser.mjs";
export { until } from "./server.mjs";
