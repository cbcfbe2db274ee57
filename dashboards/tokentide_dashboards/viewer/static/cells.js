// Heat maps and states over time: a canvas of rectangles, and rows of them.

import { color, el, fontFamily, hideTip, palette, showTip, tipRow } from "./dom.js";
import { mapped, paintOf, series, shown } from "./fields.js";
import { format, moment, shortMoment } from "./format.js";

const LEFT = 64, BOTTOM = 22, TOP = 6, RIGHT = 8;

function timeAxis(state, count) {
  const span = state.toMs - state.fromMs;
  return [...Array(count).keys()].map((at) => ({ share: (at + 0.5) / count, text: shortMoment(state.fromMs + (span * (at + 0.5)) / count, span) }));
}

export function heatmap(panel, answers, state, context) {
  const { times, fields } = series(panel, answers);
  const buckets = fields.filter((field) => field.kind === "number");
  const most = Math.max(0, ...buckets.flatMap((field) => field.values.map((value) => value ?? 0)));
  if (!times.length || !most) return null;
  const step = times.length > 1 ? Math.min(...times.slice(1).map((time, at) => time - times[at])) : 60000;
  const sizes = { unit: panel.options?.yAxis?.unit, decimals: panel.options?.yAxis?.decimals };
  const edge = (name) => (Number.isFinite(Number(name)) && name !== "" ? format(Number(name), sizes) : name);
  const least = panel.options?.filterValues?.le ?? 0;
  const canvas = el("canvas", { role: "img", "aria-label": `${panel.title}: how often each size occurred, over time` });
  const box = el("div", { class: "plot" }, canvas);
  const paint = color("heat").match(/\w\w/g).map((hex) => parseInt(hex, 16));
  let width = 0, height = 0;

  const xOf = (ms) => LEFT + ((ms - state.fromMs) / (state.toMs - state.fromMs)) * (width - LEFT - RIGHT);
  const rowHeight = () => (height - TOP - BOTTOM) / buckets.length;

  function draw() {
    const ratio = devicePixelRatio;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const at = canvas.getContext("2d");
    at.scale(ratio, ratio);
    const high = rowHeight();
    buckets.forEach((field, row) => times.forEach((time, place) => {
      const count = field.values[place] ?? 0;
      if (count <= least) return;
      const [x, end] = [Math.max(LEFT, xOf(time)), Math.min(width - RIGHT, xOf(time + step))];
      at.fillStyle = `rgba(${paint.join(",")},${0.08 + 0.92 * (count / most) ** (panel.options?.color?.exponent ?? 0.5)})`;
      at.fillRect(x, TOP + (buckets.length - 1 - row) * high, Math.max(1, end - x - 1), Math.max(1, high - 1));
    }));
    at.fillStyle = color("muted");
    at.font = `11px ${fontFamily()}`;
    at.textBaseline = "middle";
    at.textAlign = "right";
    const every = Math.ceil(16 / high);
    buckets.forEach((field, row) => {
      if (row % every === 0) at.fillText(edge(field.column), LEFT - 8, Math.max(8, TOP + (buckets.length - 1 - row) * high + high / 2), LEFT - 10);
    });
    at.textAlign = "center";
    for (const { share, text } of timeAxis(state, Math.max(2, Math.floor((width - LEFT) / 110)))) at.fillText(text, LEFT + share * (width - LEFT - RIGHT), height - BOTTOM / 2);
  }

  canvas.addEventListener("mousemove", (event) => {
    const row = buckets.length - 1 - Math.floor((event.offsetY - TOP) / rowHeight());
    const ms = state.fromMs + ((event.offsetX - LEFT) / (width - LEFT - RIGHT)) * (state.toMs - state.fromMs);
    const place = times.findLastIndex((time) => time <= ms);
    const count = buckets[row]?.values[place];
    if (place < 0 || !count || ms > times[place] + step) return hideTip();
    const below = row > 0 ? `${edge(buckets[row - 1].column)} – ` : "up to ";
    showTip(event.clientX, event.clientY, el("div", { class: "tip-time", text: moment(times[place]) }), tipRow(color("heat"), below + edge(buckets[row].column), format(count, panel.options?.cellValues ?? {})));
  });
  canvas.addEventListener("mouseleave", hideTip);
  context.whenSized(box, (wide, high) => { width = wide; height = high; draw(); });
  return box;
}

export function states(panel, answers, state) {
  const { times, fields } = series(panel, answers);
  if (!times.length || !fields.length) return null;
  const seen = new Map();
  const paintFor = (value, field) => {
    const own = mapped(value, field.config)?.color ? color(mapped(value, field.config).color) : typeof value === "number" ? paintOf(value, field) : null;
    if (own) return own;
    if (!seen.has(value)) seen.set(value, palette(seen.size));
    return seen.get(value);
  };
  const span = state.toMs - state.fromMs;
  const share = (ms) => Math.min(100, Math.max(0, (100 * (ms - state.fromMs)) / span));
  const rows = fields.map((field) => {
    const track = el("div", { class: "lane" });
    const known = times.map((time, at) => [time, field.values[at]]).filter(([, value]) => value !== null);
    for (let at = 0; at < known.length; at += 1) {
      const [begin, value] = known[at];
      while (at + 1 < known.length && known[at + 1][1] === value) at += 1;
      const end = known[at + 1]?.[0] ?? state.toMs;
      if (value === "") continue;
      const text = shown(value, field);
      const piece = el("i", {
        text, onmousemove: (event) => showTip(event.clientX, event.clientY, el("div", { class: "tip-time", text: field.name }), tipRow(paintFor(value, field), text, ""), el("div", { text: `${moment(begin)} – ${moment(end)}` })),
        onmouseleave: hideTip,
      });
      piece.style.left = `${share(begin)}%`;
      piece.style.width = `max(2px, ${share(end) - share(begin)}%)`;
      piece.style.setProperty("--paint", paintFor(value, field));
      track.append(piece);
    }
    return el("div", { class: "state-row" }, el("span", { class: "bar-name", text: field.name, title: field.name }), track);
  });
  const axis = el("div", { class: "state-row axis" }, el("span"), el("div", { class: "lane" }, ...timeAxis(state, 5).map(({ share: at, text }) => { const mark = el("b", { text }); mark.style.left = `${at * 100}%`; return mark; })));
  return el("div", { class: "scroll states", tabindex: "0", role: "region", "aria-label": panel.title }, ...rows, axis);
}
