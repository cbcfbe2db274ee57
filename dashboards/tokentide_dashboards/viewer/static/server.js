// What the page asks of its server: answers, and the chart library.

export async function fetchJson(url, options = {}) {
  let reply;
  try {
    reply = await fetch(url, options);
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new Error("The viewer does not answer: is `tokentide up` running?");
  }
  const found = await reply.json();
  if (found.error) throw new Error(found.error);
  return found;
}

// A query is named by its place on the board; the server knows its text.
export function ask(state, named, signal) {
  return fetchJson("/api/query", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ board: state.uid, from_ms: state.fromMs, to_ms: state.toMs, variables: state.variables, ...named }),
    signal,
  });
}

export function loadCharts() {
  const style = document.createElement("link");
  style.rel = "stylesheet";
  style.href = "/static/uplot.css";
  document.head.prepend(style);
  return new Promise((done) => {
    const script = document.createElement("script");
    script.src = "/static/uplot.js";
    script.onload = script.onerror = done;
    document.head.append(script);
  });
}
