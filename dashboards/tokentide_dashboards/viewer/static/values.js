// Panels of what stands now: numbers, tables, bars, words. All of them are HTML.

import { color, el, linked, palette, safeUrl } from "./dom.js";
import { columns, paintOf, shown } from "./fields.js";
import { filled } from "./links.js";

const FIRST_ROWS = 200;

const rowOf = (field, at) => Object.fromEntries(field.found.map(({ name, values }) => [name, values[at]]));
const isHidden = (field) => field.config.custom.hidden === true || field.config.custom.hideFrom?.viz === true;

function linkOf(field, at, state) {
  const link = field.config.links?.[0];
  return link && filled(link, state, { row: rowOf(field, at), value: field.values[at], name: field.name });
}

function last(values) {
  for (let at = values.length - 1; at >= 0; at -= 1) if (values[at] !== null && values[at] !== "") return at;
  return -1;
}

export function stat(panel, answers, state) {
  const takesTexts = panel.options?.reduceOptions?.fields === "/.*/";
  const fields = columns(panel, answers).filter((field) => !isHidden(field) && (field.kind === "number" || (takesTexts && field.kind !== "time") || field.kind === "time" && /dateTime/.test(field.config.unit ?? "")));
  const present = fields.filter((field) => last(field.values) >= 0);
  if (!present.length) return null;
  // What is dashed or grey on a chart stands beside the number here: last week, out of how many.
  const isAside = (field) => field.config.custom.lineStyle?.fill === "dash" || (field.config.color?.mode === "fixed" && field.config.color.fixedColor === "text");
  const main = present.filter((field) => !isAside(field));
  const tinted = panel.options?.colorMode === "background";
  const box = el("div", { class: "stats" });
  for (const field of main.length ? main : present) {
    const at = last(field.values);
    const value = field.values[at];
    const paint = panel.options?.colorMode === "none" ? null : paintOf(value, field);
    const number = el("div", { class: "number" }, linked(shown(value, field), linkOf(field, at, state)));
    if (paint && !tinted) number.style.color = paint;
    const one = el("div", { class: tinted && paint ? "stat tinted" : "stat" }, number);
    if (tinted && paint) one.style.setProperty("--tint", paint);
    if (main.length > 1) one.prepend(el("div", { class: "caption", text: field.name }));
    box.append(one);
  }
  for (const field of main.length ? present.filter(isAside) : []) {
    const at = last(field.values);
    box.lastChild.append(el("div", { class: "aside", text: `${shown(field.values[at], field)} ${field.name}` }));
  }
  return box;
}

function cell(field, at, state, most) {
  const value = field.values[at];
  const text = shown(value, field);
  const kind = field.config.custom.cellOptions?.type;
  const isRight = field.kind === "number" && field.config.custom.align !== "left";
  const made = el("td", { class: isRight ? "right" : field.kind === "time" ? "when" : "", title: text.length > 40 ? text : null });
  if (field.isWrapped) made.classList.add("wrapped");
  if (field.config.custom.width) made.style.maxWidth = `${field.config.custom.width}px`;
  const paint = paintOf(value, field);
  if (kind === "gauge" && typeof value === "number") {
    const bar = el("div", { class: "gauge" }, el("i"));
    bar.firstChild.style.width = `${Math.max(0, Math.min(100, (100 * value) / (most || 1)))}%`;
    bar.firstChild.style.background = paint ?? color("blue");
    made.append(el("div", { class: "gauged" }, bar, el("span", {}, linked(text, linkOf(field, at, state)))));
    return made;
  }
  if (kind === "color-text" && paint) { made.classList.add("painted"); made.style.color = paint; }
  if (kind === "color-background" && paint) { made.classList.add("tinted"); made.style.setProperty("--tint", paint); }
  const link = linkOf(field, at, state);
  if (link && !field.isLinkedItself) made.classList.add("linked");
  made.append(linked(text, link));
  for (const more of (field.config.links ?? []).slice(1)) {
    const next = filled(more, state, { row: rowOf(field, at), value, name: field.name });
    if (safeUrl(next.url)) made.append(" ", linked("↗", next));
  }
  return made;
}

