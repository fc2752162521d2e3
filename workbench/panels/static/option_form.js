const EFFECTS = {
  rebuild: ["rebuild", "A change makes TensorRT build new engines."],
  reuse: ["reuse", "A change makes a new session; engines that are there stay valid."],
  runtime: ["run time", "A change only alters how the session runs; engines stay valid."],
  ignored: ["no effect", "ONNX Runtime accepts it and does nothing."],
  "not-python": ["not from Python", "Python cannot set it."],
};

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

class OptionForm {
  constructor(model, el) {
    this.model = model;
    this.view = { group: null, needle: "", changed: false };
    this.count = 0;
    this.root = element("div", "wb-options");
    this.bar = this.makeBar();
    this.nav = element("div", "wb-options-nav");
    this.nav.setAttribute("role", "tablist");
    this.list = element("div", "wb-options-list");
    const middle = element("div", "wb-options-middle");
    middle.append(this.nav, this.list);
    this.root.append(this.bar, middle);
    el.append(this.root);
    el.style.width = "100%";
    this.draw = () => this.render();
    model.on("change:specs change:values change:problems change:idle change:unused change:height", this.draw);
    this.render();
  }

  close() {
    this.model.off("change:specs change:values change:problems change:idle change:unused change:height", this.draw);
  }

  makeBar() {
    const bar = element("div", "wb-options-bar");
    this.search = element("input", "wb-options-search");
    this.search.type = "search";
    this.search.placeholder = "Search options, values and help";
    this.search.setAttribute("aria-label", "Search options");
    this.search.addEventListener("input", () => { this.view.needle = this.search.value; this.render(); });
    this.search.addEventListener("keydown", (event) => event.stopPropagation());
    const label = element("label", "wb-options-only");
    this.only = element("input");
    this.only.type = "checkbox";
    this.only.addEventListener("change", () => { this.view.changed = this.only.checked; this.render(); });
    label.append(this.only, " only changed");
    this.summary = element("span", "wb-options-summary");
    this.reset = element("button", "wb-options-button", "Reset all");
    this.reset.type = "button";
    this.reset.title = "Take all options back to ONNX Runtime's defaults";
    this.reset.addEventListener("click", () => this.tell({ reset: true }));
    bar.append(this.search, label, this.summary, this.reset);
    return bar;
  }

  tell(edit) {
    this.count += 1;
    this.model.set("edited", { ...edit, at: `${Date.now()}-${this.count}` });
    this.model.save_changes();
  }

