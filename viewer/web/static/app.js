// The one script of the application. Pages can be read without it; it follows what changes.
"use strict";
(() => {
  const base = document.body.dataset.base;
  const parser = new DOMParser();
  const parse = (text) => parser.parseFromString(text, "text/html");
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

  // Times: spans that grow, and moments in the reader's own zone.
  const span = (s) => {
    if (s < 60) return Math.floor(s) + " s";
    const m = Math.floor(s / 60) % 60, h = Math.floor(s / 3600);
    return h ? h + " h " + m + " min" : m + " min " + (Math.floor(s) % 60) + " s";
  };
  const ago = (date) => {
    const s = (Date.now() - date) / 1000;
    if (s < 45) return "just now";
    if (s < 3600) return Math.round(s / 60) + " min ago";
    if (s < 86400) return Math.round(s / 3600) + " h ago";
    return date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  };
  const set = (el, text) => { if (el.textContent !== text) el.textContent = text; };
  const tick = () => {
    for (const el of document.querySelectorAll("[data-since]")) {
      set(el, span(Math.max(0, (Date.now() - new Date(el.dataset.since)) / 1000)));
    }
    for (const el of document.querySelectorAll("time[datetime]")) {
      const date = new Date(el.dateTime);
      el.title = date.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" });
      set(el, el.classList.contains("exact") ? date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" }) : ago(date));
    }
  };
  tick();
  setInterval(tick, 1000);

  // follow asks again and again; a fault makes the pauses longer, a hidden page makes none.
  const follow = async (ask) => {
    let wait = 500;
    for (;;) {
      try {
        const more = await ask();
        if (!more) return;
        wait = 500;
        await sleep(150);
      } catch {
        await sleep(wait * (0.75 + Math.random() / 2));
        wait = Math.min(wait * 2, 30000);
      }
      while (document.hidden) {
        await new Promise((shown) => document.addEventListener("visibilitychange", shown, { once: true }));
      }
    }
  };
  const get = async (url) => {
    const answer = await fetch(url, { headers: { Accept: "text/html" }, cache: "no-store" });
    if (answer.status === 204) return null;
    if (!answer.ok) throw new Error(answer.status);
    return parse(await answer.text());
  };

  // keepPlace changes the page without moving what the reader looks at.
  const keepPlace = (change) => {
    const atEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 40 && scrollY > 0;
    const seen = [...document.querySelectorAll(".cell")].find((el) => el.getBoundingClientRect().bottom > 80);
    const before = seen && seen.getBoundingClientRect().top;
    const id = seen && seen.id;
    change();
    const now = id && document.getElementById(id);
    if (atEnd) scrollTo(scrollX, document.documentElement.scrollHeight);
    else if (now && scrollY > 0) scrollBy(0, now.getBoundingClientRect().top - before);
  };

  // swap replaces an element by its newer form and keeps which of its folds are open.
  const swap = (old, fresh) => {
    const open = [...old.querySelectorAll("details")].map((d) => d.open);
    fresh = document.adoptNode(fresh);
    fresh.querySelectorAll("details").forEach((d, i) => { if (i in open) d.open = open[i]; });
    old.replaceWith(fresh);
  };

  const run = document.querySelector("main.run");
  const apply = (changes) => {
    for (const fresh of [...changes.querySelectorAll("section[id^='part-']")]) {
      const old = document.getElementById(fresh.id);
      if (old && old.dataset.v !== fresh.dataset.v && !old.contains(document.activeElement)) swap(old, fresh);
      else if (old && old.dataset.v !== fresh.dataset.v) { old.innerHTML = fresh.innerHTML; old.dataset.v = fresh.dataset.v; }
    }
    const cells = document.getElementById("cells");
    cells.querySelectorAll(":scope > .absent, :scope > .problem").forEach((el) => el.remove());
    cells.prepend(...[...changes.querySelectorAll(":scope > .problem, :scope > .absent")].map((el) => document.adoptNode(el)));
    for (const fresh of [...changes.querySelectorAll(":scope > article.cell")]) {
      const old = document.getElementById(fresh.id);
      if (old) swap(old, fresh);
      else cells.append(document.adoptNode(fresh));
    }
    const total = Number(changes.dataset.total);
    for (const el of [...cells.querySelectorAll(":scope > article.cell")]) {
      if (Number(el.dataset.cell) >= total) el.remove();
    }
  };
  const followRun = () => follow(async () => {
    const q = new URLSearchParams({ since: run.dataset.gen, state: run.dataset.state });
    if (run.dataset.attempt) q.set("attempt", run.dataset.attempt);
    const page = await get(base + "/runs/" + run.dataset.run + "/cells?" + q);
    if (page) {
      const changes = page.getElementById("changes");
      if (!changes) throw new Error("not an answer");
      keepPlace(() => apply(changes));
      if (changes.dataset.ended !== run.dataset.ended) {
        document.getElementById("announce").textContent = changes.dataset.say;
      }
      document.title = changes.dataset.title;
      Object.assign(run.dataset, { gen: changes.dataset.gen, state: changes.dataset.state, ended: changes.dataset.ended });
      tick();
    }
    return run.dataset.ended !== "true";
  });
  if (run && run.dataset.ended !== "true") followRun();

  const runs = document.getElementById("runs");
  if (runs && runs.dataset.live) {
    follow(async () => {
      const shown = runs.querySelector("[data-version]");
      const page = await get(runs.dataset.live + "&version=" + (shown ? shown.dataset.version : ""));
      if (page && page.querySelector("[data-version]")) {
        runs.replaceChildren(...[...page.body.childNodes].map((n) => document.adoptNode(n)));
        tick();
      }
      return true;
    });
  }

  const log = document.querySelector("main.log");
  if (log && log.dataset.ended !== "true") {
    follow(async () => {
      const last = document.querySelector("#log .piece:last-child");
      const page = await get(log.dataset.log + "&part=text&cursor=" + last.dataset.next);
      const piece = page && page.querySelector(".piece");
      if (piece && piece.dataset.next !== last.dataset.next) {
        document.querySelectorAll("#log .absent, #log .more").forEach((el) => el.remove());
        const atEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 40;
        document.getElementById("log").append(document.adoptNode(piece));
        if (atEnd) scrollTo(0, document.documentElement.scrollHeight);
      } else {
        await sleep(1000);
      }
      return !piece || piece.dataset.ended !== "true";
    });
  }

  // Buttons that change something.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-post]");
    if (!button || (button.dataset.ask && !confirm(button.dataset.ask))) return;
    button.disabled = true;
    try {
      const answer = await fetch(button.dataset.post, {
        method: "POST", headers: { "Content-Type": "application/json", Accept: "application/json" }, body: "{}",
      });
      const body = await answer.json();
      if (!answer.ok) throw new Error(body.detail || body.title || "The server answered " + answer.status);
      if (button.dataset.go) location.assign(button.dataset.go + encodeURIComponent(body.id));
    } catch (err) {
      button.disabled = false;
      alert(err.message);
    }
  });
})();
