// A frame tells its page how tall it is; the page decides what it makes of that.
export const tellHeight = () => {
  let told = 0;
  const tell = () => {
    const height = Math.ceil(document.body.getBoundingClientRect().bottom + scrollY + 8);
    if (height !== told) parent.postMessage({ nesHeight: (told = height) }, "*");
  };
  new ResizeObserver(tell).observe(document.body);
  addEventListener("load", tell);
  // A page whose script came later than this one asks.
  addEventListener("message", (e) => { if (e.source === parent && e.data && e.data.nesAsk) { told = 0; tell(); } });
  tell();
};

export const data = () => JSON.parse(document.getElementById("data").textContent);

// fail says in words what could not be drawn.
export const fail = (what, err) => {
  const box = document.createElement("pre");
  box.textContent = what + " could not be drawn: " + (err && err.message ? err.message : err);
  document.getElementById("chart").replaceChildren(box);
};
