"use strict";
// The page's own part: it reads what is embedded beside it, and fetches nothing. Text of the store is only ever put in as
// text: a key may hold anything.
(() => {
const byId = (id) => document.getElementById(id);
const embedded = (id) => byId(id).textContent.trim();
const about = JSON.parse(embedded("about"));
const photos = JSON.parse(embedded("photographs"));
const pictures = embedded("pictures").split("\n");
const count = photos.key.length;
const vectors = components(embedded("vectors"));
const axes = vectors.length, FIRST = `the first ${axes} of ${about.k} components`;
const NEAR = 8, ROWS_AT_ONCE = 100, GONE = "-", BY_LABEL = "label";
const COLOURS = about.colours, REST = about.rest;
// plotly would offer to send the chart to its makers' service.
const OFFLINE = { displaylogo: false, showSendToCloud: false, plotlyServerURL: "" };
const SHAPES = ["circle", "diamond", "square", "x"];
const OUTLINES = {
  circle: "M6 1a5 5 0 1 0 .01 0z", diamond: "M6 0l6 6-6 6-6-6z", square: "M1 1h10v10h-10z",
  x: "M3 0l3 3 3-3 3 3-3 3 3 3-3 3-3-3-3 3-3-3 3-3-3-3z",
};
// From in front, a little to the side and above: Across goes right, Deep goes away, and the box is in view whole.
const CAMERA = { eye: { x: -0.9, y: -1.9, z: 0.8 }, center: { x: 0, y: 0, z: -0.1 } };
const TOLD_APART = COLOURS.length * SHAPES.length;

function components(text) {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let at = 0; at < raw.length; at++) bytes[at] = raw.charCodeAt(at);
  const all = new Float32Array(bytes.buffer), found = [];
  for (let axis = 0; count && axis < all.length / count; axis++) found.push(all.subarray(axis * count, (axis + 1) * count));
  return found;
}

const NOTHING = "Nothing yet: choose Lasso and draw around some, or find some above.";

const state = {
  x: 0, y: axes > 1 ? 1 : BY_LABEL, z: null, colour: "label", drag: "pan",
  hidden: new Set(), one: null, near: [], chosen: [], nothing: NOTHING, shown: ROWS_AT_ONCE, groups: [], found: -1, drawing: false, clicked: null, mouse: { x: 0, y: 0 },
};

// plotly's points have soft edges of their own. What it asks for besides, four samples a pixel, takes a processor that has
// to stand in for a graphics card most of its time.
const contextOf = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, words) {
  return contextOf.call(this, kind, kind.startsWith("webgl") ? { ...words, antialias: false } : words);
};

// ---- words ----------------------------------------------------------------------------------------------------------
const whole = (n) => n.toLocaleString("en");
const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;
const time = (ms) => new Date(ms).toISOString().replace("T", " ").slice(0, 19) + " UTC";
const label = (row) => about.labels[photos.label[row]].label || "(no label)";
const axisName = (axis) => (axis === BY_LABEL ? "label" : `component ${axis + 1} (${percent(about.scree[axis])})`);