export function table(panel, answers, state) {
  const fields = columns(panel, answers).filter((field) => !isHidden(field));
  const count = Math.max(0, ...fields.map((field) => field.values.length));
  if (!count) return null;
  const body = el("tbody");
  const scroller = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": panel.title });
  const order = { field: fields.find((field) => field.name === panel.options?.sortBy?.[0]?.displayName) ?? null, isDown: panel.options?.sortBy?.[0]?.desc ?? true };
  let limit = FIRST_ROWS;
  const mosts = new Map(fields.map((field) => [field, field.config.max ?? Math.max(...field.values.filter((value) => typeof value === "number"), 0)]));
  for (const field of fields) {
    field.config.seenMost = mosts.get(field);
    field.isWrapped = field.kind === "text" && fields.some((other) => other.config.custom.width);
    field.isLinkedItself = field.config.links !== panel.fieldConfig?.defaults?.links;
  }

  function draw() {
    const places = [...Array(count).keys()];
    if (order.field) {
      const { values } = order.field;
      places.sort((one, other) => {
        const [a, b] = [values[one], values[other]];
        const way = a === b ? 0 : a === null ? -1 : b === null ? 1 : a < b ? -1 : 1;
        return order.isDown ? -way : way;
      });
    }
    body.replaceChildren(...places.slice(0, limit).map((at) => el("tr", {}, ...fields.map((field) => cell(field, at, state, mosts.get(field))))));
    if (count > limit) {
      body.append(el("tr", {}, el("td", { colspan: fields.length }, el("button", { class: "more", text: `Show all ${count} rows`, onclick: () => { limit = count; draw(); } }))));
    }
    heads.forEach((head, at) => head.setAttribute("aria-sort", order.field === fields[at] ? (order.isDown ? "descending" : "ascending") : "none"));
  }

  const heads = fields.map((field) => {
    const head = el("th", { scope: "col", class: field.kind === "number" ? "right" : "" }, el("button", {
      text: field.name,
      onclick: () => { order.isDown = order.field === field ? !order.isDown : field.kind !== "text"; order.field = field; draw(); },
    }));
    if (field.config.custom.width) head.style.minWidth = `${Math.min(field.config.custom.width, 360)}px`;
    return head;
  });
  draw();
  scroller.append(el("table", {}, el("thead", {}, el("tr", {}, ...heads)), body));
  return scroller;
}

export function bars(panel, answers, state) {
  const fields = columns(panel, answers).filter((field) => !isHidden(field));
  const numbers = fields.filter((field) => field.kind === "number");
  if (!numbers.length || !numbers[0].values.length) return null;
  const names = fields.filter((field) => field.kind === "text");
  const entries = panel.options?.reduceOptions?.values
    ? numbers[0].values.map((value, at) => ({ value, at, field: numbers[0], name: names.map((field) => field.values[at]).join(" · ") || numbers[0].name }))
    : numbers.map((field) => ({ field, at: last(field.values), value: field.values[last(field.values)], name: field.name }));
  const most = numbers[0].config.max ?? Math.max(...entries.map((entry) => entry.value ?? 0), 0);
  for (const field of numbers) field.config.seenMost = most;
  return el("div", { class: "scroll bars", tabindex: "0", role: "list", "aria-label": panel.title }, ...entries.map(({ value, at, field, name }) => {
    const bar = el("i");
    bar.style.width = `${Math.max(0, Math.min(100, (100 * (value ?? 0)) / (most || 1)))}%`;
    bar.style.background = paintOf(value, field) ?? color("blue");
    return el("div", { class: "bar-row", role: "listitem" },
      el("span", { class: "bar-name", title: name }, linked(name, linkOf(names[0] ?? field, at, state) ?? linkOf(field, at, state))),
      el("span", { class: "track" }, bar),
      el("span", { class: "bar-value", text: shown(value, field) }));
  }));
}

