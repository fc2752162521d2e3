const ROW = 24; // pixels, as in table.css
const AHEAD = 6; // rows drawn beyond the visible ones
const MISSING = "–";

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// Python's format specification, as far as tables need it: [,][.N](f|d|e|g|%)
function formatter(spec) {
  const [, comma, digits, kind] = /^(,?)(?:\.(\d+))?([fdeg%]?)$/.exec(spec || "") || [];
  const places = digits === undefined ? 6 : Number(digits);
  const fixed = new Intl.NumberFormat("en-GB", { useGrouping: Boolean(comma), minimumFractionDigits: places, maximumFractionDigits: places });
  const whole = new Intl.NumberFormat("en-GB", { useGrouping: Boolean(comma), maximumFractionDigits: 0 });
  if (kind === "f") return (value) => fixed.format(value);
  if (kind === "%") return (value) => `${fixed.format(value * 100)} %`;
  if (kind === "d") return (value) => whole.format(value);
  if (kind === "e") return (value) => value.toExponential(places);
  if (kind === "g") return (value) => (value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 10 ** Math.max(places, 1)) ? value.toExponential(Math.max(places - 1, 0)) : String(Number(value.toPrecision(Math.max(places, 1)))));
  return (value) => (comma && typeof value === "number" ? value.toLocaleString("en-GB") : String(value));
}

// What the view shows of the model: cells as text, and the order after sorting and filtering.
class Rows {
  constructor(columns, data) {
    this.columns = columns;
    this.ids = data.ids;
    this.cells = data.cells; // one array a column
    this.position = new Map(this.ids.map((id, at) => [id, at]));
    this.formats = columns.map((column) => formatter(column.kind === "number" ? column.format : ""));
    this.order = this.ids.map((_, at) => at);
  }

  text(column, row) {
    const value = this.cells[column][row];
    return value === null ? MISSING : this.formats[column](value);
  }

  choices(column) {
    const found = new Map();
    for (const value of this.cells[column]) found.set(value, (found.get(value) || 0) + 1);
    return [...found].sort((a, b) => b[1] - a[1]);
  }

  arrange({ needle, chosen, sort }) {
    const words = needle.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = [...chosen];
    this.order = [];
    for (let row = 0; row < this.ids.length; row += 1) {
      if (!wanted.every(([column, value]) => this.cells[column][row] === value)) continue;
      if (words.length && !this.matches(row, words)) continue;
      this.order.push(row);
    }
    if (sort) this.sort(sort);
  }

  matches(row, words) {
    const line = this.columns.map((_, column) => this.text(column, row)).join("\n").toLowerCase();
    return words.every((word) => line.includes(word));
  }

  sort({ column, down }) {
    const cells = this.cells[column];
    const collator = new Intl.Collator("en", { numeric: true });
    const numeric = this.columns[column].kind === "number";
    this.order.sort((a, b) => {
      const [x, y] = [cells[a], cells[b]];
      if (x === null || y === null) return x === y ? a - b : x === null ? 1 : -1; // what is missing comes last, both ways
      const less = numeric ? x - y : collator.compare(String(x), String(y));
      return (down ? -less : less) || a - b;
    });
  }
}

// Widths in pixels: wide enough for the longest text of each column, text columns within limits; these share what is left.
function widths(rows, context, room) {
  const wanted = rows.columns.map((column, at) => {
    if (column.width) return column.width;
    let longest = "";
    for (let row = 0; row < rows.ids.length; row += 1) {
      const text = rows.text(at, row);
      if (text.length > longest.length) longest = text;
    }
    const title = context.measureText(column.title).width * 1.1 + 28;
    return Math.ceil(Math.max(title, context.measureText(longest).width * 1.03 + (column.kind === "chip" ? 34 : 20)));
  });
  const flexible = wanted.map((_, at) => rows.columns[at].kind === "text" && !rows.columns[at].width);
  const least = wanted.map((width, at) => (flexible[at] ? Math.min(width, 120) : width));
  const total = (list) => list.reduce((sum, width) => sum + width, 0);
  let spare = Math.max(0, room - total(least));
  if (spare < total(wanted) - total(least)) {
    // Who lacks little gets all of it first; what is then left, those who lack most share.
    const lacking = wanted.map((width, at) => [width - least[at], at]).sort((a, b) => a[0] - b[0]);
    lacking.forEach(([lack, at], index) => {
      const given = Math.min(lack, Math.floor(spare / (lacking.length - index)));
      least[at] += given;
      spare -= given;
    });
    return least;
  }
  const grow = rows.columns.findIndex((column) => column.grow);
  const last = grow >= 0 ? grow : flexible.lastIndexOf(true) < 0 ? wanted.length - 1 : flexible.lastIndexOf(true);
  return wanted.map((width, at) => (at === last ? width + Math.max(0, room - total(wanted)) : width));
}