function element(tag, words = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(words)) {
    if (name in made) made[name] = value; else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function picture(row, side) {
  const data = pictures[row];
  if (!data || data === GONE) {
    const none = element("span", { className: "missing" }, data ? "gone from the store" : "not in this page");
    none.style.width = none.style.height = `${side}px`;
    return none;
  }
  return element("img", { className: "picture", src: `data:image/webp;base64,${data}`, width: side, height: side, alt: `photograph labelled ${label(row)}` });
}

function table(into, caption, columns, rows) {
  const head = element("tr", {}, ...columns.map(([name, number]) => element("th", { scope: "col", className: number ? "number" : "" }, name)));
  const body = rows.map((row) => element("tr", {}, ...row.map((value, at) =>
    element("td", { className: columns[at][1] ? "number" : "" }, value ?? ""))));
  into.replaceChildren(element("caption", {}, caption), element("thead", {}, head), element("tbody", {}, ...body));
  into.hidden = false;
}

// ---- the map --------------------------------------------------------------------------------------------------------
function visible() {
  const rows = [];
  for (let row = 0; row < count; row++) if (!state.hidden.has(photos.label[row])) rows.push(row);
  return rows;
}

function look(index) {
  if (index >= TOLD_APART) return { color: REST, symbol: "circle" };
  return { color: COLOURS[index % COLOURS.length], symbol: SHAPES[Math.floor(index / COLOURS.length)] };
}

function groups() {
  const rows = visible();
  if (state.colour !== "label") return [{ rows, ...look(0) }];
  const byLabel = new Map();
  for (const row of rows) {
    const group = Math.min(photos.label[row], TOLD_APART);
    if (!byLabel.has(group)) byLabel.set(group, []);
    byLabel.get(group).push(row);
  }
  // The many without a colour of their own go below.
  return [...byLabel.keys()].sort((a, b) => b - a).map((group) => ({ rows: byLabel.get(group), ...look(group) }));
}

const pick = (axis, rows) => Float32Array.from(rows, (row) => (axis === BY_LABEL ? photos.label : vectors[axis])[row]);
// What is up stays up: of plotly's three axes in space, that is z.
const spots = (rows) => {
  const across = pick(state.x, rows), up = pick(state.y, rows);
  return state.z === null ? { x: across, y: up } : { x: across, y: pick(state.z, rows), z: up };
};
const theme = () => {
  const style = getComputedStyle(document.documentElement), colour = (name) => style.getPropertyValue(name).trim();
  return { ink: colour("--ink"), line: colour("--line"), paper: colour("--paper") };
};

function marker(group) {
  const size = count > 20000 ? 4 : count > 2000 ? 6 : 9, opacity = count > 20000 ? 0.6 : 0.8;
  const marks = { size: state.z === null ? size : Math.max(2, size - 2), opacity, color: group.color, symbol: group.symbol, line: { width: 0 } };
  if (state.colour === "label") return marks;
  const values = state.colour === "batch" ? photos.batch : photos.landed;
  const bar = { title: { text: state.colour === "batch" ? "micro-batch" : "landed" }, thickness: 12, len: 0.6 };
  let [first, last] = [Infinity, -Infinity];
  for (const value of values) { first = Math.min(first, value); last = Math.max(last, value); }
  marks.color = group.rows.map((row) => values[row]);
  marks.cmin = first;
  marks.cmax = last;
  if (state.colour === "batch") {
    bar.tickformat = ",d";
    if (last - first < 10) bar.dtick = 1;  // there is no half of one
  } else {
    bar.tickvals = [first, (first + last) / 2, last];
    bar.ticktext = bar.tickvals.map((ms) => new Date(ms).toISOString().slice(0, 16).replace("T", " "));
  }
  return { ...marks, colorscale: "Cividis", showscale: true, colorbar: bar };
}

function layout() {
  const { ink, line, paper } = theme();
  const axis = (name) => ({ title: { text: name }, gridcolor: line, zerolinecolor: line, linecolor: line });
  const upward = { ...axis(axisName(state.y)), ...(state.y === BY_LABEL ? { tickmode: "array", tickvals: about.labels.map((_, at) => at), ticktext: about.labels.map((one) => one.label.slice(0, 24)), automargin: true } : {}) };
  const common = {
    paper_bgcolor: paper, plot_bgcolor: paper, font: { color: ink, family: "system-ui, sans-serif" }, showlegend: false,
    margin: { l: 60, r: 20, t: 30, b: 60 }, hovermode: "closest", dragmode: state.z === null ? state.drag : "orbit",
    uirevision: `${state.x} ${state.y} ${state.z}`, selectionrevision: state.chosen.length,
    newselection: { line: { color: ink } },
  };
  if (state.z === null) return { ...common, xaxis: axis(axisName(state.x)), yaxis: upward, selections: [] };
  const scene = { xaxis: axis(axisName(state.x)), yaxis: axis(axisName(state.z)), zaxis: upward };
  for (const one of Object.values(scene)) one.backgroundcolor = paper;
  return { ...common, margin: { l: 0, r: 0, t: 0, b: 0 }, scene: { ...scene, aspectmode: "cube", camera: CAMERA } };
}

function draw() {
  state.groups = groups();
  const flat = state.z === null, inside = new Set(state.chosen);
  const traces = state.groups.map((group) => {
    const trace = {
      type: flat ? "scattergl" : "scatter3d", mode: "markers", hoverinfo: "none", marker: marker(group),
      ...spots(group.rows),
    };
    if (flat && inside.size) {
      trace.selectedpoints = [];
      group.rows.forEach((row, at) => inside.has(row) && trace.selectedpoints.push(at));
      trace.unselected = { marker: { opacity: 0.15 } };
    }
    return trace;
  });
  if (state.one !== null) traces.push(rings());
  // To draw anew takes the outline of a lasso away, and plotly tells that as a selection of nothing.
  state.drawing = true;
  byId("tip").hidden = true;
  return Plotly.react("plot", traces, layout(), { ...OFFLINE, responsive: true, scrollZoom: true, plotGlPixelRatio: Math.min(2, devicePixelRatio), modeBarButtonsToRemove: ["select2d", "lasso2d", "pan2d", "autoScale2d"] })
    .then(() => { state.drawing = false; });
}

// What was chosen is ringed, its neighbours thinner.
function rings() {
  const rows = [state.one, ...state.near.map(([row]) => row)], { ink } = theme(), flat = state.z === null;
  return {
    type: flat ? "scatter" : "scatter3d", mode: "markers", hoverinfo: "skip", ...spots(rows),
    marker: { symbol: "circle-open", color: ink, size: rows.map((_, at) => (at ? 13 : 20)), line: { color: ink, width: 2 } },
  };
}

const rowOf = (point) => state.groups[point.curveNumber]?.rows[point.pointNumber];

function listen() {
  const plot = byId("plot"), tip = byId("tip");
  plot.on("plotly_hover", (event) => {
    const row = rowOf(event.points[0]);
    if (row === undefined) return;
    const words = element("div", {}, element("strong", {}, label(row)), element("br"), photos.key[row]);
    tip.replaceChildren(picture(row, 96), words);
    tip.hidden = false;
    tip.style.left = `${Math.min(state.mouse.x + 16, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.min(state.mouse.y + 16, innerHeight - tip.offsetHeight - 8)}px`;
  });
  plot.addEventListener("pointerup", () => { state.clicked = null; });
  plot.on("plotly_unhover", () => { tip.hidden = true; });
  plot.on("plotly_click", (event) => {
    const row = rowOf(event.points[0]);
    // In three dimensions plotly tells a click with each frame until the button is up, and again while it draws.
    if (row !== undefined && row !== state.clicked) setTimeout(() => show(row));
    state.clicked = row;
  });
  plot.on("plotly_selected", (event) => {
    if (event && !state.drawing) choose(event.points.map(rowOf).filter((row) => row !== undefined));
  });
  plot.on("plotly_deselect", () => state.drawing || choose([]));
}

// ---- one photograph -------------------------------------------------------------------------------------------------
function neighbours(row) {
  const squares = new Float64Array(count);
  for (const axis of vectors) {
    const here = axis[row];
    for (let other = 0; other < count; other++) squares[other] += (axis[other] - here) ** 2;
  }
  const nearest = [];
  for (let other = 0; other < count; other++) {
    if (other === row || (nearest.length === NEAR && squares[other] >= nearest[NEAR - 1][1])) continue;
    nearest.push([other, squares[other]]);
    nearest.sort((a, b) => a[1] - b[1]);
    nearest.length = Math.min(nearest.length, NEAR);
  }
  return nearest.map(([other, square]) => [other, Math.sqrt(square)]);
}

function show(row) {
  state.one = row;
  state.near = neighbours(row);
  const facts = [
    ["label", label(row)], ["key", photos.key[row]], ["landed", time(photos.landed[row])],
    ["size", `${photos.width[row]} × ${photos.height[row]}, ${whole(photos.size[row])} bytes, ${photos.format[row]}`],
    ["micro-batch", whole(photos.batch[row])],
  ];
  const near = state.near.map(([other, distance]) => {
    const button = element("button", { type: "button", title: photos.key[other] }, picture(other, 56), label(other), element("br"), distance.toPrecision(3));
    button.addEventListener("click", () => show(other));
    return element("li", {}, button);
  });
  byId("one").replaceChildren(
    picture(row, 96),
    element("dl", {}, ...facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)])),
    element("h4", {}, (axes < about.k ? `Nearest by ${FIRST}` : "Nearest") + (count < about.reduced ? ", of those here" : "")),
    element("ul", { id: "near" }, ...near),
    ...(axes < about.k ? [element("p", { className: "quiet" }, "`fruits similar` goes by all components, and may find others.")] : []),
  );
  byId("one").parentElement.scrollTop = 0;
  draw();
}

