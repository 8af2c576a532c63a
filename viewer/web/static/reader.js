// How the reader wants to see a notebook: switches, which the address keeps, and keys.

const main = document.querySelector("main[data-view]");
const header = () => document.querySelector(".top").getBoundingClientRect().bottom;

// put writes a switch into the address, without what is by default.
const put = (key, value) => {
  const url = new URL(location);
  if (value === "") url.searchParams.delete(key);
  else url.searchParams.set(key, value);
  history.replaceState(null, "", url);
  const follow = new URLSearchParams(main.dataset.follow);
  if (value === "") follow.delete(key);
  else follow.set(key, value);
  main.dataset.follow = follow;
};

const mark = (link, on) => {
  if (on) link.setAttribute("aria-current", "true");
  else link.removeAttribute("aria-current");
};

const turn = (link) => {
  const { key, value } = link.dataset;
  if (key === "view") {
    main.dataset.view = value;
    for (const other of link.parentElement.querySelectorAll("a")) mark(other, other === link);
    put(key, value === "code" ? "" : value);
    document.querySelectorAll("details.hidden").forEach((d) => { d.open = value === "everything"; });
    return;
  }
  const on = !link.hasAttribute("aria-current");
  mark(link, on);
  if (key === "contents") {
    main.classList.toggle("plain", !on);
    put(key, on ? "" : "0");
  } else {
    main.classList.toggle(key, on);
    put(key, on ? "1" : "");
  }
};

const visible = (el) => el.getClientRects().length > 0;
const cells = (selector) => [...document.querySelectorAll("#cells > .cell" + selector)].filter(visible);

const here = () => document.querySelector(".cell.here");
const go = (cell) => {
  if (!cell) return;
  if (here()) here().classList.remove("here");
  cell.classList.add("here");
  cell.tabIndex = -1;
  cell.focus({ preventScroll: true });
  cell.scrollIntoView({ block: "start" });
};

// step goes to the next or previous cell of a kind, from the one that was gone to, else from what is on the screen.
const step = (selector, by) => {
  const list = cells(selector), edge = header();
  const from = here();
  const place = (el) => from ? (from.compareDocumentPosition(el) & Node.DOCUMENT_POSITION_FOLLOWING ? 1 : el === from ? 0 : -1)
    : Math.sign(Math.round(el.getBoundingClientRect().top - edge - 8)) || 0;
  if (by > 0) go(list.find((el) => place(el) > 0));
  else go(list.reverse().find((el) => place(el) < 0));
};

const keys = () => {
  const dialog = document.getElementById("keys");
  if (dialog.open) dialog.close();
  else dialog.showModal();
};

const press = {
  j: () => step("", 1),
  k: () => step("", -1),
  e: () => step(".failed", 1),
  E: () => step(".failed", -1),
  t: () => { const link = document.querySelector(".switches [data-key=contents]"); if (link) turn(link); },
  "?": keys,
};

/** Makes switches and keys work on a page with a notebook. */
export function startReader() {
  if (!main) return;
  document.querySelectorAll("[data-keys]").forEach((b) => { b.hidden = false; });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-keys]")) return keys();
    const link = event.target.closest(".switches a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    turn(link);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, [contenteditable]")) return;
    if (document.querySelector("dialog[open]") && event.key !== "?") return;
    const act = press[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
