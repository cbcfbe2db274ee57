// Numbers and times as people read them, under Grafana's names of units.

const SCALES = [[1e12, " T"], [1e9, " B"], [1e6, " M"], [1e3, " K"]];
const MS = [[86400e3, "day"], [3600e3, "h"], [60e3, "min"], [1e3, "s"]];

// Making one takes as long as writing a thousand numbers with it.
const writers = new Map();

function writer(least, most) {
  const key = `${least}/${most}`;
  if (!writers.has(key)) writers.set(key, new Intl.NumberFormat("en-US", { minimumFractionDigits: least, maximumFractionDigits: most }));
  return writers.get(key);
}

function digits(value, decimals) {
  if (decimals !== undefined && decimals !== null) return writer(decimals, decimals).format(value);
  const size = Math.abs(value);
  const most = size === 0 || size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : Math.min(12, 2 - Math.floor(Math.log10(size)));
  return writer(0, Math.max(0, most)).format(value);
}

function short(value, decimals) {
  const scale = SCALES.find(([least]) => Math.abs(value) >= least);
  return scale ? digits(value / scale[0], decimals) + scale[1] : digits(value, decimals);
}

function duration(ms, decimals) {
  const scale = MS.find(([least]) => Math.abs(ms) >= least);
  return scale ? `${digits(ms / scale[0], decimals)} ${scale[1]}` : `${digits(ms, decimals)} ms`;
}

function longDuration(seconds) {
  const parts = [];
  let left = Math.round(Math.abs(seconds));
  for (const [size, name] of [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]]) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count && parts.length < 2) parts.push(`${count} ${name}`);
  }
  return (seconds < 0 ? "-" : "") + (parts.join(" ") || "0 s");
}

function bytes(value, decimals) {
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < 5) { value /= 1024; unit += 1; }
  return `${digits(value, decimals)} ${["B", "KiB", "MiB", "GiB", "TiB", "PiB"][unit]}`;
}

const two = (value) => String(value).padStart(2, "0");

export function moment(ms) {
  const at = new Date(ms);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

export function shortMoment(ms, rangeMs) {
  const at = new Date(ms);
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}`;
  if (rangeMs <= 86400e3) return clock;
  const day = `${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return rangeMs <= 7 * 86400e3 ? `${day} ${clock}` : day;
}

export function ago(ms) {
  const past = Date.now() - ms;
  return past < 0 ? `in ${longDuration(-past / 1000)}` : `${longDuration(past / 1000)} ago`;
}

const UNITS = {
  none: digits,
  short,
  string: (value) => String(value),
  currencyUSD: (value, decimals) => {
    const size = Math.abs(value);
    const text = size >= 1e4 ? short(size, decimals) : digits(size, decimals ?? (size >= 1 || size === 0 ? 2 : null));
    return `${value < 0 ? "-" : ""}$${text.replace(" ", "")}`;
  },
  percentunit: (value, decimals) => `${digits(value * 100, decimals)} %`,
  percent: (value, decimals) => `${digits(value, decimals)} %`,
  ms: duration,
  s: (value, decimals) => duration(value * 1000, decimals),
  dtdurations: longDuration,
  dateTimeFromNow: ago,
  dateTimeAsIso: moment,
  reqps: (value, decimals) => `${short(value, decimals)} req/s`,
  bytes,
};

export function format(value, config, kind = "number") {
  if (value === null || value === undefined || value === "") return "";
  if (kind === "time") return (config.unit === "dateTimeFromNow" ? ago : moment)(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "number") return typeof value === "object" ? JSON.stringify(value) : String(value);
  const unit = config.unit || "none";
  const extra = unit.match(/^(suffix|prefix): ?(.*)$/);
  if (extra) {
    const number = short(value, config.decimals);
    return extra[1] === "prefix" ? extra[2] + number : number + (/^[%x]/.test(extra[2]) ? "" : " ") + extra[2];
  }
  return (UNITS[unit] || short)(value, config.decimals);
}