// ---- several --------------------------------------------------------------------------------------------------------
function choose(rows, nothing = NOTHING) {
  state.chosen = rows;
  state.nothing = nothing;
  state.shown = ROWS_AT_ONCE;
  list();
  draw();
}

function list() {
  const rows = state.chosen.slice(0, state.shown), into = byId("chosen");
  byId("chosen-says").textContent = state.chosen.length ? `${whole(state.chosen.length)} photograph${state.chosen.length === 1 ? "" : "s"}.` : state.nothing;
  byId("csv").disabled = byId("clear").disabled = !state.chosen.length;
  byId("more").hidden = state.shown >= state.chosen.length;
  if (!rows.length) { into.hidden = true; return; }
  const on = [state.x, state.y, state.z].filter((axis) => typeof axis === "number");
  const columns = [[""], ["label"], ["key"], ["landed"], ["micro-batch", true], ...on.map((axis) => [`component ${axis + 1}`, true])];
  table(into, "Photographs selected", columns, rows.map((row) => {
    const open = element("button", { type: "button" }, photos.key[row]);
    open.addEventListener("click", () => show(row));
    return [picture(row, 40), label(row), open, time(photos.landed[row]), whole(photos.batch[row]), ...on.map((axis) => vectors[axis][row].toFixed(3))];
  }));
}

