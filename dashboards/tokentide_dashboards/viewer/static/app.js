// The page of a board: its range and variables, its panels, and one snapshot of time for all of them.

import { columns } from "./fields.js";
import { barChart, bars, stat, table, words } from "./values.js";
import { heatmap, states } from "./cells.js";
import { timeSeries, warmUp } from "./charts.js";
import { controls } from "./controls.js";
import { color, el, hideTip, showTip } from "./dom.js";
import { boardUrl } from "./links.js";
import { ask, fetchJson, loadCharts } from "./server.js";
import { readState, resolve, writeState } from "./state.js";

const KINDS = { timeseries: timeSeries, heatmap, "state-timeline": states, stat, table, bargauge: bars, barchart: barChart };
const NEEDS_CHARTS = new Set(["timeseries"]);
const TOGETHER_MS = 100;  // too short to be seen, while each drawing lays out and paints the whole page
// The chart library is in the page below this script: it has run when the page is read.
const isRead = new Promise((done) => document.addEventListener("DOMContentLoaded", done, { once: true }));
const notice = document.getElementById("notice");
const grid = document.getElementById("board");

let state = null, board = null, boards = [], panels = [], marks = [], round = null, bar = null, timer = 0, whyNoCharts = "";

const unsized = [];  // places of charts that were just put into the page

function size(target, { width, height }) {
  const [wide, high] = [Math.floor(width), Math.floor(height)];
  if (wide <= 20 || high <= 20 || target.size === `${wide}/${high}`) return;
  target.size = `${wide}/${high}`;
  target.sized(wide, high);
}

const sizes = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) size(target, contentRect);
});

function say(text) {
  notice.hidden = !text;
  notice.textContent = text;
}

function shell(panel) {
  const place = panel.gridPos;
  if (panel.type === "row") {
    const made = el("h2", { class: "row", text: panel.title });
    made.style.gridColumn = "1 / -1";
    made.style.gridRow = `${place.y + 1} / span ${place.h}`;
    return { panel, made };
  }
  const body = el("div", { class: "body" }, el("p", { class: "quiet", text: "…" }));
  const asTable = el("button", { class: "icon", title: "Show the numbers as a table", "aria-pressed": "false", text: "▤" });
  const about = panel.description ? el("button", { class: "icon", "aria-label": `About: ${panel.description}`, text: "i" }) : null;
  if (about) {
    const tell = () => { const box = about.getBoundingClientRect(); showTip(box.left, box.bottom, el("div", { class: "about", text: panel.description })); };
    for (const event of ["mouseenter", "focus", "click"]) about.addEventListener(event, tell);
    for (const event of ["mouseleave", "blur"]) about.addEventListener(event, hideTip);
  }
  const tools = el("span", { class: "panel-tools" }, about, panel.type in KINDS && panel.type !== "table" && panel.type !== "stat" ? asTable : null);
  const made = el("section", { class: `panel ${panel.type}`, "aria-label": panel.title },
    el("div", { class: "panel-head" }, el("h3", { text: panel.title, title: panel.title }), tools), body);
  made.style.gridColumn = `${place.x + 1} / span ${place.w}`;
  made.style.gridRow = `${place.y + 1} / span ${place.h}`;
  made.style.setProperty("--rows", place.h);
  const one = { panel, made, body, answers: null, isTable: false, done: [], marked: [] };
  asTable.addEventListener("click", () => {
    one.isTable = !one.isTable;
    asTable.setAttribute("aria-pressed", String(one.isTable));
    drawAll([one]);
  });
  return one;
}

function clear(one) {
  for (const end of one.done.splice(0)) end();
  one.marked = [];
}

function context(one) {
  return {
    marks: () => marks,
    zoom: (fromMs, toMs) => go({ from: String(fromMs), to: String(toMs) }),
    whenSized: (target, then) => {
      target.sized = then;
      unsized.push(target);
      sizes.observe(target);
      one.done.push(() => sizes.unobserve(target));
    },
    whenMarked: (then) => one.marked.push(then),
    whenDone: (then) => one.done.push(then),
  };
}