export function barChart(panel, answers, state) {
  const fields = columns(panel, answers).filter((field) => !isHidden(field));
  const by = fields.find((field) => field.column === panel.options?.xField) ?? fields.find((field) => field.kind !== "number");
  const numbers = fields.filter((field) => field.kind === "number" && field !== by);
  if (!by || !numbers.length || !by.values.length) return null;
  const isStacked = ["normal", "percent"].includes(panel.options?.stacking);
  const isPlain = (field) => field.config.custom.axisPlacement === "hidden";
  const drawn = numbers.filter((field) => !isPlain(field));
  const paints = drawn.map((field, place) => (field.config.color?.mode === "fixed" ? color(field.config.color.fixedColor) : palette(place)));
  const total = (at) => drawn.reduce((sum, field) => sum + Math.max(0, field.values[at] ?? 0), 0);
  const most = Math.max(...by.values.map((_name, at) => (isStacked ? total(at) : Math.max(...drawn.map((field) => field.values[at] ?? 0)))), 0) || 1;
  const part = (field, at, place) => {
    const bar = el("i", { title: `${field.name}: ${shown(field.values[at], field)}` });
    bar.style.width = `${(100 * Math.max(0, field.values[at] ?? 0)) / most}%`;
    bar.style.background = paints[place];
    return bar;
  };
  const rows = by.values.map((name, at) => {
    const value = isStacked ? shown(total(at), drawn[0]) : "";
    const tracks = isStacked
      ? [el("span", { class: "track stacked" }, ...drawn.map((field, place) => part(field, at, place)))]
      : drawn.map((field, place) => el("span", { class: "track labelled" }, part(field, at, place), el("b", { text: shown(field.values[at], field) })));
    return el("div", { class: "bar-row", role: "listitem" },
      el("span", { class: "bar-name", title: String(name) }, linked(shown(name, by), linkOf(by, at, state) ?? linkOf(drawn[0], at, state))),
      el("span", { class: "tracks" }, ...tracks), el("span", { class: "bar-value", text: value }));
  });
  const keys = el("div", { class: "keys" }, ...drawn.map((field, place) => {
    const dot = el("i", { class: "dot" });
    dot.style.background = paints[place];
    return el("span", {}, dot, field.name);
  }));
  return el("div", { class: "with-keys" }, el("div", { class: "scroll bars", tabindex: "0", role: "list", "aria-label": panel.title }, ...rows), drawn.length > 1 ? keys : null);
}

// The few forms of Markdown that boards use.
export function words(panel) {
  const box = el("div", { class: "scroll words" });
  let list = null;
  for (const line of (panel.options?.content ?? "").split("\n")) {
    const item = line.match(/^\s*(?:[-*]|\d+\.) +(.*)$/);
    const head = line.match(/^(#{1,4}) +(.*)$/);
    if (item) {
      if (!list) box.append(list = el("ul"));
      list.append(el("li", {}, ...inline(item[1])));
      continue;
    }
    list = null;
    if (head) box.append(el(`h${Math.min(6, head[1].length + 2)}`, {}, ...inline(head[2])));
    else if (line.trim()) box.append(el("p", {}, ...inline(line)));
  }
  return box;
}

function inline(text) {
  return text.split(/(\*\*[^*]+\*\*|`[^`]+`|\[[^\]]+\]\([^)\s]+\))/).map((part) => {
    const link = part.match(/^\[([^\]]+)\]\(([^)\s]+)\)$/);
    if (link) return linked(link[1], { url: link[2], title: "" });
    if (/^\*\*/.test(part)) return el("strong", { text: part.slice(2, -2) });
    if (/^`/.test(part)) return el("code", { text: part.slice(1, -1) });
    return part;
  });
}
