export default {
  render({ model, el }) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "wb-upload";
    button.textContent = "Upload …";
    button.title = "Copy a model from this computer to the Jupyter server";
    const input = document.createElement("input");
    input.type = "file";
    input.accept = model.get("accept");
    input.hidden = true;
    button.addEventListener("click", () => input.click());
    input.addEventListener("change", async () => {
      const file = input.files[0];
      if (!file) return;
      button.disabled = true;
      const content = await file.arrayBuffer();
      model.send({ name: file.name }, undefined, [content]);
      input.value = "";
      button.disabled = false;
    });
    el.append(button, input);
  },
};
