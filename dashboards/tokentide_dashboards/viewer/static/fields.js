// From the answer of a query to fields: what each column is called, and how a panel wants it drawn.

import { color, palette } from "./dom.js";
import { format } from "./format.js";

function put(config, id, value) {
  const path = id.split(".");
  let at = config;
  for (const step of path.slice(0, -1)) at = at[step] = { ...at[step] };
  at[path.at(-1)] = value;
}

function fits(matcher, field) {
  switch (matcher.id) {
    case "byName": return matcher.options === field.name || matcher.options === field.base;
    case "byRegexp": try { return new RegExp(matcher.options.replace(/^\/|\/$/g, "")).test(field.name); } catch { return false; }
    case "byType": return matcher.options === (field.kind === "text" ? "string" : field.kind);
    case "byFrameRefID": return matcher.options === field.refId;
    default: return false;
  }
}

const LEAF = Symbol("series");

export const templated = (text, field) => text.replace(/\$\{__field\.(?:labels\.(\w+)|name)\}/g,
  (_whole, label) => (label ? field.labels[label] ?? "" : field.name));

function configured(panel, field, place, several) {
  const defaults = panel.fieldConfig?.defaults ?? {};
  const config = { ...defaults, custom: { ...defaults.custom } };
  const labels = Object.values(field.labels).filter((text) => text !== "");
  field.base = labels.length ? (several ? [...labels, field.name].join(" ") : labels.join(" ")) : field.name;
  for (const override of panel.fieldConfig?.overrides ?? []) {
    if (fits(override.matcher, field)) for (const one of override.properties) put(config, one.id, one.value);
  }
  const name = config.displayName ? templated(config.displayName, field).trim() : "";
  return { ...field, config, place, name: name || field.base, column: field.name };
}

// Columns as they are: a table's, or those of one row.
export function columns(panel, answers) {
  return answers.flatMap(({ refId, columns: found }) => found.map(({ name, kind, values }, at) => configured(
    panel, { name, kind, labels: {}, refId, values, found }, at, false)));
}

// Moments of all answers, once each. A query answers in the order of time, so only the last one need be compared with the next.
function moments(answers) {
  const times = [];
  let isSorted = true, last;
  for (const { columns: found } of answers) {
    const given = found.find((column) => column.kind === "time")?.values ?? [];
    for (let row = 0; row < given.length; row += 1) {
      if (given[row] === last) continue;
      if (given[row] < last) isSorted = false;
      times.push(last = given[row]);
    }
  }
  return isSorted ? times : [...new Set(times)].sort((one, other) => one - other);
}

