// The live comparison: asks for the figures once a second and draws them. Texts go in as text, never as HTML.
"use strict";
const SVG = "http://www.w3.org/2000/svg";
const MARKS = { PASS: "✓", FAIL: "✗", INCONCLUSIVE: "?", INVALID: "!", open: "…" };
let ROLES = ["stable", "candidate"];
const find = (id) => document.getElementById(id);

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  made.append(...children);
  return made;
}

function shape(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  made.append(...children);
  return made;
}

function quantity(value, unit) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  const fixed = unit === "%" || unit === "pp" ? 2 : size >= 1000 || (!unit && Number.isInteger(value)) ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  const text = value.toLocaleString("en", { minimumFractionDigits: fixed, maximumFractionDigits: fixed });
  const gap = ["", "/s", "%", "pp"].includes(unit) ? "" : " ";
  return text.replace("-", "−") + gap + unit;
}

const isDifference = (gate) => gate.name.includes("stable");
const amount = (gate, value) => (isDifference(gate) && value > 0 ? "+" : "") + quantity(value, gate.unit);

function showState(live) {
  const word = live.verdict ? live.verdict.verdict : live.state;
  const state = find("state");
  state.style.borderColor = `var(--${live.verdict ? word : "open"})`;
  const head = element("strong", { id: "word" }, live.verdict ? `${MARKS[word]} ${word}` : word);
  if (live.verdict) head.style.color = `var(--${word})`;
  const parts = [head, element("p", { id: "reason" }, live.reason || "")];
  if (live.verdict && live.verdict.report) {
    const link = element("a", { href: live.verdict.report, target: "_blank", rel: "noopener", id: "report" });
    link.append("open the report");
    parts.push(link);
  }
  state.replaceChildren(...parts);
}

function showVersions(live) {
  // a control has a column where there is one
  ROLES = ["stable", "candidate", "control"].filter((role) => role !== "control" || (live.versions && live.versions.control));
  document.querySelectorAll("[data-of=control]").forEach((cell) => { cell.hidden = !ROLES.includes("control"); });
  ROLES.forEach((role) => {
    const version = live.versions && live.versions[role];
    find(`name-${role}`).textContent = version ? `${role} (${version})` : role;
  });
  const seen = (live.figures && live.figures.versions) || {};
  const rows = [
    ["answers", (v) => (v.done ?? 0).toLocaleString("en")],
    ["errors", (v) => (v.errors ?? 0).toLocaleString("en")],
    ["p50 latency", (v) => quantity(v.p50, "ms")],
    ["p95 latency", (v) => quantity(v.p95, "ms")],
    ["p99 latency", (v) => quantity(v.p99, "ms")],
    ["accuracy", (v) => (v.accuracy === null || v.accuracy === undefined ? "–" : `${(100 * v.accuracy).toFixed(1)}%`)],
  ];
  find("versions").replaceChildren(
    ...rows.map(([name, show]) =>
      element("tr", {}, element("th", {}, name),
        ...ROLES.map((role) => element("td", { class: "n", "data-role": role }, seen[role] ? show(seen[role]) : "–")))),
  );
}

function strip(gate) {
  if (gate.estimate === null) return "";
  const [low, high] = gate.interval.map((end) => (end === null ? gate.estimate : end));
  const marks = [low, high, gate.margin, gate.estimate, ...(isDifference(gate) ? [0] : [])];
  const spread = Math.max(...marks) - Math.min(...marks) || 1;
  const begin = Math.min(...marks) - 0.08 * spread;
  const x = (value) => (220 * (value - begin)) / (1.16 * spread);
  const good = gate.name.includes(">=") ? [x(gate.margin), 220] : [0, x(gate.margin)];
  const colour = `stroke: var(--${gate.verdict}); fill: var(--${gate.verdict})`;
  const label = `${amount(gate, low)} to ${amount(gate, high)} against ${quantity(gate.margin, gate.unit)}`;
  return shape("svg", { viewBox: "0 0 220 26", role: "img", "aria-label": label },
    shape("rect", { class: "good", x: good[0], y: 3, width: Math.max(good[1] - good[0], 0), height: 20 }),
    shape("line", { class: "limit", x1: x(gate.margin), x2: x(gate.margin), y1: 1, y2: 25 }),
    shape("line", { style: `${colour}; stroke-width: 3`, x1: x(low), x2: x(high), y1: 13, y2: 13 }),
    shape("circle", { style: colour, cx: x(gate.estimate), cy: 13, r: 4 }));
}