// All are put into the page before the first is measured: it is laid out once for them.
function drawAll(several) {
  for (const one of several.filter((each) => each.answers)) {
    try { draw(one); } catch (problem) { fail(one, problem); }
  }
  const places = unsized.splice(0);
  places.map((target) => target.getBoundingClientRect()).forEach((box, at) => size(places[at], box));
}

function draw(one) {
  const { panel, answers } = one;
  clear(one);
  const isEmpty = answers.every((answer) => !answer.columns[0]?.values.length);
  const instead = one.isTable || (NEEDS_CHARTS.has(panel.type) && !window.uPlot);
  const kind = instead ? table : KINDS[panel.type];
  let drawn = null;
  if (!kind) drawn = el("p", { class: "quiet", text: `Panels of the kind ${panel.type} are drawn in Grafana alone.` });
  else if (!isEmpty) drawn = kind(instead ? { ...panel, options: {} } : panel, answers, state, context(one));
  one.made.classList.toggle("is-empty", !drawn);
  one.body.replaceChildren(drawn ?? el("p", { class: "none", text: panel.fieldConfig?.defaults?.noValue || "Nothing in this range." }));
  if (answers.some((answer) => answer.is_cut)) one.body.append(el("p", { class: "quiet", text: "Only the first 20,000 rows are shown: choose a shorter range." }));
}

async function load(one, signal) {
  const { panel, points } = one;
  try {
    const answers = await Promise.all((panel.targets ?? []).filter((target) => !target.hide).map(async (target) =>
      ({ refId: target.refId, ...await ask(state, { panel: panel.id, ref_id: target.refId, points }, signal) })));
    if (!signal.aborted) one.answers = answers;
  } catch (problem) {
    if (!signal.aborted) fail(one, problem);
  }
}

function fail(one, problem) {
  clear(one);
  one.answers = null;
  one.body.replaceChildren(el("p", { class: "failed", role: "alert", text: problem.message }));
}

async function loadPanels(signal) {
  const asking = panels.filter((one) => one.body && one.panel.type !== "text");
  for (const one of asking) one.made.setAttribute("aria-busy", "true");
  // All are measured before any is written to again: the page is laid out once for them.
  for (const one of asking) one.points = Math.max(20, Math.min(2000, Math.round(one.made.clientWidth || 600)));
  const come = [];
  let together = 0;
  const show = () => {
    clearTimeout(together);
    together = 0;
    if (signal.aborted) return;
    for (const one of come) one.made.removeAttribute("aria-busy");
    drawAll(come.splice(0));
  };
  await Promise.all(asking.map(async (one) => {
    await Promise.all([load(one, signal), isRead]);
    come.push(one);
    together ||= setTimeout(show, TOGETHER_MS);
  }));
  show();
}

async function loadMarks(signal) {
  const layers = (board.annotations?.list ?? []).filter((layer) => !layer.builtIn && layer.enable);
  const found = await Promise.all(layers.map(async (layer) => {
    try {
      const answer = await ask(state, { layer: layer.name, points: 100 }, signal);
      const fields = Object.fromEntries(columns({}, [answer]).map((field) => [field.name, field.values]));
      return (fields.time ?? []).map((ms, at) => ({ ms, endMs: fields.timeEnd?.[at] ?? ms, title: String(fields.title?.[at] ?? ""), text: String(fields.text?.[at] ?? ""), color: layer.iconColor, layer: layer.name }));
    } catch { return []; }
  }));
  if (signal.aborted) return;
  const before = JSON.stringify(marks);
  marks = found.flat();
  bar.showAlerts(marks.filter((mark) => mark.layer === "Alerts"));
  if (JSON.stringify(marks) !== before) for (const one of panels) for (const redraw of one.marked ?? []) redraw();
}

