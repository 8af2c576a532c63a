// Draws a Plotly figure in its frame. The library stands before this in the bundle.
import { tellHeight, data, fail } from "./height.js";

const draw = async () => {
  const figure = data();
  const config = Object.assign({}, figure.config, {
    displaylogo: false, responsive: true, showSendToCloud: false, showLink: false, plotlyServerURL: "", topojsonURL: "about:blank#", typesetMath: false,
  });
  const layout = Object.assign({}, figure.layout);
  if (!layout.height) layout.height = 450;
  delete layout.width; // as wide as the page is
  layout.autosize = true;
  const chart = document.getElementById("chart");
  await window.Plotly.newPlot(chart, figure.data || [], layout, config);
  if (figure.frames && figure.frames.length) await window.Plotly.addFrames(chart, figure.frames);
  document.body.dataset.drawn = "plotly";
};
draw().catch((err) => fail("The Plotly figure", err)).finally(tellHeight);