// Rows come in the order of time: mostly it is the next moment.
function placeOf(time, moments, after) {
  if (moments[after] === time) return after;
  let low = 0, high = moments.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (moments[middle] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

// Each value goes to the series of its labels, which `begin` makes. This alone sees every row: what stands here is compiled for speed.
function spread(times, labels, values, moments, begin) {
  const tree = new Map();  // a level of maps a label: the series of a row are found without writing a key for it
  let place = -1;
  for (let row = 0; row < times.length; row += 1) {
    let branch = tree;
    for (let level = 0; level < labels.length; level += 1) {
      const label = labels[level][row];
      let next = branch.get(label);
      if (!next) branch.set(label, next = new Map());
      branch = next;
    }
    let mine = branch.get(LEAF);
    if (!mine) branch.set(LEAF, mine = begin(row));
    if (times[row] !== moments[place]) place = placeOf(times[row], moments, place + 1);
    for (let which = 0; which < mine.length; which += 1) {
      const { values: line } = mine[which];
      fill(line, place);
      line[place] = values[which][row];
    }
  }
}

// Only a line with gaps holds nulls: a browser stores numbers alone in half of the memory.
function fill(line, length) {
  while (line.length < length) line.push(null);
}

// Series over time: each number of each set of labels is one.
export function series(panel, answers) {
  const times = moments(answers);
  const made = [];
  for (const { refId, columns: found } of answers) {
    const timeAt = found.findIndex((column) => column.kind === "time");
    if (timeAt < 0) continue;
    const hasNumbers = found.some((column) => column.kind === "number");
    const labelsAt = hasNumbers ? found.flatMap((column, at) => (column.kind === "text" ? [at] : [])) : found.flatMap((column, at) => (column.kind === "text" ? [at] : [])).slice(0, -1);
    const valuesAt = found.flatMap((column, at) => (at !== timeAt && !labelsAt.includes(at) ? [at] : []));
    const begin = (row) => {
      const labels = Object.fromEntries(labelsAt.map((label) => [found[label].name, String(found[label].values[row])]));
      const mine = valuesAt.map((at) => ({
        name: found[at].name, kind: found[at].kind, refId, several: valuesAt.length > 1, labels, values: [],
      }));
      made.push(...mine);
      return mine;
    };
    const valuesOf = (places) => places.map((at) => found[at].values);
    spread(found[timeAt].values, valuesOf(labelsAt), valuesOf(valuesAt), times, begin);
  }
  for (const { values } of made) fill(values, times.length);
  const fields = made.map((field, place) => configured(panel, field, place, field.several));
  // A name keeps its colour from one range to the next as long as the same names are there.
  const isLabelled = fields.some((field) => Object.keys(field.labels).length);
  if (isLabelled && panel.type !== "heatmap") fields.sort((one, other) => one.name.localeCompare(other.name, "en"));
  let drawn = 0;
  for (const field of fields) {
    const fixed = field.config.color?.mode === "fixed" && field.config.color.fixedColor;
    field.isBeside = field.config.custom.axisPlacement === "hidden" || field.config.custom.hideFrom?.viz === true;
    field.paint = fixed ? color(fixed) : field.isBeside ? color("muted") : palette(drawn++);
  }
  return { times, fields };
}

// Without calls there is no row: a point without values breaks the lines, or they would join over it.
export function breakGaps(times, fields, leastMs) {
  const steps = times.slice(1).map((time, at) => time - times[at]);
  const step = Math.max(leastMs, Math.min(...steps));
  for (let at = steps.length - 1; at >= 0; at -= 1) {
    if (steps[at] < 1.5 * step) continue;
    times.splice(at + 1, 0, times[at] + step);
    for (const field of fields) field.values.splice(at + 1, 0, null);
  }
}

export function stepOf(value, config) {
  const steps = config.thresholds?.steps ?? [];
  let found = steps[0]?.color;
  let least = 0, most = 100;
  if (config.thresholds?.mode === "percentage") { least = config.min ?? 0; most = config.max ?? config.seenMost ?? 100; }
  for (const step of steps.slice(1)) {
    const from = config.thresholds?.mode === "percentage" ? least + (step.value / 100) * (most - least) : step.value;
    if (typeof value === "number" && value >= from) found = step.color;
  }
  return found;
}

export function mapped(value, config) {
  for (const mapping of config.mappings ?? []) {
    if (mapping.type === "value" && mapping.options?.[String(value)]) return mapping.options[String(value)];
    if (mapping.type === "range" && typeof value === "number" && (mapping.options.from ?? -Infinity) <= value && value <= (mapping.options.to ?? Infinity)) return mapping.options.result;
    if (mapping.type === "special" && mapping.options.match === "null" && value === null) return mapping.options.result;
  }
  return null;
}

export function shown(value, field) {
  const mapping = mapped(value, field.config);
  return mapping?.text ?? format(value, field.config, field.kind);
}

export function paintOf(value, field) {
  const mapping = mapped(value, field.config);
  if (mapping?.color) return color(mapping.color);
  const mode = field.config.color?.mode;
  if (mode === "fixed") return color(field.config.color.fixedColor ?? "blue");
  const step = stepOf(value, field.config);
  return step && step !== "transparent" && step !== "text" ? color(step) : null;
}