// Everything below one range: the panels of a board that is loaded never show different times.
async function refresh() {
  clearTimeout(timer);
  round?.abort();
  round = new AbortController();
  const { signal } = round;
  state = { ...state, ...resolve(state) };
  bar.show(state);
  document.body.setAttribute("aria-busy", "true");
  try {
    await bar.loadChoices(signal);
    if (signal.aborted) return;
    links();
    const shown = [loadPanels(signal), loadMarks(signal)];
    bar.loadLists(signal);
    await Promise.all(shown);
    if (signal.aborted) return;
    bar.showUpdated(Date.now());
    if (whyNoCharts) await seekCharts();
  } catch (problem) {
    if (problem.name !== "AbortError") say(problem.message);
  } finally {
    if (!signal.aborted) {
      document.body.removeAttribute("aria-busy");
      document.body.dataset.round = String(Number(document.body.dataset.round ?? 0) + 1);
      schedule();
    }
  }
}

async function seekCharts() {
  whyNoCharts = (await fetchJson("/api/boards")).why_no_charts;
  if (!whyNoCharts) {
    await loadCharts();
    drawAll(panels);
  }
  say(whyNoCharts ? `Tables in place of charts: ${whyNoCharts}` : "");
}

const EVERY = { "5s": 5, "10s": 10, "30s": 30, "1m": 60, "5m": 300, "15m": 900 };

function schedule() {
  clearTimeout(timer);
  const seconds = EVERY[state.refresh] ?? (whyNoCharts ? 5 : 0);
  if (seconds) timer = setTimeout(() => (document.hidden ? schedule() : refresh()), seconds * 1000);
}

function links() {
  const nav = document.getElementById("boards");
  nav.replaceChildren(...boards.map((one) => el("a", {
    href: boardUrl(one.uid, state), text: one.title, title: one.description, "aria-current": one.uid === state.uid ? "page" : null,
  })));
}

function go(change) {
  state = { ...state, ...change };
  writeState(state);
  refresh();
}

function zoomOut() {
  const span = state.toMs - state.fromMs;
  go({ from: String(Math.round(state.fromMs - span / 2)), to: String(Math.min(Date.now(), Math.round(state.toMs + span / 2))) });
}

function move(way) {
  const span = (state.toMs - state.fromMs) / 2;
  go({ from: String(Math.round(state.fromMs + way * span)), to: String(Math.round(state.toMs + way * span)) });
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  const act = { r: refresh, z: zoomOut, "[": () => move(-1), "]": () => move(1), t: () => bar.turnTheme() }[event.key];
  if (act) { event.preventDefault(); act(); }
}

async function start() {
  const given = JSON.parse(document.getElementById("given").textContent);
  if (given.error) throw new Error(given.error);
  ({ board, boards, why_no_charts: whyNoCharts } = given);
  if (!board) { say("No board is installed: python -m tokentide_dashboards writes them."); return; }
  if (whyNoCharts) say(`Tables in place of charts: ${whyNoCharts}`);
  document.title = `${board.title} · Tokentide`;
  document.getElementById("title").textContent = board.title;
  document.getElementById("question").textContent = board.description ?? "";
  state = { uid: board.uid, ...readState(board) };
  state = { ...state, ...resolve(state) };
  bar = controls(board, state, { go, refresh, zoomOut, redraw: () => drawAll(panels) });
  panels = (board.panels ?? []).flatMap((panel) => [panel, ...(panel.panels ?? [])]).map(shell);
  grid.replaceChildren(...panels.map((one) => one.made));
  document.addEventListener("keydown", keys);
  addEventListener("popstate", () => { state = { ...state, ...readState(board) }; bar.choose(state); refresh(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden && EVERY[state.refresh] && Date.now() - bar.updated > EVERY[state.refresh] * 1000) refresh(); });
  links();
  for (const one of panels) if (one.panel.type === "text") one.body.replaceChildren(words(one.panel));
  if (panels.some((one) => NEEDS_CHARTS.has(one.panel.type))) isRead.then(() => window.uPlot && setTimeout(warmUp));
  await refresh();
}

start().catch((problem) => say(problem.message)).finally(() => document.body.setAttribute("data-started", ""));