function againstItself(live, gate) {
  const found = (live.control || []).find((each) => each.name === gate.name);
  if (!found || found.estimate === null) return "–";
  const ends = found.interval.map((end, i) => (end === null ? (i ? "+∞" : "−∞") : amount(found, end)));
  return `${ends.join(" to ")}${found.beyond ? ", beyond the margin" : ""}`;
}

function showGates(live) {
  const gates = live.gates || [];
  find("gates").replaceChildren(...gates.map((gate) => {
    const word = element("td", { class: "word" }, `${MARKS[gate.verdict]} ${gate.verdict}`);
    word.style.color = `var(--${gate.verdict})`;
    const ends = gate.interval.map((end, i) => (end === null ? (i ? "+∞" : "−∞") : amount(gate, end)));
    return element("tr", {}, word,
      element("td", {}, element("code", {}, gate.name), element("br"), element("small", {}, gate.reason || "")),
      element("td", { class: "n" }, amount(gate, gate.estimate)),
      element("td", { class: "n" }, gate.estimate === null ? "–" : ends.join(" to ")),
      element("td", {}, strip(gate)),
      ...(ROLES.includes("control") ? [element("td", { class: "n" }, againstItself(live, gate))] : []));
  }));
  find("claim").textContent = live.claim || "";
}

function showLatency(live) {
  const points = (live.history || []).filter((at) => ROLES.some((role) => at[role]));
  if (points.length < 2) return;
  const [width, height, left, bottom, top] = [480, 230, 56, 206, 8];
  const values = points.flatMap((at) => ROLES.flatMap((role) => (at[role] ? [at[role].p50, at[role].p99] : [])));
  const [first, last] = [Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values)))];
  const end = live.duration || points[points.length - 1].elapsed;
  const x = (seconds) => left + ((width - left - 10) * Math.min(Math.max(seconds, 0), end)) / end;
  const y = (ms) => bottom - ((bottom - top) * (Math.log10(ms) - first)) / Math.max(last - first, 1);
  const parts = [];
  for (let decade = first; decade <= Math.max(last, first + 1); decade += 1) {
    const at = y(10 ** decade);
    parts.push(shape("line", { class: "grid", x1: left, x2: width - 10, y1: at, y2: at }));
    parts.push(shape("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, decade >= 3 ? `${10 ** (decade - 3)} s` : `${10 ** decade} ms`));
  }
  [0, end / 2, end].forEach((seconds, i) => parts.push(
    shape("text", { x: x(seconds), y: height - 6, "text-anchor": ["start", "middle", "end"][i] }, `${Math.round(seconds)} s`)));
  ROLES.forEach((role) => ["p99", "p50"].forEach((name) => {
    const line = points.filter((at) => at[role]).map((at) => `${x(at.elapsed).toFixed(1)},${y(at[role][name]).toFixed(1)}`);
    parts.push(shape("polyline", { class: name === "p99" ? `thin ${role}` : role, points: line.join(" ") }));
  }));
  const label = "Latency over time: p50 and p99 of both versions";
  find("latency").replaceChildren(shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, ...parts));
}

// what is drawn: what has not changed stays as it is, so that a click or a selection is not lost
let drawn = "";

async function refresh() {
  try {
    const answer = await fetch("live.json", { cache: "no-store" });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    const text = await answer.text();
    if (text !== drawn) [showState, showVersions, showGates, showLatency].forEach((show) => show(JSON.parse(text)));
    drawn = text;
  } catch (error) {
    drawn = "";
    find("state").replaceChildren(element("strong", {}, "no figures"), element("p", {}, `Locust does not answer (${error.message})`));
  }
  // as high as its content, where it stands inside Locust's tab
  if (window.frameElement) window.frameElement.style.height = `${document.body.scrollHeight + 40}px`;
  setTimeout(refresh, 1000);
}

const dark = new URLSearchParams(location.search).get("theme") === "dark"
  || (!location.search && matchMedia("(prefers-color-scheme: dark)").matches);
document.documentElement.dataset.theme = dark ? "dark" : "light";
refresh();
