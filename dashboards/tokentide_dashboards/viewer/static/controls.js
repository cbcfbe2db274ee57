// What stands above the panels: variables, range, refresh, alerts, theme.

import { columns } from "./fields.js";
import { el, forgetTheme } from "./dom.js";
import { moment } from "./format.js";
import { boardUrl } from "./links.js";
import { ask } from "./server.js";

const RANGES = [["now-15m", "15 min"], ["now-1h", "1 h"], ["now-6h", "6 h"], ["now-24h", "24 h"], ["now-2d", "2 days"], ["now-7d", "7 days"], ["now-30d", "30 days"], ["now-90d", "90 days"]];
const REFRESHES = [["", "off"], ["10s", "10 s"], ["30s", "30 s"], ["1m", "1 min"], ["5m", "5 min"]];
const ALL = "$__all";
const local = (ms) => { const at = new Date(ms - new Date(ms).getTimezoneOffset() * 60000); return at.toISOString().slice(0, 16); };

function between(fromMs, toMs) {
  const [begin, end] = [moment(fromMs), moment(toMs)];
  return `${begin.slice(0, 16)} – ${begin.slice(0, 10) === end.slice(0, 10) ? end.slice(11, 16) : end.slice(0, 16)}`;
}

function stored(name, value) {
  try {
    if (value === undefined) return localStorage.getItem(name);
    localStorage.setItem(name, value);
  } catch { /* storage is off: the choice lasts as long as the page */ }
  return null;
}

const saved = stored("theme");
if (saved) document.documentElement.dataset.theme = saved;

