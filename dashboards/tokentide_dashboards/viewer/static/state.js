// Range, variables and refresh of a board: they stand in the address, so every view is a link.

const UNITS = { s: 1e3, m: 60e3, h: 3600e3, d: 86400e3, w: 7 * 86400e3 };

export function instant(text, now) {
  if (/^\d+$/.test(text)) return Number(text);
  const found = text.match(/^now(?:([-+])(\d+)([smhdw]))?(?:\/([hdw]))?$/);
  if (!found) return null;
  let at = now + (found[1] ? (found[1] === "-" ? -1 : 1) * Number(found[2]) * UNITS[found[3]] : 0);
  if (found[4]) {
    const day = new Date(at);
    if (found[4] === "h") day.setMinutes(0, 0, 0);
    else day.setHours(0, 0, 0, 0);
    if (found[4] === "w") day.setDate(day.getDate() - ((day.getDay() + 6) % 7));
    at = day.getTime();
  }
  return at;
}

export function resolve(state) {
  const now = Date.now();
  const toMs = instant(state.to, now) ?? now;
  const fromMs = instant(state.from, now) ?? toMs - 6 * 3600e3;
  return fromMs < toMs ? { fromMs, toMs } : { fromMs: toMs - 3600e3, toMs };
}

export function readState(board) {
  const query = new URLSearchParams(location.search);
  const variables = {};
  for (const variable of board.templating?.list ?? []) {
    const given = query.getAll(`var-${variable.name}`);
    const current = variable.current?.value;
    if (variable.multi) variables[variable.name] = given.length ? given : Array.isArray(current) && current.length ? current : ["$__all"];
    else variables[variable.name] = given.length ? given[0] : Array.isArray(current) ? current[0] ?? "" : current ?? (variable.type === "textbox" ? variable.query ?? "" : "");
  }
  return {
    from: query.get("from") ?? board.time?.from ?? "now-6h",
    to: query.get("to") ?? board.time?.to ?? "now",
    refresh: query.get("refresh") ?? board.refresh ?? "",
    variables,
  };
}

export function writeState(state) {
  const query = new URLSearchParams({ from: state.from, to: state.to });
  for (const [name, value] of Object.entries(state.variables)) {
    for (const one of Array.isArray(value) ? value : [value]) query.append(`var-${name}`, one);
  }
  query.set("refresh", state.refresh ?? "");
  history.pushState(null, "", `/d/${encodeURIComponent(state.uid)}?${query}`);
}
