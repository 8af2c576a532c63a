// What changes while the page is open: a run, a list of runs, a log.
import { tick } from "./times.js";

const base = document.body.dataset.base;
const parser = new DOMParser();
const parse = (text) => parser.parseFromString(text, "text/html");
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const shown = () => new Promise((done) => {
  if (!document.hidden) done();
  else document.addEventListener("visibilitychange", done, { once: true });
});

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
    while (document.hidden) await shown();
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
  if (old.classList.contains("here")) fresh.classList.add("here");
  old.replaceWith(fresh);
};

const run = document.querySelector("main.run");

const apply = (changes) => {
  for (const fresh of [...changes.querySelectorAll("section[id^='part-']")]) {
    const old = document.getElementById(fresh.id);
    if (!old || old.dataset.v === fresh.dataset.v) continue;
    // What somebody is using stays until they are done: the next change brings it.
    if (old.contains(document.activeElement) && old.querySelector("details.menu[open]")) continue;
    swap(old, fresh);
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

const take = (page) => {
  const changes = page.getElementById("changes");
  if (!changes) throw new Error("not an answer");
  keepPlace(() => apply(changes));
  if (changes.dataset.ended !== run.dataset.ended) document.getElementById("announce").textContent = changes.dataset.say;
  if (document.title !== changes.dataset.title) document.title = changes.dataset.title;
  const icon = document.querySelector("link[rel=icon]");
  if (icon.getAttribute("href") !== changes.dataset.icon) icon.setAttribute("href", changes.dataset.icon);
  Object.assign(run.dataset, { gen: changes.dataset.gen, state: changes.dataset.state, ended: changes.dataset.ended });
  tick();
};

const address = (what) => {
  const q = new URLSearchParams(run.dataset.follow);
  q.set("since", run.dataset.gen);
  q.set("state", run.dataset.state);
  return base + "/runs/" + run.dataset.run + "/" + what + "?" + q;
};

// poll asks for changes where a stream does not get through.
const poll = () => follow(async () => {
  const page = await get(address("cells"));
  if (page) take(page);
  return run.dataset.ended !== "true";
});

// stream hears of changes. It is closed while nobody looks; "failed" says that it does not get through.
const stream = () => new Promise((done) => {
  const source = new EventSource(address("stream"));
  let faults = 0;
  const close = (how) => {
    source.close();
    document.removeEventListener("visibilitychange", hidden);
    clearTimeout(leaving);
    done(how);
  };
  let leaving;
  const hidden = () => {
    clearTimeout(leaving);
    if (document.hidden) leaving = setTimeout(() => close("hidden"), 10000);
  };
  document.addEventListener("visibilitychange", hidden);
  source.addEventListener("open", () => { run.dataset.live = "stream"; });
  source.addEventListener("changes", (event) => {
    faults = 0;
    try { take(parse(event.data)); } catch { close("failed"); }
  });
  source.addEventListener("end", () => close("end"));
  source.addEventListener("error", () => {
    if (++faults >= 3 || source.readyState === EventSource.CLOSED) close("failed");
  });
});

/** Follows the run that the page shows until it has ended. */
export async function followRun() {
  if (!run || run.dataset.ended === "true") return;
  for (let failed = 0; failed < 2 && run.dataset.ended !== "true";) {
    const how = await stream();
    if (how === "end") return;
    if (how === "failed") failed++;
    await shown();
  }
  run.dataset.live = "poll";
  if (run.dataset.ended !== "true") poll();
}

/** Follows lists of runs. */
export function followLists() {
  for (const runs of document.querySelectorAll("[data-live-list]")) {
    follow(async () => {
      const now = runs.querySelector("[data-version]");
      const page = await get(runs.dataset.liveList + "&version=" + (now ? now.dataset.version : ""));
      if (page && page.querySelector("[data-version]")) {
        runs.replaceChildren(...[...page.body.childNodes].map((n) => document.adoptNode(n)));
        tick();
      }
      return true;
    });
  }
}

/** Follows a log to its end. */
export function followLog() {
  const log = document.querySelector("main.log");
  if (!log || log.dataset.ended === "true") return;
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