class TableView {
  constructor(model, el) {
    this.model = model;
    this.view = { needle: "", chosen: new Map(), sort: null };
    this.anchor = null;
    this.root = element("div", "wb-table");
    this.bar = element("div", "wb-table-bar");
    this.search = element("input", "wb-table-search");
    this.search.type = "search";
    this.search.placeholder = "Filter";
    this.search.setAttribute("aria-label", "Filter rows");
    this.filters = element("span", "wb-table-filters");
    this.count = element("span", "wb-table-count");
    this.bar.append(this.search, this.filters, this.count);
    this.port = element("div", "wb-table-port");
    this.port.tabIndex = 0;
    this.port.setAttribute("role", "grid");
    this.head = element("div", "wb-table-head");
    this.space = element("div", "wb-table-space");
    this.block = element("div", "wb-table-block");
    this.empty = element("div", "wb-table-empty");
    this.space.append(this.block);
    this.port.append(this.head, this.space, this.empty);
    this.root.append(this.bar, this.port);
    el.append(this.root);
    this.listen();
    this.load();
  }

  listen() {
    this.search.addEventListener("input", () => { this.view.needle = this.search.value; this.arrange(); });
    this.search.addEventListener("keydown", (event) => event.stopPropagation()); // the notebook has shortcuts of its own
    this.port.addEventListener("scroll", () => requestAnimationFrame(() => this.draw()));
    this.port.addEventListener("keydown", (event) => this.key(event));
    this.block.addEventListener("mousedown", (event) => { if (event.shiftKey) event.preventDefault(); });
    this.block.addEventListener("click", (event) => {
      const row = event.target.closest(".wb-table-row");
      if (row) this.pick(Number(row.dataset.at), event);
    });
    this.loaded = () => this.load();
    this.chosen = () => { this.draw(); if (!this.own) this.reveal(); };
    this.model.on("change:_data change:_columns change:height", this.loaded);
    this.model.on("change:selected", this.chosen);
    this.observer = new ResizeObserver(() => {
      if (this.port.clientWidth && this.port.clientWidth !== this.room) this.fit();
      this.draw();
    });
    this.observer.observe(this.port);
  }

  close() {
    this.observer.disconnect();
    this.model.off("change:_data change:_columns change:height", this.loaded);
    this.model.off("change:selected", this.chosen);
  }

  load() {
    this.rows = new Rows(this.model.get("_columns"), JSON.parse(this.model.get("_data")));
    const columns = this.rows.columns.length;
    for (const key of [...this.view.chosen.keys()]) if (key >= columns) this.view.chosen.delete(key);
    if (this.view.sort && this.view.sort.column >= columns) this.view.sort = null;
    this.port.style.maxHeight = `${this.model.get("height")}px`;
    this.bar.hidden = !this.model.get("filterable");
    this.drawFilters();
    this.fit();
    this.arrange();
    this.reveal();
  }

  fit() {
    const style = getComputedStyle(this.port);
    this.room = this.port.clientWidth;
    if (!this.room) return; // hidden: the observer calls again once it is seen
    this.pen = document.createElement("canvas").getContext("2d");
    this.pen.font = `${style.fontSize} ${style.fontFamily}`;
    this.tracks = widths(this.rows, this.pen, this.room - 12); // a scroll bar may come
    this.root.style.setProperty("--wb-columns", this.tracks.map((width) => `${width}px`).join(" "));
  }

  drawFilters() {
    const selects = this.rows.columns.flatMap((column, at) => {
      if (!column.filter) return [];
      const select = element("select", "wb-table-select");
      select.setAttribute("aria-label", column.title);
      const choices = this.rows.choices(at);
      select.append(new Option(`${column.title}: all`, ""));
      choices.forEach(([value, count], index) => select.append(new Option(`${value === null ? MISSING : value} (${count.toLocaleString("en-GB")})`, String(index))));
      const now = choices.findIndex(([value]) => this.view.chosen.has(at) && this.view.chosen.get(at) === value);
      if (now < 0) this.view.chosen.delete(at);
      select.value = now < 0 ? "" : String(now);
      select.addEventListener("change", () => {
        if (select.value === "") this.view.chosen.delete(at);
        else this.view.chosen.set(at, choices[Number(select.value)][0]);
        this.arrange();
      });
      return [select];
    });
    this.filters.replaceChildren(...selects);
  }

  drawHead() {
    const sort = this.view.sort;
    const cells = this.rows.columns.map((column, at) => {
      const cell = element("div", `wb-table-title wb-${column.kind}`);
      const button = element("button", "", column.title);
      button.type = "button";
      button.title = column.help || `Sort by ${column.title}`;
      if (sort && sort.column === at) {
        button.append(element("span", "wb-table-arrow", sort.down ? "▾" : "▴"));
        cell.setAttribute("aria-sort", sort.down ? "descending" : "ascending");
      }
      button.addEventListener("click", () => this.sortBy(at));
      cell.append(button);
      return cell;
    });
    this.head.replaceChildren(...cells);
  }

  sortBy(column) {
    const now = this.view.sort;
    if (!now || now.column !== column) this.view.sort = { column, down: false };
    else this.view.sort = now.down ? null : { column, down: true };
    this.arrange();
  }