  render() {
    const specs = JSON.parse(this.model.get("specs"));
    const values = this.model.get("values");
    this.root.style.setProperty("--wb-options-height", `${this.model.get("height")}px`);
    const changed = specs.filter((spec) => spec.id in values);
    const unique = new Set(changed.map((spec) => `${spec.provider === "session"}${spec.key}`)).size;
    this.summary.textContent = unique ? `${unique} changed` : "all at their defaults";
    this.reset.disabled = !unique;
    const groups = [...new Set(specs.map((spec) => spec.section))];
    if (!groups.includes(this.view.group)) this.view.group = groups[0];
    this.drawNav(specs, values);
    const words = this.view.needle.toLowerCase().split(/\s+/).filter(Boolean);
    const across = words.length > 0 || this.view.changed;
    const shown = specs.filter((spec) => {
      if (this.view.changed && !(spec.id in values)) return false;
      if (!across) return spec.section === this.view.group;
      const text = `${spec.key} ${spec.section} ${spec.help} ${spec.choices.join(" ")}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    this.drawList(shown, values, across);
  }

  drawNav(specs, values) {
    const made = [];
    let title = null;
    const unused = this.model.get("unused");
    for (const section of new Set(specs.map((spec) => spec.section))) {
      const members = specs.filter((spec) => spec.section === section);
      if (members[0].title !== title) {
        title = members[0].title;
        made.push(element("div", "wb-options-title", unused.includes(members[0].provider) ? `${title} (not in use)` : title));
      }
      const button = element("button", "wb-options-group", members[0].group);
      button.type = "button";
      button.setAttribute("role", "tab");
      const active = section === this.view.group && !this.view.needle && !this.view.changed;
      button.setAttribute("aria-selected", String(active));
      const changed = members.filter((spec) => spec.id in values).length;
      if (changed) button.append(element("span", "wb-options-count", String(changed)));
      button.addEventListener("click", () => {
        this.view = { group: section, needle: "", changed: false };
        this.search.value = "";
        this.only.checked = false;
        this.list.scrollTop = 0;
        this.render();
      });
      made.push(button);
    }
    this.nav.replaceChildren(...made);
  }

  drawList(shown, values, across) {
    const focused = this.list.contains(document.activeElement) ? document.activeElement.dataset.id : null;
    const made = [];
    let section = null;
    for (const spec of shown) {
      if (spec.section !== section) {
        section = spec.section;
        made.push(element("div", "wb-options-heading", across ? `${spec.title} · ${spec.group}` : spec.group));
      }
      made.push(this.row(spec, values));
    }
    if (!shown.length) made.push(element("div", "wb-options-empty", this.view.changed ? "No option is changed." : "No option matches."));
    this.list.replaceChildren(...made);
    if (focused) this.list.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
  }

  row(spec, values) {
    const set = spec.id in values;
    const problem = this.model.get("problems")[spec.id];
    const idle = this.model.get("idle")[spec.id];
    const row = element("div", `wb-option${set ? " wb-option-set" : ""}${spec.python ? "" : " wb-option-off"}`);
    row.dataset.key = spec.key;
    const text = element("div", "wb-option-text");
    const head = element("div", "wb-option-head");
    head.append(element("code", "wb-option-key", spec.key));
    const [label, meaning] = EFFECTS[spec.effect];
    const badge = element("span", `wb-option-effect wb-effect-${spec.effect}`, label);
    badge.title = meaning;
    head.append(badge);
    text.append(head, element("div", "wb-option-help", spec.python ? spec.help : `${spec.help} ${spec.instead}`));
    if (problem) text.append(element("div", "wb-option-problem", problem[0]));
    else if (set && idle) text.append(element("div", "wb-option-idle", `Does nothing now: ${idle}`));
    const side = element("div", "wb-option-side");
    if (spec.python) {
      side.append(this.editor(spec, values[spec.id], problem && problem[1]));
      const back = element("button", "wb-option-reset", "↺");
      back.type = "button";
      back.title = `Back to the default: ${spec.default}`;
      back.setAttribute("aria-label", `Reset ${spec.key}`);
      back.style.visibility = set ? "visible" : "hidden";
      back.addEventListener("click", () => this.tell({ id: spec.id, value: null }));
      side.append(back);
    }
    row.append(text, side);
    return row;
  }

  editor(spec, value, typed) {
    const choices = spec.type === "bool" ? ["true", "false"] : spec.choices.map(String);
    const input = choices.length ? this.select(spec, choices, value) : this.field(spec, value, typed);
    input.dataset.id = spec.id;
    input.setAttribute("aria-label", spec.key);
    input.title = spec.allowed;
    input.addEventListener("keydown", (event) => event.stopPropagation());
    return input;
  }

  select(spec, choices, value) {
    const select = element("select", "wb-option-input");
    for (const choice of choices) select.append(new Option(choice === spec.default ? `${choice} (default)` : choice, choice));
    if (!choices.includes(spec.default)) select.prepend(new Option("none (default)", ""));
    select.value = value === undefined ? (choices.includes(spec.default) ? spec.default : "") : String(value);
    select.addEventListener("change", () => {
      const chosen = select.value === spec.default || select.value === "" ? null : select.value;
      this.tell({ id: spec.id, value: chosen });
    });
    return select;
  }

  field(spec, value, typed) {
    const input = element("input", "wb-option-input");
    input.type = "text";
    if (spec.type === "int") input.inputMode = "numeric";
    input.spellcheck = false;
    input.placeholder = spec.default === "" ? "none" : spec.default;
    const before = typed ?? (value === undefined ? "" : String(value));
    input.value = before;
    if (typed !== undefined) input.classList.add("wb-option-wrong");
    const commit = () => {
      const now = input.value.trim();
      if (now !== before) this.tell({ id: spec.id, value: now === "" ? null : now });
    };
    input.addEventListener("change", commit);
    return input;
  }
}

export default {
  render({ model, el }) {
    const form = new OptionForm(model, el);
    return () => form.close();
  },
};