export function controls(board, state, act) {
  const tools = document.getElementById("tools");
  const filters = document.getElementById("variables");
  let updated = 0;
  const choices = new Map();
  const given = new Set([...new URLSearchParams(location.search).keys()].map((key) => key.replace(/^var-/, "")));

  // Every menu closes at a click outside and at Escape.
  const menus = [];
  function menu(label, name, ...inside) {
    const summary = el("summary", { "aria-label": name }, label);
    const made = el("details", { class: "menu" }, summary, el("div", { class: "drop" }, ...inside));
    menus.push(made);
    made.addEventListener("keydown", (event) => { if (event.key === "Escape") { made.open = false; summary.focus(); } });
    return made;
  }
  document.addEventListener("click", (event) => { for (const one of menus) if (!one.contains(event.target)) one.open = false; });

  const rangeText = el("span");
  const from = el("input", { type: "datetime-local", "aria-label": "From" });
  const to = el("input", { type: "datetime-local", "aria-label": "To" });
  const presets = RANGES.map(([value, text]) => el("button", { text: `Last ${text}`, onclick: () => { range.open = false; act.go({ from: value, to: "now" }); } }));
  const range = menu(rangeText, "Time range", el("div", { class: "presets" }, ...presets), el("div", { class: "exact" }, from, to, el("button", {
    text: "Apply", onclick: () => {
      const [begin, end] = [new Date(from.value).getTime(), new Date(to.value).getTime()];
      if (begin < end) { range.open = false; act.go({ from: String(begin), to: String(end) }); }
    },
  })));
  const every = el("select", { "aria-label": "Refresh", title: "Refresh", onchange: () => act.go({ refresh: every.value }) }, ...REFRESHES.map(([value, text]) => el("option", { value, text: `↻ ${text}` })));
  const now = el("button", { class: "icon", text: "↻", title: "Refresh now (r)", "aria-label": "Refresh now", onclick: act.refresh });
  const out = el("button", { class: "icon", text: "⊖", title: "Zoom out (z)", "aria-label": "Zoom out", onclick: act.zoomOut });
  const theme = el("button", { class: "icon", text: "◐", title: "Light or dark (t)", "aria-label": "Light or dark", onclick: turnTheme });
  const age = el("span", { class: "age" });
  const alertText = el("span", { text: "Alerts" });
  const alertList = el("div", { class: "alerts" });
  const alerts = menu(alertText, "Alerts in this range", alertList);
  tools.replaceChildren(age, alerts, range, out, every, now, theme);

  function turnTheme() {
    const isDark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = isDark ? "light" : "dark";
    stored("theme", document.documentElement.dataset.theme);
    repaint();
  }

  function repaint() {
    forgetTheme();
    act.redraw();
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);

  function change(name, value) {
    state.variables = { ...state.variables, [name]: value };
    given.clear();
    act.go({ variables: state.variables });
  }

  function several(variable) {
    const text = el("span");
    const options = el("div", { class: "options" });
    const search = el("input", { type: "search", placeholder: "find…", "aria-label": `Find ${variable.label || variable.name}`, oninput: list });
    const made = menu(el("span", { class: "variable" }, el("em", { text: variable.label || variable.name }), text), `${variable.label || variable.name}: choose values`, search, options);
    let before = "";
    made.title = variable.description ?? "";
    made.addEventListener("toggle", () => {
      if (made.open) { before = JSON.stringify(state.variables[variable.name]); search.value = ""; list(); search.focus(); }
      else if (before && before !== JSON.stringify(state.variables[variable.name])) change(variable.name, state.variables[variable.name]);
    });

    function list() {
      const chosen = state.variables[variable.name];
      const found = choices.get(variable.name) ?? [];
      const known = [...found, ...chosen.filter((value) => value !== ALL && !found.some((one) => one.value === value)).map((value) => ({ value, text: value }))];
      const wanted = search.value.toLowerCase();
      const boxes = known.filter((one) => one.text.toLowerCase().includes(wanted)).slice(0, 300).map((one) => box(one.value, one.text, chosen.includes(one.value)));
      options.replaceChildren(box(ALL, "All", chosen.includes(ALL)), ...boxes, known.length ? "" : el("p", { class: "quiet", text: "No values in this range." }));
    }

    function box(value, label, isOn) {
      const input = el("input", { type: "checkbox", checked: isOn, onchange: () => {
        const chosen = new Set(state.variables[variable.name]);
        if (value === ALL) { chosen.clear(); chosen.add(ALL); }
        else { chosen.delete(ALL); if (!chosen.delete(value)) chosen.add(value); if (!chosen.size) chosen.add(ALL); }
        state.variables = { ...state.variables, [variable.name]: [...chosen] };
        list();
        show();
      } });
      return el("label", {}, input, el("span", { text: label }));
    }

    function show() {
      const chosen = state.variables[variable.name];
      const isAll = chosen.includes(ALL);
      text.textContent = isAll ? "All" : chosen.length === 1 ? chosen[0] : `${chosen.length} chosen`;
      made.classList.toggle("is-set", !isAll);
    }
    return { made, show, list: () => { if (made.open) list(); } };
  }

  function single(variable) {
    const input = variable.type === "textbox"
      ? el("input", { type: "text", onchange: () => change(variable.name, input.value) })
      : el("select", { onchange: () => change(variable.name, input.value) });
    const made = el("label", { class: "variable one", title: variable.description ?? "" }, el("em", { text: variable.label || variable.name }), input);
    return {
      made,
      show: () => { input.value = state.variables[variable.name]; },
      list: () => {
        if (variable.type === "textbox") return;
        const found = choices.get(variable.name) ?? [];
        const value = state.variables[variable.name];
        // What a link named is kept; what no longer fits another choice becomes the first that does.
        const isKnown = found.some((one) => one.value === value) || (value && given.has(variable.name));
        if (!isKnown && found.length) state.variables = { ...state.variables, [variable.name]: found[0].value };
        const known = isKnown && !found.some((one) => one.value === value) ? [{ value, text: value }, ...found] : found;
        input.replaceChildren(...known.map((one) => el("option", { value: one.value, text: one.text })));
        input.value = state.variables[variable.name];
      },
    };
  }

  const variables = (board.templating?.list ?? []).filter((variable) => ["query", "custom", "textbox"].includes(variable.type));
  const shown = new Map(variables.map((variable) => [variable.name, variable.multi ? several(variable) : single(variable)]));
  for (const variable of variables) {
    if (variable.type === "custom") choices.set(variable.name, (variable.options ?? []).map(({ value, text }) => ({ value, text })));
  }
  filters.replaceChildren(...variables.filter((variable) => variable.hide !== 2).map((variable) => shown.get(variable.name).made));

  async function load(variable, signal) {
    if (variable.type === "query") {
      const answer = await ask(state, { variable: variable.name, points: 100 }, signal);
      const [values, labels] = columns({}, [{ refId: "", ...answer }]);
      choices.set(variable.name, (values?.values ?? []).map((value, at) => ({ value: String(value), text: String(labels?.values[at] ?? value) })));
    }
    shown.get(variable.name).list();
  }

  return {
    get updated() { return updated; },
    turnTheme,
    choose: (next) => { state = next; },
    show: (next) => {
      state = next;
      const isNow = state.to === "now" && RANGES.find(([value]) => value === state.from);
      rangeText.textContent = isNow ? `Last ${isNow[1]}` : /^now/.test(state.from) ? `${state.from} – ${state.to}` : between(state.fromMs, state.toMs);
      from.value = local(state.fromMs);
      to.value = local(state.toMs);
      if (!REFRESHES.some(([value]) => value === state.refresh) && state.refresh) every.append(el("option", { value: state.refresh, text: `↻ ${state.refresh}` }));
      every.value = state.refresh ?? "";
      for (const one of shown.values()) one.show();
    },
    // A choice of one value decides what panels and later choices ask: one after the other.
    loadChoices: async (signal) => {
      for (const variable of variables.filter((one) => !one.multi)) await load(variable, signal);
    },
    // Lists of several values are seen when their menu is opened: panels ask first.
    loadLists: (signal) => {
      for (const variable of variables.filter((one) => one.multi)) load(variable, signal).catch(() => {});
    },
    showUpdated: (ms) => { updated = ms; age.textContent = `as of ${moment(ms).slice(11)}`; },
    showAlerts: (found) => {
      const open = found.filter((alert) => alert.endMs >= state.toMs - 1000);
      alertText.textContent = open.length ? `Alerts ${open.length}` : "Alerts";
      alerts.classList.toggle("is-alarmed", open.length > 0);
      alertList.replaceChildren(...found.sort((one, other) => other.ms - one.ms).slice(0, 50).map((alert) => el("div", { class: alert.endMs >= state.toMs - 1000 ? "alert open" : "alert" },
        el("b", { text: alert.title }), el("span", { text: alert.text }), el("small", { text: `${moment(alert.ms)} – ${alert.endMs >= state.toMs - 1000 ? "open" : moment(alert.endMs)}` }))),
      found.length ? "" : el("p", { class: "quiet", text: "No alert was open in this range." }),
      el("a", { href: boardUrl("tokentide-alerts", state), text: "All about alerts" }));
    },
  };
}
