// Lines, bars and points over time, drawn by uPlot.

import { color, el, fontFamily, hideTip, linked, showTip, tipRow } from "./dom.js";
import { breakGaps, series, shown } from "./fields.js";
import { format, moment, shortMoment } from "./format.js";
import { filled } from "./links.js";

const POINTS = 60;  // of the chart that only warms up
const OFF = new Set();  // legend entries that a reader switched off: by board, panel and name

const durationMs = (text) => parseInt(text ?? "0", 10) * { s: 1e3, m: 60e3, h: 3600e3, d: 86400e3 }[/[smhd]$/.exec(text ?? "s")?.[0] ?? "s"] || 0;

const alpha = (paint, share) => {
  const found = paint.match(/^#(..)(..)(..)$/);
  return found ? `rgba(${found.slice(1).map((hex) => parseInt(hex, 16)).join(",")},${share})` : paint;
};

function bounds(config, isLog) {
  return (_u, least, most) => {
    if (least === null || !Number.isFinite(least)) return isLog ? [0.1, 10] : [0, 1];
    if (isLog) return [config.min ?? 10 ** Math.floor(Math.log10(least)), config.max ?? 10 ** Math.ceil(Math.log10(most) + 1e-9)];
    const soft = config.custom.axisSoftMax;
    let high = config.max ?? Math.max(most, soft ?? -Infinity);
    const low = config.min ?? config.custom.axisSoftMin ?? Math.min(0, least);
    if (config.max === undefined && high === most) high += (high - low) * 0.06;
    return [low, high > low ? high : low + 1];
  };
}

// A point between two gaps has no line: it is drawn as a dot.
function alone(u, at, _show, _gaps) {
  const values = u.data[at];
  if (values.length > 1 && !values.includes(null)) return null;
  const found = [];
  for (let place = u.series[0].idxs?.[0] ?? 0; place <= (u.series[0].idxs?.[1] ?? values.length - 1); place += 1) {
    if (values[place] !== null && (values[place - 1] ?? null) === null && (values[place + 1] ?? null) === null) found.push(place);
  }
  return found.length ? found : null;
}

// A line without gap, fill or logarithm, as most are: uPlot's own path, less what only those need.
function straight(u, which, first, last) {
  const stroke = new Path2D(), { left, top, width, height } = u.bbox;
  const times = u.data[0], values = u.data[which], x = u.scales.x, y = u.scales[u.series[which].scale];
  const perTime = width / (x.max - x.min), perValue = height / (y.max - y.min);
  for (let at = first; at <= last; at += 1) stroke.lineTo(Math.round(left + (times[at] - x.min) * perTime), Math.round(top + (y.max - values[at]) * perValue));
  return { stroke, fill: null, clip: null, band: null, gaps: null, flags: 1 };
}

const places = (step) => (step > 0 && step < 1 ? Math.min(9, Math.ceil(-Math.log10(step) - 1e-9)) : 0);

function stacked(fields) {
  const sums = [];
  return fields.map((field) => {
    if (field.isBeside || field.config.custom.lineStyle?.fill === "dash" || field.config.custom.stacking?.mode === "none") return field.values;
    return field.values.map((value, at) => {
      if (fields.every((one) => one.values[at] === null)) return null;
      sums[at] = (sums[at] ?? 0) + (value ?? 0);
      return sums[at];
    });
  });
}

export function timeSeries(panel, answers, state, context) {
  const { times, fields } = series(panel, answers);
  if (!times.length || !fields.some((field) => field.values.some((value) => value !== null))) return null;
  if (panel.fieldConfig?.defaults?.custom?.spanNulls !== true) breakGaps(times, fields, durationMs(panel.interval));
  const key = (field) => `${state.uid}/${panel.id}/${field.name}`;
  const custom = panel.fieldConfig?.defaults?.custom ?? {};
  const isStacked = custom.stacking?.mode === "normal";
  const isLog = custom.scaleDistribution?.type === "log";
  let drawn = isStacked ? stacked(fields) : fields.map((field) => (isLog ? field.values.map((value) => (value > 0 ? value : null)) : field.values));
  const box = el("div", { class: panel.options?.legend?.placement === "right" ? "chart side" : "chart" });
  const canvas = el("div", { class: "plot" });
  box.append(canvas);
  const lines = fields.filter((field) => !field.isBeside && field.config.custom.lineStyle?.fill !== "dash").length;
  const text = color("muted"), grid = color("grid");
  const font = `11px ${fontFamily()}`;
  const axisField = (scale) => fields.find((field) => !field.isBeside && scaleOf(field) === scale);
  const scaleOf = (field) => (field.isBeside ? "beside" : field.config.custom.axisPlacement === "right" ? "right" : "y");
  const has = (scale) => fields.some((field) => scaleOf(field) === scale);
  const order = isStacked ? fields.map((_field, at) => at).reverse() : fields.map((_field, at) => at);

  const options = {
    width: 300, height: 150, legend: { show: false }, padding: [8, has("right") ? 0 : 24, 0, 0],
    cursor: {
      y: false, points: { size: 6 }, drag: { x: true, y: false, setScale: false, dist: 8 },
      sync: { key: "board", scales: ["x", null] }, focus: { prox: 24 },
    },
    select: { show: true },
    scales: {
      x: { time: true, range: () => [state.fromMs / 1000, state.toMs / 1000] },
      y: { distr: isLog ? 3 : 1, range: bounds((axisField("y") ?? fields[0]).config, isLog) },
      right: { range: bounds((axisField("right") ?? fields[0]).config, false) },
      beside: { range: (_u, least, most) => [least ?? 0, (most ?? 1) * 1000 + 1] },
    },
    axes: [
      { stroke: text, font, grid: { stroke: grid, width: 1 }, ticks: { show: false }, space: 70, size: 26, values: (_u, splits) => splits.map((at) => shortMoment(at * 1000, state.toMs - state.fromMs)) },
      ...["y", "right"].filter(has).map((scale) => ({
        scale, side: scale === "y" ? 3 : 1, stroke: text, font, ticks: { show: false }, gap: 6, space: 34,
        grid: { show: scale === "y", stroke: grid, width: 1 },
        values: (_u, splits, _axis, _space, step) => splits.map((value) => (value === null ? "" : format(value, { ...axisField(scale).config, decimals: axisField(scale).config.unit === "currencyUSD" && Math.abs(value) < 1e4 ? places(step) : null }))),
        size: (u, values) => Math.max(34, 14 + 6.6 * Math.max(...(values ?? [""]).map((value) => String(value).length))),
      })),
    ],
    series: [{}, ...order.map((at) => {
      const field = fields[at];
      const own = field.config.custom;
      const isDashed = own.lineStyle?.fill === "dash";
      const share = isStacked || own.drawStyle === "bars" || lines <= 2 ? (own.fillOpacity ?? 0) / 100 : 0;  // more of them only make mud
      const style = isDashed ? "line" : own.drawStyle ?? "line";
      return {
        label: field.name, scale: scaleOf(field), stroke: field.paint, show: !OFF.has(key(field)) ,
        width: field.isBeside || style === "points" ? 0 : own.lineWidth ?? 1,
        dash: isDashed ? [6, 5] : undefined,
        fill: share && !field.isBeside && !isDashed ? alpha(field.paint, isStacked && style !== "bars" ? Math.max(share, 0.35) : share) : undefined,
        paths: style === "bars" ? uPlot.paths.bars({ size: [0.75, 24] }) : share || isLog || drawn[at].includes(null) ? undefined : straight,
        points: { show: !field.isBeside && style === "points", filter: !field.isBeside && style === "line" ? alone : () => null, size: own.pointSize ?? 4, fill: field.paint },
        spanGaps: own.spanNulls === true,
      };
    })],
    hooks: {
      draw: [(u) => { thresholds(u); layers(u); }],
      setSelect: [(u) => {
        if (u.select.width < 8) return;
        const [begin, end] = [u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")];
        u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        if (end - begin >= 1) context.zoom(Math.round(begin * 1000), Math.round(end * 1000));
      }],
    },
  };

  function thresholds(u) {
    const config = axisField("y")?.config;
    if (!config || !["dashed", "line", "line+area", "dashed+area"].includes(config.custom.thresholdsStyle?.mode)) return;
    for (const step of config.thresholds?.steps?.slice(1) ?? []) {
      if (step.value < u.scales.y.min || step.value > u.scales.y.max) continue;
      const y = Math.round(u.valToPos(step.value, "y", true));
      stroke(u, color(step.color), [4 * devicePixelRatio, 4 * devicePixelRatio], () => { u.ctx.moveTo(u.bbox.left, y); u.ctx.lineTo(u.bbox.left + u.bbox.width, y); });
    }
  }

  function layers(u) {
    for (const mark of context.marks()) {
      const paint = color(mark.color);
      const at = (ms) => Math.round(u.valToPos(Math.min(Math.max(ms, state.fromMs), state.toMs) / 1000, "x", true));
      if (mark.endMs > mark.ms) {
        u.ctx.save();
        u.ctx.fillStyle = alpha(paint, 0.07);
        u.ctx.fillRect(at(mark.ms), u.bbox.top, Math.max(1, at(mark.endMs) - at(mark.ms)), u.bbox.height);
        u.ctx.restore();
      }
      if (mark.ms >= state.fromMs && mark.ms <= state.toMs) stroke(u, alpha(paint, 0.4), [2 * devicePixelRatio, 4 * devicePixelRatio], () => { u.ctx.moveTo(at(mark.ms), u.bbox.top); u.ctx.lineTo(at(mark.ms), u.bbox.top + u.bbox.height); });
    }
  }

  function stroke(u, paint, dash, path) {
    u.ctx.save();
    u.ctx.strokeStyle = paint;
    u.ctx.lineWidth = devicePixelRatio;
    u.ctx.setLineDash(dash);
    u.ctx.beginPath();
    path();
    u.ctx.stroke();
    u.ctx.restore();
  }

  const data = [times.map((time) => time / 1000), ...order.map((at) => drawn[at])];
  let plot = null;

  function hover(event) {
    const at = plot?.cursor.idx;
    if (at === null || at === undefined || plot.cursor.left < 0) return hideTip();
    const near = fields.filter((field) => !OFF.has(key(field)) && !field.isBeside && field.values[at] !== null)
      .sort((one, other) => other.values[at] - one.values[at]).slice(0, 14);
    const rows = near.map((field) => {
      const beside = fields.find((other) => other.isBeside && other.values[at] !== null && JSON.stringify(other.labels) === JSON.stringify(field.labels));
      const n = beside && beside.kind === "number" ? `  (${beside.column} ${shown(beside.values[at], beside)})` : "";
      return tipRow(field.paint, field.name, shown(field.values[at], field) + n);
    });
    const marks = context.marks().filter((mark) => Math.abs(plot.valToPos(mark.ms / 1000, "x") - plot.cursor.left) < 6).slice(0, 4)
      .map((mark) => el("div", { class: "tip-mark" }, tipRow(color(mark.color), mark.title, ""), el("span", { text: mark.text })));
    showTip(event.clientX, event.clientY, el("div", { class: "tip-time", text: moment(times[at]) }), ...rows, ...marks);
  }

  canvas.addEventListener("mousemove", hover);
  canvas.addEventListener("mouseleave", hideTip);
  const legend = panel.options?.legend?.showLegend === false ? null : keys();
  if (legend) box.append(legend);

  // What bands and dashed lines are that no series draws: alerts, changes, limits.
  function explained() {
    const layerNames = { Alerts: "alert", Changes: "change" };
    const seen = new Map(context.marks().filter((mark) => mark.endMs >= state.fromMs && mark.ms <= state.toMs).map((mark) => [mark.layer, mark]));
    const config = axisField("y")?.config;
    const limits = config?.custom.thresholdsStyle?.mode?.includes("dashed") ? config.thresholds?.steps?.slice(1) ?? [] : [];
    const entry = (kind, style, paint, words) => {
      const dot = el("i", { class: kind });
      dot.style.setProperty(style, paint);
      return el("span", { class: "key" }, dot, words);
    };
    return [
      ...[...seen].map(([layer, mark]) => entry("dot band", "background", color(mark.color), layerNames[layer] ?? layer)),
      ...limits.map((step) => entry("dot dashed", "border-color", color(step.color), `limit ${format(step.value, config)}`)),
    ];
  }

  function keys() {
    const isTable = panel.options?.legend?.displayMode === "table";
    const lastOf = (values) => values.findLast((value) => value !== null) ?? null;
    const entries = fields.filter((field) => !field.isBeside).map((field) => {
      const dot = el("i", { class: field.config.custom.lineStyle?.fill === "dash" ? "dot dashed" : "dot" });
      dot.style.setProperty(field.config.custom.lineStyle?.fill === "dash" ? "border-color" : "background", field.paint);
      const button = el("button", {
        class: "key", "aria-pressed": String(!OFF.has(key(field))), title: "Show or hide; with Shift, show only this one",
        onclick: (event) => {
          const others = fields.filter((other) => other !== field && !other.isBeside);
          if (event.shiftKey) {
            OFF.delete(key(field));
            const areOff = others.every((other) => OFF.has(key(other)));
            for (const other of others) OFF[areOff ? "delete" : "add"](key(other));
          } else OFF[OFF.has(key(field)) ? "delete" : "add"](key(field));
          fields.forEach((one, at) => plot?.setSeries(order.indexOf(at) + 1, { show: !OFF.has(key(one)) }));
          for (const entry of entries) entry.button.setAttribute("aria-pressed", String(!OFF.has(key(entry.field))));
        },
      }, dot, el("span", { text: field.name }), isTable ? el("b", { text: shown(lastOf(field.values), field) }) : null);
      return { field, button };
    });
    const links = (panel.fieldConfig?.defaults?.links ?? []).filter((link) => !/\$\{__field|\$\{__data/.test(link.url)).map((link) => filled(link, state));
    const list = el("div", { class: isTable ? "keys tall" : "keys" }, ...entries.map(({ field, button }) => {
      const own = (field.config.links ?? []).find((link) => /\$\{__field/.test(link.url));
      return own ? el("span", { class: "pair" }, button, linked("↗", filled(own, state, { labels: field.labels, name: field.name }))) : button;
    }));
    const marked = el("span", { class: "marked" });
    list.append(marked);
    const mark = () => marked.replaceChildren(...explained());
    mark();
    context.whenMarked(mark);
    for (const link of links) list.append(el("span", { class: "go" }, linked(`${link.title} ↗`, link)));
    return list;
  }

  context.whenSized(canvas, (width, height) => {
    if (plot) plot.setSize({ width, height });
    else {
      // Drawn before it is in the page: a font that is set on a canvas of the page asks for the styles of all of it.
      plot = new uPlot({ ...options, width, height }, data);
      queueMicrotask(() => plot && canvas.append(plot.root));
    }
  });
  context.whenMarked(() => plot?.redraw(false));
  context.whenDone(() => { plot?.destroy(); plot = null; });
  return box;
}

// The first chart of a page takes three times as long as any other, in reading script, fonts and number formats.
// A hidden one is drawn while answers are awaited, when the page has nothing else to do.
export function warmUp() {
  const rows = [...Array(2 * POINTS).keys()];
  const columns = [
    { name: "time", kind: "time", values: rows.map((row) => (row >> 1) * 60e3) }, { name: "name", kind: "text", values: rows.map((row) => "ab"[row % 2]) },
    { name: "n", kind: "number", values: rows },
  ];
  const context = { marks: () => [], whenSized: (_target, then) => then(400, 200), whenMarked: () => {}, whenDone: (then) => setTimeout(then) };
  timeSeries({ type: "timeseries" }, [{ columns }], { fromMs: 0, toMs: POINTS * 60e3 }, context);
}
