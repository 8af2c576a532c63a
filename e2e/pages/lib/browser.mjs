// A real Chromium, and what every page of ours has to keep to.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const executablePath = process.env.NES_CHROMIUM || "/usr/bin/chromium";
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Why there can be no browser on this machine; undefined where there can. */
export function missing() {
  if (!existsSync(executablePath)) return "there is no Chromium at " + executablePath + ": install Debian's chromium, or set NES_CHROMIUM";
}

/** A browser that keeps notes of what its pages should not do. */
export class Browser {
  static async start() {
    const b = new Browser();
    b.home = mkdtempSync(join(tmpdir(), "nes-chromium-"));
    b.chromium = await chromium.launch({
      executablePath, headless: true, env: { ...process.env, HOME: b.home, XDG_CONFIG_HOME: b.home, XDG_CACHE_HOME: b.home },
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    });
    return b;
  }
  async stop() {
    await this.chromium.close();
    rmSync(this.home, { recursive: true, force: true, maxRetries: 5 });
  }

  /**
   * Opens a page of a server. Options are Playwright's for a context, and status, which the page must have.
   * page.faults lists what was wrong: errors, refused scripts and styles, calls to other hosts, dialogs.
   */
  async open(server, path, { status = 200, ...options } = {}) {
    const context = await this.chromium.newContext({
      locale: "en-GB", ...(server.token ? { httpCredentials: { username: "ada", password: server.token } } : {}), ...options,
    });
    const page = await context.newPage();
    page.faults = [];
    page.on("pageerror", (e) => page.faults.push("script: " + e));
    page.on("console", (m) => { if (m.type() === "error" && !/Failed to load resource/.test(m.text())) page.faults.push("console: " + m.text()); });
    page.on("request", (r) => { if (!r.url().startsWith(new URL(server.url).origin) && !/^(data|blob|about):/.test(r.url())) page.faults.push("foreign: " + r.url()); });
    page.on("dialog", (d) => { page.faults.push("dialog: " + d.message()); d.dismiss(); });
    const answer = await page.goto(server.url + path);
    assert.equal(answer.status(), status, path);
    page.closeAll = () => context.close();
    return page;
  }
}

/** Lists what axe-core finds serious or critical in a page. */
export async function serious(page) {
  const results = await page.evaluate(async (source) => {
    // The page's policy refuses scripts in it, not the browser's own evaluation of this one.
    (0, eval)(source);
    return globalThis.axe.run(document, { resultTypes: ["violations"] });
  }, axe).catch(async (err) => { throw new Error("axe: " + err.message); });
  return results.violations.filter((v) => ["serious", "critical"].includes(v.impact))
    .map((v) => v.id + ": " + v.nodes.slice(0, 4).map((n) => n.target.join(" ") + " (" + (n.any[0]?.message || v.help) + ")").join("; "));
}