  arrange() {
    this.rows.arrange(this.view);
    this.place = new Map(this.rows.order.map((row, place) => [row, place]));
    this.space.style.height = `${this.rows.order.length * ROW}px`;
    this.port.setAttribute("aria-rowcount", String(this.rows.order.length));
    this.drawHead();
    this.draw();
  }

  draw() {
    const { order, ids } = this.rows;
    const selected = new Set(this.model.get("selected"));
    const first = Math.max(0, Math.floor((this.port.scrollTop - ROW) / ROW) - AHEAD);
    const last = Math.min(order.length, first + Math.ceil((this.port.clientHeight || this.model.get("height")) / ROW) + 2 * AHEAD);
    const fragment = document.createDocumentFragment();
    for (let place = first; place < last; place += 1) fragment.append(this.row(place, order[place], selected.has(ids[order[place]])));
    this.block.style.transform = `translateY(${first * ROW}px)`;
    this.block.replaceChildren(fragment);
    this.empty.hidden = order.length > 0;
    this.empty.textContent = ids.length ? "No row matches the filter." : this.model.get("placeholder");
    const shown = order.length === ids.length ? "" : `${order.length.toLocaleString("en-GB")} of `;
    const hidden = [...selected].some((id) => this.rows.position.has(id) && !this.place.has(this.rows.position.get(id)));
    this.count.textContent = `${shown}${ids.length.toLocaleString("en-GB")} ${ids.length === 1 ? "row" : "rows"}${hidden ? " · the selected row is filtered out" : ""}`;
  }

  row(place, at, selected) {
    const row = element("div", `wb-table-row${selected ? " wb-selected" : ""}`);
    row.dataset.at = String(at);
    row.dataset.id = this.rows.ids[at];
    row.setAttribute("role", "row");
    row.setAttribute("aria-rowindex", String(place + 1));
    row.setAttribute("aria-selected", String(selected));
    this.rows.columns.forEach((column, index) => {
      const missing = this.rows.cells[index][at] === null;
      const text = this.rows.text(index, at);
      const cell = element("div", `wb-table-cell wb-${column.kind}${missing ? " wb-missing" : ""}`);
      if (column.kind === "chip" && !missing) {
        const dot = element("span", "wb-dot");
        dot.style.background = column.colours[text] || "var(--jp-border-color1, #9e9e9e)";
        cell.append(dot);
      }
      cell.append(column.ellipsis === "start" ? this.tail(text, index) : text);
      cell.title = text;
      row.append(cell);
    });
    return row;
  }

  // The last part of a text that is too long: CSS can only cut at the other end.
  tail(text, column) {
    const room = (this.tracks ? this.tracks[column] : Infinity) - 18;
    if (!this.pen || this.pen.measureText(text).width <= room) return text;
    let [low, high] = [0, text.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.pen.measureText(`…${text.slice(middle)}`).width <= room) high = middle;
      else low = middle + 1;
    }
    return `…${text.slice(low)}`;
  }

  pick(at, event) {
    const { ids, order } = this.rows;
    const before = this.model.get("selected");
    let after = [ids[at]];
    if (this.model.get("multiple") && event.shiftKey && this.anchor !== null && this.place.has(this.anchor)) {
      const [from, to] = [this.place.get(this.anchor), this.place.get(at)].sort((a, b) => a - b);
      after = order.slice(from, to + 1).map((row) => ids[row]);
    } else {
      if (this.model.get("multiple") && (event.ctrlKey || event.metaKey)) {
        after = before.includes(ids[at]) ? before.filter((id) => id !== ids[at]) : [...before, ids[at]];
      }
      this.anchor = at;
    }
    this.current = at;
    this.select(after);
  }

  select(ids) {
    this.own = true; // a click never scrolls the table under the pointer
    this.model.set("selected", ids);
    this.model.save_changes();
    this.own = false;
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.port.clientHeight / ROW) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    event.stopPropagation(); // else the notebook moves to another cell
    if (!(event.key in steps) || !this.rows.order.length) return;
    event.preventDefault();
    const selected = this.model.get("selected");
    const at = this.current ?? this.rows.position.get(selected[selected.length - 1]);
    const here = this.place.get(at);
    const next = (here === undefined ? -1 : here) + steps[event.key];
    const place = Math.min(this.rows.order.length - 1, Math.max(0, next));
    this.pick(this.rows.order[place], { shiftKey: event.shiftKey });
    this.show(place);
  }

  reveal() {
    const selected = this.model.get("selected");
    if (!selected.length) { this.current = undefined; return; }
    const at = this.rows.position.get(selected[0]);
    this.current = at;
    this.anchor = at ?? null;
    if (this.place.has(at)) this.show(this.place.get(at), "center");
  }

  show(place, where) {
    const top = place * ROW;
    const height = this.port.clientHeight - ROW; // the head stays
    if (height <= 0) return;
    if (top < this.port.scrollTop) this.port.scrollTop = where ? top - height / 2 : top;
    else if (top + ROW > this.port.scrollTop + height) this.port.scrollTop = where ? top - height / 2 : top + ROW - height;
    this.draw();
  }
}

export default {
  render({ model, el }) {
    const view = new TableView(model, el);
    return () => view.close();
  },
};
