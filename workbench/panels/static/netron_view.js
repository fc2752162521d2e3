const PATIENCE = 4000; // milliseconds until a page that says nothing counts as out of reach
const HERE = new Set(["localhost", "127.0.0.1", "[::1]"]);

// Through the Jupyter server where the kernel's machine is another one, or the page is https and may not load http.
function proxied(port, path) {
  const config = document.getElementById("jupyter-config-data");
  const base = config ? JSON.parse(config.textContent).baseUrl || "/" : "/";
  return `${location.origin}${base.endsWith("/") ? base : `${base}/`}proxy/${port}/${path}`;
}

function addresses(via, port, path) {
  const direct = `http://${location.hostname}:${port}/${path}`;
  if (via === "direct") return [direct];
  if (via === "proxy") return [proxied(port, path)];
  return HERE.has(location.hostname) && location.protocol === "http:" ? [direct, proxied(port, path)] : [proxied(port, path)];
}

class NetronView {
  constructor(model, el) {
    this.model = model;
    this.el = document.createElement("div"); // el's own size belongs to the widget's layout
    this.el.className = "wb-netron";
    el.style.width = "100%";
    el.append(this.el);
    this.frame = document.createElement("iframe");
    this.frame.title = "Graph";
    this.message = document.createElement("div");
    this.message.className = "wb-netron-message";
    this.el.append(this.frame, this.message);
    this.onMessage = (event) => { if (event.source === this.frame.contentWindow && event.data && event.data.workbench) this.hear(event.data); };
    this.onSelect = () => { if (!this.own) this.select(); };
    this.onPage = () => this.restart();
    this.onHeight = () => { this.el.style.height = `${model.get("height")}px`; };
    window.addEventListener("message", this.onMessage);
    model.on("change:selected", this.onSelect);
    model.on("change:path change:port change:via", this.onPage);
    model.on("change:height change:placeholder", this.onHeight);
    this.onHeight();
    this.restart();
    this.observer = new ResizeObserver(() => this.start());
    this.observer.observe(this.el);
  }

  close() {
    clearTimeout(this.timer);
    this.observer.disconnect();
    window.removeEventListener("message", this.onMessage);
    this.model.off("change:selected", this.onSelect);
    this.model.off("change:path change:port change:via", this.onPage);
    this.model.off("change:height change:placeholder", this.onHeight);
  }

  restart() {
    clearTimeout(this.timer);
    this.left = this.model.get("path") ? addresses(this.model.get("via"), this.model.get("port"), this.model.get("path")) : [];
    this.tried = [];
    this.loading = false;
    this.hide(this.left.length ? "Loading the graph …" : this.model.get("placeholder"));
    this.start();
  }

  // Netron lays a graph out by measuring it, which gives nonsense in a hidden tab: wait until it is seen.
  start() {
    if (this.loading || !this.left.length || !this.el.clientWidth || !this.el.clientHeight) return;
    this.loading = true;
    const address = this.left.shift();
    this.tried.push(address.replace(/\/[^/]*\/graph-/, "/…/graph-"));
    this.frame.src = address;
    this.timer = setTimeout(() => this.unreachable(), PATIENCE);
  }

  unreachable() {
    if (this.left.length) {
      this.loading = false;
      this.start();
      return;
    }
    this.fail(`The graph page could not be loaded. Tried ${this.tried.join(" and ")}. If Jupyter runs on another machine, install jupyter-server-proxy there and restart Jupyter.`, true);
  }

  hear(data) {
    if (data.kind === "hello") {
      clearTimeout(this.timer);
    } else if (data.kind === "ready") {
      this.message.hidden = true;
      this.frame.style.visibility = "visible";
      this.set({ ready: data.count, failure: "" });
      this.select();
    } else if (data.kind === "click") {
      this.own = true;
      this.set({ selected: data.node, absent: false });
      this.own = false;
    } else if (data.kind === "absent" || data.kind === "shown") {
      this.set({ absent: data.kind === "absent" });
    } else if (data.kind === "error") {
      this.fail(`Netron: ${data.text}`, false);
    }
  }

  select() {
    const node = this.model.get("selected");
    if (this.frame.contentWindow) this.frame.contentWindow.postMessage({ kind: "select", node }, "*");
  }

  hide(text) {
    this.frame.style.visibility = "hidden";
    this.message.hidden = false;
    this.message.replaceChildren(text);
  }

  fail(text, again) {
    this.hide(text);
    if (again) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Try again";
      button.addEventListener("click", () => this.restart());
      this.message.append(document.createElement("br"), button);
    }
    this.set({ ready: 0, failure: text });
  }

  set(values) {
    for (const [key, value] of Object.entries(values)) this.model.set(key, value);
    this.model.save_changes();
  }
}

export default {
  render({ model, el }) {
    const view = new NetronView(model, el);
    return () => view.close();
  },
};
