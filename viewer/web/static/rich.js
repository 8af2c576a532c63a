// Rich outputs: sets mathematics, makes tables sortable, and gives frames their height and their bundles. What is
// not there yet when a page grows is taken up when it comes.
"use strict";
(() => {
  const here = document.currentScript;
  const base = here.src ? here.src.slice(0, here.src.lastIndexOf("/") + 1) : "";

  // A page that stands alone carries its bundles compressed; any other gets them by their address.
  const unpacked = new Map();
  const unpack = (name) => {
    if (!unpacked.has(name)) {
      const el = document.getElementById("bundle-" + name);
      if (!el || typeof DecompressionStream === "undefined") return Promise.reject(new Error("no bundle " + name));
      const bytes = Uint8Array.from(atob(el.textContent.trim()), (c) => c.charCodeAt(0));
      unpacked.set(name, new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text());
    }
    return unpacked.get(name);
  };
  const add = (tag, props) => new Promise((done, failed) => {
    const el = Object.assign(document.createElement(tag), props);
    el.onload = done;
    el.onerror = failed;
    document.head.append(el);
    if (!el.src && !el.href) done();
  });

  // Mathematics.
  let katex = null;
  const loadKatex = () => katex || (katex = base
    ? Promise.all([add("link", { rel: "stylesheet", href: base + "katex.css" }), add("script", { src: base + "katex.js" })])
    : Promise.all([unpack("katex.css").then((text) => add("style", { textContent: text })), unpack("katex.js").then((text) => add("script", { textContent: text }))]));
  const macros = {};
  const pieces = /\$\$([\s\S]+?)\$\$|\\\\\[([\s\S]+?)\\\\\]|\\\[([\s\S]+?)\\\]|(\\begin\{([a-zA-Z]*\*?)\}[\s\S]*?\\end\{\5\})|\$((?:\\[\s\S]|[^$\\])+?)\$|\\\\\(([\s\S]+?)\\\\\)|\\\(([\s\S]+?)\\\)/g;
  const parts = (source, whole) => {
    const out = [];
    let last = 0;
    for (const m of source.matchAll(pieces)) {
      if (m.index > last) out.push({ text: source.slice(last, m.index) });
      const block = m[1] ?? m[2] ?? m[3] ?? m[4];
      out.push({ tex: block ?? m[6] ?? m[7] ?? m[8], block: block !== undefined });
      last = m.index + m[0].length;
    }
    if (!out.length && whole) return [{ tex: source, block: true }];
    if (last < source.length) out.push({ text: source.slice(last) });
    return out;
  };
  const typeset = (el) => {
    const source = el.textContent;
    const done = document.createDocumentFragment();
    try {
      for (const part of parts(source, el.classList.contains("latex"))) {
        if (part.text !== undefined) {
          done.append(part.text);
          continue;
        }
        const span = document.createElement("span");
        window.katex.render(part.tex, span, {
          displayMode: part.block, throwOnError: true, trust: false, strict: "ignore", maxSize: 40, maxExpand: 1000, macros, globalGroup: true,
        });
        done.append(...span.childNodes);
      }
      el.replaceChildren(done);
      el.dataset.set = "";
      el.dataset.tex = source;
    } catch (err) {
      el.classList.add("bad");
      el.dataset.set = "";
      el.title = String(err.message || err);
    }
  };
  const setMath = async (root) => {
    const waiting = [...root.querySelectorAll(".math:not([data-set])")];
    if (!waiting.length) return;
    await loadKatex();
    while (waiting.length) {
      const until = performance.now() + 12;
      while (waiting.length && performance.now() < until) typeset(waiting.shift());
      if (waiting.length) await new Promise((next) => requestAnimationFrame(next));
    }
  };

  // Tables. The rows of a long one are asked for when a reader sorts, filters or turns its pages.
  const perPage = 100;
  const collator = new Intl.Collator(undefined, { numeric: true });
  const number = (text) => (/^\s*[-+]?[\d.,]*\d(e[-+]?\d+)?\s*%?\s*$/i.test(text) ? parseFloat(text.replaceAll(",", "")) : NaN);
  const el = (tag, props, ...children) => {
    const node = Object.assign(document.createElement(tag), props);
    node.append(...children);
    return node;
  };
  const csv = (rows) => rows.map((row) => row.map((v) => (/[",\n]/.test(v) ? '"' + v.replaceAll('"', '""') + '"' : v)).join(",")).join("\r\n");

  const dress = (frame) => {
    const table = frame.querySelector("table"), body = table.tBodies[0], head = table.tHead && table.tHead.rows[0];
    if (!head || !body || body.rows.length < 2) return;
    let rows = null, stub = body.rows[0].querySelectorAll("th").length, shown = null, from = 0, by = -1, down = false;
    const fromPage = () => [...body.rows].map((row) => [...row.cells].map((c) => c.textContent));
    const load = async () => {
      if (rows) return;
      if (!frame.dataset.rows) { rows = fromPage(); return; }
      frame.setAttribute("aria-busy", "true");
      const answer = await fetch(frame.dataset.rows);
      if (!answer.ok) throw new Error("the table could not be loaded");
      const whole = await answer.json();
      rows = whole.rows;
      stub = whole.stub;
      frame.removeAttribute("aria-busy");
      frame.querySelector(".note").replaceChildren(whole.more ? "The table is longer than can be shown here." : "");
    };
    const count = el("span", { className: "count" });
    count.setAttribute("role", "status");
    const filter = el("input", { type: "search", placeholder: "Filter rows" });
    filter.setAttribute("aria-label", "Filter the rows of this table");
    const back = el("button", { type: "button", textContent: "‹ Back" }), on = el("button", { type: "button", textContent: "More ›" });
    const save = el("button", { type: "button", textContent: "CSV" });
    save.title = "Download the rows as CSV";
    const draw = () => {
      const page = shown.slice(from, from + perPage);
      body.replaceChildren(...page.map((row) => {
        const tr = document.createElement("tr");
        row.forEach((text, i) => {
          const cell = document.createElement(i < stub ? "th" : "td");
          if (i < stub) cell.scope = "row";
          cell.textContent = text;
          tr.append(cell);
        });
        return tr;
      }));
      const n = shown.length.toLocaleString();
      count.textContent = shown.length === 0 ? "No row" : shown.length <= perPage ? n + (shown.length === 1 ? " row" : " rows")
        : (from + 1).toLocaleString() + " to " + Math.min(from + perPage, shown.length).toLocaleString() + " of " + n + " rows";
      back.hidden = on.hidden = shown.length <= perPage;
      back.disabled = from === 0;
      on.disabled = from + perPage >= shown.length;
      [...head.cells].forEach((th) => th.removeAttribute("aria-sort"));
      const th = columns[by];
      if (th) th.setAttribute("aria-sort", down ? "descending" : "ascending");
    };
    const arrange = async () => {
      await load();
      const words = filter.value.trim().toLowerCase();
      shown = words ? rows.filter((row) => row.some((text) => text.toLowerCase().includes(words))) : rows.slice();
      if (by >= 0) {
        const keys = new Map(shown.map((row) => [row, number(row[by] ?? "")]));
        const sign = down ? -1 : 1;
        shown.sort((a, b) => {
          const x = keys.get(a), y = keys.get(b);
          if (!Number.isNaN(x) && !Number.isNaN(y)) return sign * (x - y);
          if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
          return sign * collator.compare(a[by] ?? "", b[by] ?? "");
        });
      }
      from = 0;
      draw();
    };
    const guarded = (f) => async () => {
      try { await f(); } catch (err) { count.textContent = err.message; frame.removeAttribute("aria-busy"); }
    };
    const columns = [];
    let at = 0;
    for (const th of head.cells) {
      const column = at;
      at += th.colSpan;
      if (th.colSpan > 1) continue;
      columns[column] = th;
      const button = el("button", { type: "button" }, ...th.childNodes);
      if (!button.textContent.trim()) button.setAttribute("aria-label", "Sort by column " + (column + 1));
      button.addEventListener("click", guarded(() => {
        if (by !== column) { by = column; down = false; } else if (!down) down = true; else by = -1;
        return arrange();
      }));
      th.append(button);
    }
    let pause = 0;
    filter.addEventListener("input", () => { clearTimeout(pause); pause = setTimeout(guarded(arrange), 120); });
    const turn = (step) => guarded(async () => { if (!shown) await arrange(); from = Math.max(0, from + step); draw(); });
    back.addEventListener("click", turn(-perPage));
    on.addEventListener("click", turn(perPage));
    save.addEventListener("click", guarded(async () => {
      await load();
      const names = columns.length ? [[...columns].map((th) => (th ? th.textContent.trim() : ""))] : [];
      const link = el("a", { href: URL.createObjectURL(new Blob([csv([...names, ...(shown || rows)])], { type: "text/csv" })), download: "table.csv" });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    }));
    frame.prepend(el("div", { className: "tools" }, filter, count, back, on, save));
    if (frame.dataset.rows) {
      back.hidden = true;
      count.textContent = "first " + body.rows.length + " rows";
      on.textContent = "More ›";
    } else {
      rows = fromPage();
      shown = rows.slice();
      draw();
    }
  };
  const setTables = (root) => {
    for (const frame of root.querySelectorAll(".frame:not([data-set])")) {
      frame.dataset.set = "";
      dress(frame);
    }
  };

  // Frames tell how tall they are, and ask for the bundle that draws them. What they say is a number or a known name, or nothing.
  const frameOf = (source) => [...document.querySelectorAll("iframe.rich")].find((frame) => frame.contentWindow === source);
  addEventListener("message", (event) => {
    const said = event.data;
    const frame = said && typeof said === "object" && frameOf(event.source);
    if (!frame) return;
    if (Number.isFinite(said.nesHeight)) frame.height = Math.min(Math.max(Math.ceil(said.nesHeight), 40), 2000);
    if (said.nesWants === "plotly" || said.nesWants === "vega") {
      unpack(said.nesWants + "-frame.js").then((text) => event.source.postMessage({ nesBundle: text }, "*"), () => {});
    }
  });

  for (const frame of document.querySelectorAll("iframe.rich")) frame.contentWindow && frame.contentWindow.postMessage({ nesAsk: true }, "*");
  document.addEventListener("toggle", (event) => {
    const frame = event.target.matches("details.script") && event.target.open && event.target.querySelector("iframe[data-src],iframe[data-srcdoc]");
    if (!frame) return;
    if (frame.dataset.src) frame.src = frame.dataset.src;
    else frame.srcdoc = frame.dataset.srcdoc;
    delete frame.dataset.src;
    delete frame.dataset.srcdoc;
  }, true);

  // A link within a notebook to a heading by its words, as notebooks write them.
  const plain = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest(".prose a[href^='#']");
    if (!link) return;
    const name = decodeURIComponent(link.hash.slice(1));
    if (document.getElementById(name)) return;
    const found = [...document.querySelectorAll("[id^='h-']")].find((h) => h.id.replace(/^h-\w+-/, "") === plain(name));
    if (found) {
      event.preventDefault();
      location.hash = found.id;
    }
  });

  const enrich = (root) => {
    setTables(root);
    setMath(root).catch(() => {}); // the source stays
  };
  enrich(document);
  new MutationObserver((changes) => {
    if (changes.some((c) => [...c.addedNodes].some((n) => n.nodeType === 1 && !n.closest(".math,.frame,head") && n.querySelector(".math:not([data-set]),.frame:not([data-set])")))) enrich(document);
  }).observe(document.body, { childList: true, subtree: true });
})();
