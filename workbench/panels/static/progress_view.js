function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function duration(seconds) {
  if (seconds < 0.1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${String(Math.floor(seconds % 60)).padStart(2, "0")} s`;
}

export default {
  render({ model, el }) {
    const root = element("div", "wb-progress");
    el.append(root);
    el.style.width = "100%";
    let at = performance.now();
    let clocks = [];

    // Between two messages of the kernel the clock goes on here: the kernel need not send one for each second.
    function tick() {
      const more = model.get("running") ? (performance.now() - at) / 1000 : 0;
      for (const [node, seconds] of clocks) node.textContent = duration(seconds + more);
    }

    function draw() {
      at = performance.now();
      clocks = [];
      const stages = model.get("stages");
      const running = model.get("running");
      const names = model.get("expected");
      root.hidden = !stages.length && !running;
      const line = element("div", "wb-progress-line");
      if (running) line.append(element("span", "wb-spinner"));
      line.append(element("span", "wb-progress-text", model.get("text")));
      const total = element("span", "wb-progress-total", duration(model.get("elapsed")));
      if (running) clocks.push([total, model.get("elapsed")]);
      line.append(total);
      const steps = element("ol", "wb-steps");
      const done = stages.map(([name]) => name);
      const last = stages.length - 1;
      stages.forEach(([name, seconds], index) => {
        const now = running && index === last;
        const step = element("li", `wb-step ${now ? "wb-step-now" : model.get("failed") && index === last ? "wb-step-failed" : "wb-step-done"}`);
        const clock = element("span", "wb-step-time", duration(seconds));
        if (now) clocks.push([clock, seconds]);
        step.append(element("span", "wb-step-name", name), clock);
        steps.append(step);
      });
      if (running) {
        const from = names.indexOf(done[last]) + 1;
        for (const name of names.slice(from)) steps.append(element("li", "wb-step", name));
      }
      root.replaceChildren(line, steps);
    }

    const timer = setInterval(tick, 200);
    model.on("change", draw);
    draw();
    return () => {
      clearInterval(timer);
      model.off("change", draw);
    };
  },
};
