// Times: spans that grow, and moments in the reader's own zone and language.
const lang = document.documentElement.lang || "en";
const relative = new Intl.RelativeTimeFormat(lang, { numeric: "auto", style: "short" });
const written = (date, dateStyle, timeStyle) => date.toLocaleString(lang, { dateStyle, timeStyle });

const span = (s) => {
  if (s < 60) return Math.floor(s) + " s";
  const m = Math.floor(s / 60) % 60, h = Math.floor(s / 3600);
  return h ? h + " h " + m + " min" : m + " min " + (Math.floor(s) % 60) + " s";
};
const ago = (date) => {
  const s = (Date.now() - date) / 1000;
  if (s < 45) return relative.format(0, "second");
  if (s < 3600) return relative.format(-Math.round(s / 60), "minute");
  if (s < 86400) return relative.format(-Math.round(s / 3600), "hour");
  return written(date, "medium", "short");
};
const set = (el, text) => { if (el.textContent !== text) el.textContent = text; };

/** Writes all times of the page as of now. */
export function tick() {
  for (const el of document.querySelectorAll("[data-since]")) {
    set(el, span(Math.max(0, (Date.now() - new Date(el.dataset.since)) / 1000)));
  }
  for (const el of document.querySelectorAll("time[datetime]")) {
    const date = new Date(el.dateTime);
    if (!el.dataset.full) {
      el.title = written(date, "full", "long");
      el.dataset.full = "1";
    }
    set(el, el.classList.contains("exact") ? written(date, "medium", "medium") : ago(date));
  }
}

/** Keeps times as they should be. */
export function startTimes() {
  tick();
  setInterval(() => { if (!document.hidden) tick(); }, 1000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) tick(); });
}
