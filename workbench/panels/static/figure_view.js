// One plotly.js serves all figures of the page: the library widget resolves this promise, whoever comes first makes it.
function shared() {
  if (!globalThis.workbenchPlotly) {
    const deferred = {};
    deferred.promise = new Promise((resolve) => { deferred.resolve = resolve; });
    globalThis.workbenchPlotly = deferred;
  }
  return globalThis.workbenchPlotly;
}

function variable(name, fallback) {
  return getComputedStyle(document.body).getPropertyValue(name).trim() || fallback;
}

// plotly knows fewer notations of colours than the browser, so the browser reads the theme's.
function faded(colour, opacity) {
  const context = document.createElement("canvas").getContext("2d");
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
  return `rgba(${red},${green},${blue},${opacity})`;
}

// Figures bring a light ground. On a dark page their inks and grounds are exchanged for the theme's; colours that mean
// something stay, and so does the text on them.
function recoloured(value, colours, key = "") {
  if (typeof value === "string") {
    const found = colours.get(value.toUpperCase());
    if (found) return found;
    const white = /^rgba\(255, ?255, ?255, ?([\d.]+)\)$/.exec(value);
    return white ? faded(colours.get("#FFFFFF"), white[1]) : value;
  }
  if (value === null || typeof value !== "object" || /textfont$/.test(key)) return value;
  if (Array.isArray(value)) return typeof value[0] === "number" ? value : value.map((item) => recoloured(item, colours, key));
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, recoloured(item, colours, name)]));
}

function themed(figure, inks) {
  if (document.body.dataset.jpThemeLight !== "false") return figure;
  const colours = new Map(Object.entries(inks).map(([colour, name]) => [colour.toUpperCase(), variable(name, colour)]));
  return recoloured(figure, colours);
}

const CONFIG = {
  responsive: false, // the observer below does it, for tabs that open later too
  displaylogo: false,
  showTips: false,
  modeBarButtons: [["resetScale2d", "toImage"]],
};

export default {
  async render({ model, el }) {
    el.classList.add("wb-figure");
    const plot = document.createElement("div");
    el.append(plot);
    plot.textContent = "Drawing …";
    const library = String(model.get("library"));
    if (model.widget_manager && library.startsWith("IPY_MODEL_")) await model.widget_manager.get_model(library.slice("IPY_MODEL_".length));
    const plotly = await shared().promise;
    let drawn = false;
    let closed = false;

    async function draw() {
      if (closed || !el.clientWidth) return; // hidden: the observer calls again once it is seen
      const figure = themed(JSON.parse(model.get("spec")), model.get("_inks"));
      if (!figure.data) {
        if (drawn) plotly.purge(plot);
        drawn = false;
        plot.replaceChildren();
        return;
      }
      const layout = figure.layout || {};
      layout.width = el.clientWidth;
      layout.height = layout.height || model.get("height");
      if (!drawn) plot.replaceChildren();
      await plotly.react(plot, figure.data, layout, CONFIG);
      if (!drawn) plot.on("plotly_click", clicked);
      drawn = true;
    }

    let count = 0;
    function clicked(event) {
      const point = event.points[0];
      const pick = (value) => (value === undefined ? null : value);
      const where = Array.isArray(point.pointNumber) ? point.pointNumber[0] : point.pointNumber;
      count += 1;
      model.set("_click", { curve: point.curveNumber, point: pick(where), customdata: pick(point.customdata), at: `${Date.now()}-${count}` });
      model.save_changes();
    }

    let width = 0;
    const seen = new ResizeObserver(() => {
      if (el.clientWidth !== width) {
        width = el.clientWidth;
        draw();
      }
    });
    seen.observe(el);
    const theme = new MutationObserver(draw);
    theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name"] });
    model.on("change:spec", draw);
    return () => {
      closed = true;
      seen.disconnect();
      theme.disconnect();
      model.off("change:spec", draw);
      if (drawn) plotly.purge(plot);
    };
  },
};
