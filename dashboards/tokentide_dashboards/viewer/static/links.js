// Links of boards and panels: range, variables and what was clicked on, put in as Grafana does.

const encode = (value) => encodeURIComponent(value === null || value === undefined ? "" : String(value));

export function rangeQuery(state) {
  return `from=${encode(state.from)}&to=${encode(state.to)}`;
}

export function variableQuery(name, state) {
  const values = state.variables[name] ?? [];
  return (Array.isArray(values) ? values : [values]).map((value) => `var-${encode(name)}=${encode(value)}`).join("&");
}

export function filled(link, state, { row = {}, labels = {}, value = null, name = "" } = {}) {
  const url = link.url.replace(/\$\{([^}]+)\}|\$(__\w+)/g, (whole, braced, bare) => {
    const [path] = (braced ?? bare).split(":");
    const isPlain = (braced ?? "").endsWith(":raw");
    const put = (found) => (isPlain ? String(found ?? "") : encode(found));
    if (path === "__url_time_range") return rangeQuery(state);
    if (path === "__all_variables") return Object.keys(state.variables).map((one) => variableQuery(one, state)).join("&");
    if (path === "__from") return encode(state.fromMs);
    if (path === "__to") return encode(state.toMs);
    if (path === "__value.raw" || path === "__value.text") return put(value);
    if (path === "__field.name") return put(name);
    if (path.startsWith("__field.labels.")) return put(labels[path.slice(15)]);
    if (path.startsWith("__data.fields.")) return put(row[path.slice(14).replace(/^\["?|"?\]$/g, "")]);
    if (path in state.variables) return (braced ?? "").endsWith(":queryparam") ? variableQuery(path, state) : put(state.variables[path]);
    return whole;
  });
  // A link whose whole address is data is that address, not an encoded part of one.
  const whole = link.url.match(/^\$\{__data\.fields\.(\w+)(?::\w+)?\}$/);
  return { title: link.title, targetBlank: link.targetBlank, url: whole ? String(row[whole[1]] ?? "") : url };
}

export const boardUrl = (uid, state) =>
  `/d/${encode(uid)}?${[rangeQuery(state), ...Object.keys(state.variables).map((name) => variableQuery(name, state)), state.refresh ? `refresh=${encode(state.refresh)}` : ""].filter(Boolean).join("&")}`;
