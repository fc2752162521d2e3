let fields = 0;

export default {
  render({ model, el }) {
    const root = document.createElement("div");
    root.className = "wb-path";
    const input = document.createElement("input");
    input.type = "text";
    input.spellcheck = false;
    input.autocomplete = "off";
    input.placeholder = model.get("placeholder");
    input.setAttribute("aria-label", model.get("placeholder"));
    const list = document.createElement("datalist");
    fields += 1;
    list.id = `wb-path-${fields}`;
    input.setAttribute("list", list.id);
    root.append(input, list);
    el.append(root);

    const drawOptions = () => list.replaceChildren(...model.get("options").map((option) => new Option(option, option)));
    const drawValue = () => { if (input.value !== model.get("value")) input.value = model.get("value"); };
    const save = () => {
      model.set("value", input.value);
      model.save_changes();
    };
    let count = 0;
    const submit = () => {
      count += 1;
      model.set("value", input.value);
      model.set("submitted", { path: input.value, at: `${Date.now()}-${count}` });
      model.save_changes();
    };
    input.addEventListener("input", save);
    input.addEventListener("keydown", (event) => {
      event.stopPropagation(); // the notebook has shortcuts of its own
      if (event.key === "Enter") submit();
    });
    model.on("change:options", drawOptions);
    model.on("change:value", drawValue);
    drawOptions();
    drawValue();
    return () => {
      model.off("change:options", drawOptions);
      model.off("change:value", drawValue);
    };
  },
};
