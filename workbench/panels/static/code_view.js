export default {
  render({ model, el }) {
    el.style.width = "100%";
    const root = document.createElement("div");
    root.className = "wb-code";
    const text = document.createElement("pre");
    const button = document.createElement("button");
    button.type = "button";
    const label = "Copy";
    button.textContent = label;
    root.append(text, button);
    el.append(root);
    const draw = () => { text.textContent = model.get("text"); };

    // The clipboard needs https or this machine; without it the text is selected, ready for the keyboard.
    button.addEventListener("click", async () => {
      let told = "Copied";
      try {
        await navigator.clipboard.writeText(model.get("text"));
      } catch {
        const range = document.createRange();
        range.selectNodeContents(text);
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        told = "Press Ctrl+C";
      }
      button.textContent = told;
      setTimeout(() => { button.textContent = label; }, 2000);
    });
    model.on("change:text", draw);
    draw();
    return () => model.off("change:text", draw);
  },
};
