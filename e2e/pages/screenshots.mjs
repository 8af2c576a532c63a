// Takes pictures of every page, in light, dark and narrow, for the documentation: node screenshots.mjs DIR [NAME...]
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import * as browsers from "./lib/browser.mjs";
import * as servers from "./lib/server.mjs";
import { examples } from "./lib/examples.mjs";

const dir = resolve(process.argv[2] || "docs/images/pages");
const only = process.argv.slice(3);
const missing = servers.missing() || browsers.missing();
if (missing) throw new Error(missing);

const looks = {
  light: { colorScheme: "light", viewport: { width: 1280, height: 860 } },
  dark: { colorScheme: "dark", viewport: { width: 1280, height: 860 } },
  narrow: { colorScheme: "light", viewport: { width: 390, height: 780 } },
};

mkdirSync(dir, { recursive: true });
const world = await examples();
const browser = await browsers.Browser.start();
try {
  for (const [name, shot] of Object.entries(world.pages)) {
    if (only.length && !only.includes(name)) continue;
    for (const [look, options] of Object.entries(looks)) {
      const page = await browser.open(world.server, shot.path, options);
      await page.waitForLoadState("load");
      if (shot.then) await shot.then(page);
      await page.waitForTimeout(300); // pictures settle
      await page.screenshot({ path: join(dir, name + "-" + look + ".png"), animations: "disabled", fullPage: Boolean(shot.full) });
      if (page.faults.length) throw new Error(name + ": " + page.faults.join("; "));
      await page.closeAll();
    }
  }
} finally {
  await browser.stop();
  await world.server.stop();
}
