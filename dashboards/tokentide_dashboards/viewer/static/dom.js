// Elements of the page. Texts only ever become text: nothing here reads markup.

const LISTENER = /^on/;

export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (LISTENER.test(name)) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else if (name === "text") made.textContent = value;
    else if (name === "css") for (const [key, one] of Object.entries(value)) made.style.setProperty(key, one);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

// A link is to a page of the web or to one of ours; whatever else data holds stays text.
export function safeUrl(url) {
  if (/^\/(?![/\\])/.test(url)) return url;
  try {
    const parsed = new URL(url);
    return parsed.protocol === "http:" || parsed.protocol === "https:" ? parsed.href : null;
  } catch {
    return null;
  }
}

export function linked(text, link) {
  const url = link && safeUrl(link.url);
  if (!url) return document.createTextNode(text);
  const outside = link.targetBlank ? { target: "_blank", rel: "noopener noreferrer" } : {};
  return el("a", { href: url, title: link.title, text, ...outside });
}

// Asking for a style makes the browser lay out what was changed before: each is asked for once a theme.
const styles = new Map();
const styleOf = (key, read) => styles.get(key) ?? styles.set(key, read()).get(key);

export const forgetTheme = () => styles.clear();
export const fontFamily = () => styleOf("font-family", () => getComputedStyle(document.body).fontFamily);

export function color(name) {
  const known = styleOf(`--${name}`, () => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());
  return known || (/^#[0-9a-f]{3,8}$|^rgba?\([\d., %]+\)$/i.test(name) ? name : color("blue"));
}

const PALETTE = 10;
export const palette = (place) => color(`series-${place % PALETTE}`);

const tip = el("div", { class: "tip", hidden: true, "aria-hidden": "true" });

export function showTip(x, y, ...children) {
  if (!tip.isConnected) document.body.append(tip);
  tip.replaceChildren(...children);
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const left = x + 16 + box.width > innerWidth ? x - box.width - 16 : x + 16;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.max(4, Math.min(y + 12, innerHeight - box.height - 4))}px`;
}

export function hideTip() {
  tip.hidden = true;
}

export function tipRow(paint, name, value, isNear = false) {
  const dot = el("i", { class: "dot" });
  dot.style.background = paint;
  return el("div", { class: isNear ? "tip-row near" : "tip-row" }, dot, el("span", { text: name }), el("b", { text: value }));
}
