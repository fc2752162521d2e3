class Chips {
  constructor(model, el) {
    this.model = model;
    this.root = document.createElement("div");
    this.root.className = "wb-chips";
    this.root.setAttribute("role", "group");
    el.style.width = "100%";
    el.append(this.root);
    this.onChips = () => this.draw();
    this.onSelected = () => this.mark();
    model.on("change:_chips change:label change:placeholder", this.onChips);
    model.on("change:selected change:disabled", this.onSelected);
    this.draw();
  }

  close() {
    this.model.off("change:_chips change:label change:placeholder", this.onChips);
    this.model.off("change:selected change:disabled", this.onSelected);
  }

  draw() {
    const chips = this.model.get("_chips");
    this.root.setAttribute("aria-label", this.model.get("label"));
    this.buttons = new Map(chips.map((chip) => [chip.value, this.button(chip)]));
    this.root.replaceChildren(...this.buttons.values());
    if (!chips.length) this.root.textContent = this.model.get("placeholder");
    this.mark();
  }

  button({ value, note, help }) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "wb-chip";
    button.dataset.value = value;
    button.title = help;
    const small = document.createElement("small");
    small.textContent = note;
    button.append(value, small);
    button.addEventListener("click", () => this.toggle(value));
    return button;
  }

  toggle(value) {
    const chosen = new Set(this.model.get("selected"));
    if (!chosen.delete(value)) chosen.add(value);
    this.model.set("selected", [...this.buttons.keys()].filter((each) => chosen.has(each)));
    this.model.save_changes();
  }

  mark() {
    const chosen = new Set(this.model.get("selected"));
    for (const [value, button] of this.buttons) {
      button.setAttribute("aria-pressed", String(chosen.has(value)));
      button.disabled = this.model.get("disabled");
    }
  }
}

export default {
  render({ model, el }) {
    const view = new Chips(model, el);
    return () => view.close();
  },
};
