// The form of a new run: reads its fields, shows the same run as commands, and sends it.
import { send, showProblems } from "./buttons.js";

/** What a field says; undefined where it says what it said at first, so that the notebook's default holds. */
const valueOf = (input, nulls) => {
  const text = input.value;
  if (nulls.has(input.dataset.name)) return null;
  const was = input.tagName === "SELECT" ? [...input.options].find((o) => o.defaultSelected)?.value ?? "" : input.defaultValue;
  if (text === was) return undefined;
  switch (input.dataset.kind) {
    case "choice": return text === "" ? undefined : JSON.parse(text);
    case "number": // a number that JavaScript would round goes as text, which the server reads without loss
      return text === "" ? undefined : String(Number(text)) === text ? Number(text) : text;
    case "json":
      if (text.trim() === "") return undefined;
      try { return JSON.parse(text); } catch { return text; }
  }
  return text;
};

const values = (form) => {
  const nulls = new Set([...form.querySelectorAll("[data-null]:checked")].map((box) => box.dataset.null));
  const all = {};
  for (const input of form.querySelectorAll("[data-name]")) {
    const value = valueOf(input, nulls);
    if (value !== undefined) all[input.dataset.name] = value;
  }
  return all;
};

/** Makes the form of a new run work. */
export function startForm() {
  const form = document.querySelector("form[data-submit]");
  if (!form) return;
  const ways = document.getElementById("recipes");
  let asked = 0, later;
  const refresh = async () => {
    const mine = ++asked;
    const query = new URLSearchParams({ url: form.dataset.notebook, parameters: JSON.stringify(values(form)) });
    const answer = await fetch(form.dataset.recipes + "?" + query, { headers: { Accept: "text/html" } });
    if (!answer.ok || mine !== asked) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    ways.replaceChildren(...[...fresh.body.childNodes].map((node) => document.adoptNode(node)));
  };
  form.addEventListener("input", (event) => {
    const box = event.target.dataset.null && form.querySelector("[data-name='" + CSS.escape(event.target.dataset.null) + "']");
    if (box) box.disabled = event.target.checked;
    clearTimeout(later);
    later = setTimeout(refresh, 200);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("[type=submit]");
    showProblems(form, null);
    button.disabled = true;
    try {
      const got = await send(form.dataset.submit, { input_url: form.dataset.notebook, parameters: values(form) });
      location.assign(form.dataset.go + encodeURIComponent(got.id));
    } catch (err) {
      button.disabled = false;
      showProblems(form, err);
    }
  });
  refresh(); // a browser that comes back may have kept what was filled in
}
