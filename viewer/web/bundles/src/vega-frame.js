// Draws a Vega or Vega-Lite chart in its frame, without the Function constructor and without a network.
import { parse, View, loader } from "vega";
import { compile } from "vega-lite";
import { expressionInterpreter } from "vega-interpreter";
import { tellHeight, data, fail } from "./height.js";

const offline = () => {
  const none = loader();
  const refuse = async (uri) => { throw new Error("data elsewhere is not loaded: " + uri); };
  return Object.assign(none, { load: refuse, http: refuse, file: refuse, sanitize: async (uri) => ({ href: uri, rel: "noreferrer" }) });
};

const isLite = (spec) => (spec.$schema ? /vega-lite/i.test(spec.$schema) : document.getElementById("chart").dataset.kind === "vega-lite");

const draw = async () => {
  let spec = data();
  const quiet = { level: () => quiet, error: (...a) => { throw new Error(a.join(" ")); }, warn: () => quiet, info: () => quiet, debug: () => quiet };
  if (isLite(spec)) spec = compile(spec, { logger: quiet }).spec;
  const view = new View(parse(spec, null, { ast: true }), {
    expr: expressionInterpreter, renderer: "svg", container: document.getElementById("chart"), hover: true, loader: offline(), logger: quiet,
  });
  await view.runAsync();
  document.body.dataset.drawn = "vega";
};
draw().catch((err) => fail("The Vega chart", err)).finally(tellHeight);