function csv() {
  // A spreadsheet takes what begins so for a formula, and runs it.
  const quoted = (value) => `"${String(value).replace(/^[=+\-@\t\r]/, "'$&").replaceAll('"', '""')}"`;
  const names = ["key", "etag", "label", "sha256", "batch_id", "last_modified", ...vectors.map((_, axis) => `component_${axis + 1}`)];
  const lines = state.chosen.map((row) => [
    quoted(photos.key[row]), quoted(photos.etag[row]), quoted(about.labels[photos.label[row]].label), quoted(photos.sha256[row]),
    photos.batch[row], quoted(new Date(photos.landed[row]).toISOString()), ...vectors.map((axis) => axis[row]),
  ].join(","));
  const url = URL.createObjectURL(new Blob([[names.join(","), ...lines].join("\n") + "\n"], { type: "text/csv" }));
  element("a", { href: url, download: "photographs.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function found() {
  const words = byId("find").value.trim().toLowerCase();
  if (!words) return [];
  return visible().filter((row) => photos.key[row].toLowerCase().includes(words) || label(row).toLowerCase().includes(words));
}

const missed = () => `No photograph in the map has ${byId("find").value.trim()} in its key or label.`;

function tellFound(rows) {
  const place = state.found < 0 ? `${whole(rows.length)} found: Enter shows the first` : `${whole(state.found + 1)} of ${whole(rows.length)}`;
  byId("found").textContent = !byId("find").value.trim() ? "" : rows.length ? place : missed();
}

// ---- labels ---------------------------------------------------------------------------------------------------------
function legend() {
  const here = new Array(about.labels.length).fill(0);
  for (const index of photos.label) here[index] += 1;
  const boxes = about.labels.map(({ label: name }, index) => {
    const { color, symbol } = look(index), box = element("input", { type: "checkbox", checked: true });
    box.addEventListener("change", () => { state.hidden[box.checked ? "delete" : "add"](index); draw(); });
    const mark = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    for (const [key, value] of Object.entries({ width: 12, height: 12, viewBox: "0 0 12 12", "aria-hidden": "true" })) mark.setAttribute(key, value);
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", OUTLINES[symbol]);
    path.setAttribute("fill", color);
    mark.append(path);
    const only = element("button", { type: "button", "aria-label": `Only ${name || "(no label)"}` }, "only");
    only.addEventListener("click", () => hide((other) => other !== index));
    byId("legend").append(element("li", {}, element("label", {}, box, mark, name || "(no label)"), element("span", { className: "count" }, whole(here[index])), only));
    byId("legend").lastChild.hidden = !here[index];
    return box;
  });
  const hide = (which) => {
    state.hidden = new Set([...boxes.keys()].filter(which));
    boxes.forEach((box, index) => { box.checked = !state.hidden.has(index); });
    draw();
  };
  byId("all").addEventListener("click", () => hide(() => false));
  byId("none").addEventListener("click", () => hide(() => true));
}

// ---- the figures below ----------------------------------------------------------------------------------------------
function chart(id, traces, words) {
  const { ink, line, paper } = theme();
  const axis = { gridcolor: line, zerolinecolor: line, linecolor: line };
  const styled = Object.fromEntries(Object.entries(words).map(([name, value]) => [name, name.includes("axis") ? { ...axis, ...value } : value]));
  Plotly.react(id, traces, {
    paper_bgcolor: paper, plot_bgcolor: paper, font: { color: ink, family: "system-ui, sans-serif" }, margin: { l: 60, r: 60, t: 20, b: 50 },
    legend: { orientation: "h", y: 1.12 }, ...styled,
  }, { ...OFFLINE, responsive: true, displayModeBar: false });
}

function scree() {
  const ratios = about.scree, sums = [];
  ratios.reduce((sum, ratio, at) => (sums[at] = sum + ratio), 0);
  const shown = Math.min(ratios.length, Math.max(60, Math.ceil(1.5 * about.k))), numbers = [...Array(shown).keys()].map((at) => at + 1);
  byId("components-says").textContent = `${about.k} components of ${whole(about.d)} are kept. They explain ${percent(sums[about.k - 1])} of the variance; the first three ${ratios.slice(0, 3).map((ratio) => percent(ratio)).join(", ")}.`;
  chart("scree", [
    { type: "bar", name: "one component", x: numbers, y: ratios.slice(0, shown), marker: { color: COLOURS[0] } },
    { type: "scatter", mode: "lines", name: "all up to it", x: numbers, y: sums.slice(0, shown), yaxis: "y2", line: { color: COLOURS[1], width: 3 } },
  ], {
    xaxis: { title: { text: "component" } }, yaxis: { title: { text: "share of the variance" }, tickformat: ".0%", rangemode: "tozero" },
    yaxis2: { overlaying: "y", side: "right", range: [0, 1.02], tickvals: [0, 0.25, 0.5, 0.75, 1], tickformat: ".0%", showgrid: false, title: { text: "cumulative" } },
    shapes: [{ type: "line", x0: about.k, x1: about.k, y0: 0, y1: 1, yref: "paper", line: { color: theme().ink, dash: "dot" } }],
    annotations: [{ x: about.k, y: 0.5, yref: "paper", text: `k = ${about.k}`, showarrow: false, xanchor: "right", xshift: -4 }],
  });
  table(byId("scree-table"), "Components", [["component", true], ["share", true], ["cumulative", true]], numbers.map((number) => [String(number), percent(ratios[number - 1], 2), percent(sums[number - 1], 2)]));
}

function drift() {
  const compared = about.refits.filter((refit) => refit.mean_shift !== null), signed = (hundredths) => { const shown = Math.abs(hundredths).toFixed(1); return (shown === "0.0" ? "" : hundredths < 0 ? "−" : "+") + shown; };
  byId("drift-says").textContent = compared.length
    ? `${about.refits.length} refits. Each tells how far it is from the one before: by how much the mean has moved, in parts of the spread, and what became of the variance.`
    : "There has been no refit to compare with another yet.";
  byId("drift-chart").hidden = compared.length < 2;
  if (compared.length > 1) {
    const x = compared.map((refit) => refit.pca_version), line = (name, field, at) => ({ type: "scatter", mode: "lines+markers", name, x, y: compared.map((refit) => refit[field]), line: { color: COLOURS[at] }, marker: { symbol: SHAPES[at], size: 9 } });
    chart("drift-chart", [line("mean moved", "mean_shift", 0), line("variance", "variance_change", 1), line("explained by the one before (points)", "explained_change", 2)], { xaxis: { title: { text: "PCA version" }, dtick: x.length > 12 ? undefined : 1 }, yaxis: { tickformat: ".1%" } });
  }
  table(byId("drift-table"), "Refits, the newest first", [["version", true], ["fitted"], ["photographs", true], ["k", true], ["explained", true], ["mean moved", true], ["variance", true], ["its components explain", true]],
    [...about.refits].reverse().map((refit) => [
      `${refit.pca_version}${refit.pca_version === about.pca_version ? " (published)" : ""}`, time(refit.fitted_at), whole(refit.n), whole(refit.k), percent(refit.explained),
      ...(refit.mean_shift === null ? [refit.pca_version > 1 ? "not comparable" : "", "", ""] : [percent(refit.mean_shift), `${signed(100 * refit.variance_change)} %`, `${signed(100 * refit.explained_change)} points`]),
    ]));
}

function accounting() {
  const a = about.accounting, refused = about.rejects.reduce((sum, one) => sum + one.objects, 0);
  byId("accounting-says").textContent = `Stream ${a.stream.state}: ${a.stream.says}.${a.findings.length ? "" : " All is well."}`;
  byId("findings").replaceChildren(...a.findings.map((one) => element("li", {}, element("strong", {}, one.severity), ` ${one.says} `, element("code", {}, one.do))));
  const since = a.features_since_pca === null ? "" : a.features_since_pca ? `${whole(a.features_since_pca)} features have come since` : "up to date";
  table(byId("accounting-table"), "Where every object is", [["where"], ["how many", true], [""]], [
    ["landing zone", whole(a.landed), a.waiting ? `${whole(a.waiting)} of them wait for a stream` : "none waits"],
    ["under way", whole(a.under_way), ""], ["features", whole(a.features), ""], ["rejects", whole(refused), ""],
    ["reduced", whole(a.reduced), `PCA version ${about.pca_version}${since ? ", " + since : ""}`],
  ]);
  byId("rejects-says").textContent = refused ? "Each object is refused by itself, for the reason beside it; the rest of its micro-batch is featurized all the same." : "Nothing was refused.";
  byId("rejects-table").hidden = !refused;
  if (refused) table(byId("rejects-table"), "Refused, with the newest of each", [["reason"], ["objects", true], ["for example"], ["what was found"]],
    about.rejects.flatMap((one) => one.examples.map((example, at) => [at ? "" : one.reason, at ? "" : whole(one.objects), example.key, example.detail])));
}

function arrivals() {
  const { every, seconds, counts } = about.arrivals, total = counts.reduce((sum, one) => sum + one.photographs, 0);
  byId("arrivals-says").textContent = counts.length ? `${whole(total)} photographs were featurized, counted by the ${every} in which they landed (UTC).` : "Nothing was featurized yet.";
  const x = counts.map((one) => new Date(one.began + 500 * seconds).toISOString());
  byId("arrivals-chart").hidden = counts.length < 2;
  if (counts.length > 1) chart("arrivals-chart", [{ type: "bar", x, y: counts.map((one) => one.photographs), width: counts.map(() => 1000 * seconds * 0.9), marker: { color: COLOURS[2] } }],
    { xaxis: { type: "date" }, yaxis: { title: { text: `photographs, by ${every}` } } });
  table(byId("arrivals-table"), "Photographs by when they landed", [["from"], ["photographs", true]], counts.map((one) => [time(one.began), whole(one.photographs)]));
}

// ---- all together ---------------------------------------------------------------------------------------------------
function dress(name) {
  document.documentElement.dataset.theme = name;
  byId("theme").textContent = name === "dark" ? "Light" : "Dark";
}

function redraw() { scree(); drift(); arrivals(); return draw(); }

function control() {
  // In three dimensions plotly does not tell where the mouse is.
  byId("plot").addEventListener("pointermove", (event) => { state.mouse = { x: event.clientX, y: event.clientY }; }, true);
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  for (const name of ["x", "y", "z"]) {
    const box = byId(`axis-${name}`);
    if (name === "z") box.append(element("option", { value: "" }, "none"));
    for (let axis = 0; axis < axes; axis++) box.append(element("option", { value: String(axis) }, axisName(axis)));
    if (name === "y") box.append(element("option", { value: BY_LABEL }, "label"));
    box.value = state[name] === null ? "" : String(state[name]);
    box.addEventListener("change", () => {
      state[name] = box.value === "" ? null : box.value === BY_LABEL ? BY_LABEL : Number(box.value);
      byId("lasso").disabled = state.z !== null;
      byId("lasso").title = state.z === null ? "" : "The lasso works where Deep is none";
      if (name === "z") Plotly.purge("plot");  // flat and deep share no axes
      draw().then(() => name === "z" && listen());
      list();
    });
  }
  byId("colour").addEventListener("change", (event) => { state.colour = event.target.value; draw(); });
  for (const [id, drag] of [["pan", "pan"], ["lasso", "lasso"]]) {
    byId(id).addEventListener("click", () => {
      state.drag = drag;
      byId("pan").setAttribute("aria-pressed", String(drag === "pan"));
      byId("lasso").setAttribute("aria-pressed", String(drag === "lasso"));
      draw();
    });
  }
  byId("find").addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    const rows = found();
    state.found = rows.length ? (state.found + 1) % rows.length : -1;
    if (rows.length) show(rows[state.found]);
    tellFound(rows);
  });
  byId("find").addEventListener("input", () => { state.found = -1; tellFound(found()); });
  byId("take").addEventListener("click", () => choose(found(), byId("find").value.trim() ? missed() : NOTHING));
  byId("clear").addEventListener("click", () => choose([]));
  byId("csv").addEventListener("click", csv);
  byId("more").addEventListener("click", () => { state.shown += ROWS_AT_ONCE; list(); });
  byId("theme").addEventListener("click", () => { dress(document.documentElement.dataset.theme === "dark" ? "light" : "dark"); redraw(); });
}

function begin() {
  byId("subtitle").textContent = `${about.place} · PCA version ${about.pca_version} · ${about.model_id} · written ${time(about.made_at)}`;
  const part = count < about.reduced ? `${whole(count)} of ${whole(about.reduced)} photographs, chosen evenly` : `${whole(count)} photographs`;
  const held = pictures.filter((data) => data && data !== GONE).length;
  byId("map-says").textContent = `${part}, each where its components put it: what looks alike to the network lies close together.` +
    (held < count ? ` ${whole(held)} of them have their picture in this page.` : "") +
    (axes < about.k ? ` The page has ${FIRST}: \`fruits explore --components ${about.k}\` takes all.` : "");
  dress(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  control();
  legend();
  accounting();
  redraw().then(() => { listen(); document.documentElement.dataset.ready = "yes"; });
}

function fail(error) {
  byId("failed").hidden = false;
  byId("failed").textContent = `This page could not be drawn: ${error?.message ?? error}. It wants a browser of 2023 or later, with WebGL.`;
}

addEventListener("error", (event) => fail(event.error ?? event.message));
addEventListener("unhandledrejection", (event) => fail(event.reason));
begin();
})();
