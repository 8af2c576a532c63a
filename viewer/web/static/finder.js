// Search in the page, which marks every place and opens the folds that hold one.

const finder = document.getElementById("finder");
let found = [], at = -1;

const clear = () => {
  found = [];
  at = -1;
  if (CSS.highlights) CSS.highlights.clear();
};

// places lists where the text is, as ranges, in parts of the page that can be read.
const places = (text) => {
  const wanted = text.toLowerCase(), list = [];
  const walker = document.createTreeWalker(document.getElementById("main"), NodeFilter.SHOW_TEXT, {
    acceptNode: (n) => n.parentElement.closest("#cells, .side") && n.parentElement.closest(".cell, section, aside").getClientRects().length
      ? NodeFilter.FILTER_ACCEPT : NodeFilter.FILTER_REJECT,
  });
  // Highlighted code is many small texts: a line is put together before it is looked at.
  let nodes = [], whole = "", block = null;
  const look = () => {
    const lower = whole.toLowerCase();
    for (let i = lower.indexOf(wanted); i >= 0 && list.length < 5000; i = lower.indexOf(wanted, i + wanted.length)) {
      const range = document.createRange();
      let from = 0;
      for (const n of nodes) {
        const to = from + n.length;
        if (i >= from && i < to) range.setStart(n, i - from);
        if (i + wanted.length > from && i + wanted.length <= to) { range.setEnd(n, i + wanted.length - from); break; }
        from = to;
      }
      list.push(range);
    }
    nodes = [];
    whole = "";
  };
  for (let n = walker.nextNode(); n; n = walker.nextNode()) {
    const own = n.parentElement.closest("pre, p, li, td, th, dd, dt, h1, h2, h3, h4, a, div, summary");
    if (own !== block) look();
    block = own;
    nodes.push(n);
    whole += n.data;
  }
  look();
  return list;
};

const show = (step) => {
  const count = finder.querySelector(".num");
  if (!found.length) {
    count.textContent = finder.querySelector("input").value ? "0" : "";
    return;
  }
  at = (at + step + found.length) % found.length;
  const range = found[at];
  for (let d = range.startContainer.parentElement.closest("details"); d; d = d.parentElement.closest("details")) d.open = true;
  if (CSS.highlights) {
    CSS.highlights.set("found", new Highlight(...found));
    CSS.highlights.set("found-here", new Highlight(range));
  }
  range.startContainer.parentElement.scrollIntoView({ block: "center" });
  count.textContent = at + 1 + " / " + found.length;
};

const open = () => {
  finder.hidden = false;
  finder.querySelector("input").select();
  finder.querySelector("input").focus();
};
const close = () => {
  finder.hidden = true;
  clear();
};

/** Makes "/" search in the page. */
export function startFinder() {
  if (!finder) return;
  const input = finder.querySelector("input");
  input.addEventListener("input", () => {
    clear();
    if (input.value.trim()) found = places(input.value);
    show(1);
  });
  finder.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    if (event.key === "Enter") show(event.shiftKey ? -1 : 1);
  });
  finder.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button && button.dataset.step === "0") close();
    else if (button) show(Number(button.dataset.step));
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
    event.preventDefault();
    open();
  });
}
