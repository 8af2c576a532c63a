// Buttons and forms that change something, and menus.

export const send = async (url, body) => {
  const answer = await fetch(url, {
    method: "POST", headers: { "Content-Type": "application/json", Accept: "application/json" }, body: JSON.stringify(body),
  });
  const got = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(got.detail || got.title || "The server answered " + answer.status), { problems: got.problems || got.errors || [] });
  return got;
};

const post = async (button) => {
  if (button.dataset.ask && !confirm(button.dataset.ask)) return;
  button.disabled = true;
  try {
    const got = await send(button.dataset.post, JSON.parse(button.dataset.body || "{}"));
    if (button.dataset.go) location.assign(button.dataset.go + encodeURIComponent(got.id));
  } catch (err) {
    button.disabled = false;
    alert(err.message);
  }
};

const copy = async (button) => {
  const text = button.closest("figure").querySelector("pre").textContent;
  await navigator.clipboard.writeText(text);
  button.classList.add("done");
  setTimeout(() => button.classList.remove("done"), 1500);
};

// values reads the form of parameters: what is not JSON is a string.
const values = (form) => {
  const body = { commit: form.elements.commit ? form.elements.commit.value : "same", parameters: {}, remove: [] };
  for (const input of form.querySelectorAll("[data-name]")) {
    const text = input.value.trim();
    if (text === input.dataset.was) continue;
    if (text === "") body.remove.push(input.dataset.name);
    else {
      try { body.parameters[input.dataset.name] = JSON.parse(text); } catch { body.parameters[input.dataset.name] = text; }
    }
  }
  return body;
};

/** Says what is wrong beside the fields that it is about; without an error it takes away what was said before. */
export const showProblems = (form, err) => {
  form.querySelectorAll(".problem").forEach((el) => { el.hidden = true; });
  if (!err) return;
  const all = form.querySelector("[data-problem]");
  all.textContent = err.message;
  all.hidden = false;
  for (const p of err.problems || []) {
    const input = form.querySelector("[data-name='" + CSS.escape(String(p.field).replace(/^parameters\./, "")) + "']");
    if (!input) continue;
    const says = input.closest("td").querySelector(".problem");
    says.textContent = p.message;
    says.hidden = false;
  }
};

const rerun = async (form) => {
  const button = form.querySelector("[type=submit]");
  showProblems(form, null);
  button.disabled = true;
  try {
    const got = await send(form.dataset.rerun, values(form));
    location.assign(form.dataset.go + encodeURIComponent(got.id));
  } catch (err) {
    button.disabled = false;
    showProblems(form, err);
  }
};

/** Makes buttons, menus and forms work. */
export function startButtons() {
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.post) post(button);
    else if ("copy" in button.dataset) copy(button);
    else if ("print" in button.dataset) print();
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  // A form of filters leaves what is empty out of the address.
  document.addEventListener("formdata", (event) => {
    if (!("sparse" in event.target.dataset)) return;
    for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.dataset.rerun) return;
    event.preventDefault();
    rerun(event.target);
  });
}
