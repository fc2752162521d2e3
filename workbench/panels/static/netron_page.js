// Runs in Netron's page, before Netron: no cookie, and messages between the page and the widget around it.
(() => {
  // Netron asks for consent to usage statistics unless this cookie is there; with it, and version 0.0.0, it sends none.
  Object.defineProperty(document, "cookie", { get: () => "consent=0", set: () => {} });

  // Netron focuses its buttons while it loads, which would take the keyboard away and scroll the notebook to the graph.
  const focus = HTMLElement.prototype.focus;
  HTMLElement.prototype.focus = function quietly(options) {
    if (!navigator.userActivation || navigator.userActivation.hasBeenActive) focus.call(this, { ...options, preventScroll: true });
  };

  // scrollIntoView would scroll the notebook around this page too.
  function centre(node) {
    const port = document.getElementById("target");
    const [outer, inner] = [port.getBoundingClientRect(), node.getBoundingClientRect()];
    port.scrollLeft += inner.left + inner.width / 2 - outer.left - outer.width / 2;
    port.scrollTop += inner.top + inner.height / 2 - outer.top - outer.height / 2;
  }

  const PREFIX = "node-name-";
  const send = (message) => parent.postMessage({ workbench: true, ...message }, "*");
  send({ kind: "hello" });

  let wanted = "";
  function highlight(scroll) {
    document.querySelectorAll("g.workbench-selected").forEach((node) => node.classList.remove("workbench-selected"));
    if (!wanted) return;
    const node = document.getElementById(PREFIX + wanted);
    if (!node) {
      send({ kind: "absent", node: wanted });
      return;
    }
    node.classList.add("workbench-selected");
    if (scroll) centre(node);
    send({ kind: "shown", node: wanted });
  }

  window.addEventListener("message", (event) => {
    if (event.source !== parent || !event.data || event.data.kind !== "select") return;
    wanted = event.data.node;
    highlight(true);
  });

  window.addEventListener("load", () => {
    document.addEventListener("click", (event) => {
      const node = event.target.closest && event.target.closest("g.graph-node");
      if (!node || !node.id.startsWith(PREFIX)) return;
      wanted = node.id.slice(PREFIX.length);
      highlight(false);
      send({ kind: "click", node: wanted });
    }, true);

    // Nodes stand in the page before they are placed; once the graph is shown, the body is no longer "welcome".
    let drawn = 0;
    setInterval(() => {
      const classes = document.body.classList;
      if (classes.contains("alert") || classes.contains("notification")) {
        send({ kind: "error", text: document.getElementById("message-text").innerText });
        return;
      }
      const count = classes.contains("welcome") ? 0 : document.querySelectorAll("g.graph-node").length;
      const canvas = document.getElementById("canvas");
      if (count && canvas !== drawn) {
        drawn = canvas; // another one when a function is opened or closed
        send({ kind: "ready", count });
        highlight(true);
      }
    }, 100);
  });
})();
