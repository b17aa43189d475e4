"use strict";
// Shows a plane of a volume, with the segments of a cut of its merge tree in colour. Leaf 0 is background; the leaf at
// position k of the tree is k + 1. A segment is named by its lowest leaf.

const at = (id) => document.getElementById(id);
const fixed = JSON.parse(at("state").textContent);
const axisNames = ["Plane", "Row", "Column"];
const longest = 1000; // pixels of the canvas, about
const listed = 200; // rows of the list
const lineShade = 0.3; // as in overlays.py
const number = new Intl.NumberFormat("en");

const view = { axis: 0, plane: 0, threshold: -Infinity, opacity: fixed.opacity, lines: true, chosen: 0, bare: false };
let volume, image, labels, sizes, colours, merges, heights; // unpacked
let distinct; // the heights there are, each once
let cut; // name, voxels and leaves of the segment of each leaf
let drawn; // shape, scale and segments of the plane on the canvas

async function unpacked(id, Type) {
  const packed = Uint8Array.from(atob(at(id).textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  at(id).textContent = "";
  return new Type(await new Response(stream).arrayBuffer());
}

function summed(differences, width) {
  for (let i = 0; i < differences.length; i++) if (i % width) differences[i] += differences[i - 1];
  return differences;
}

// ---------------------------------------------------------------------------------------------- cuts

function countUpTo(sorted, value) {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle + 1; else high = middle;
  }
  return low;
}

// Make the merges of a height up to the threshold. They are sorted, and each puts a segment under the lower name.
function cutAt(threshold) {
  const name = Uint32Array.from({ length: labels.length + 1 }, (_, k) => k);
  const made = countUpTo(heights, threshold);
  for (let k = 0; k < made; k++) name[merges[2 * k + 1] + 1] = merges[2 * k] + 1;
  const voxels = new Float64Array(name.length), leaves = new Uint32Array(name.length);
  for (let k = 1; k < name.length; k++) {
    name[k] = name[name[k]];
    voxels[name[k]] += sizes[k - 1];
    leaves[name[k]] += 1;
  }
  return { name, voxels, leaves, count: labels.length - made };
}

// -------------------------------------------------------------------------------------------- drawing

const strides = () => [fixed.shape[1] * fixed.shape[2], fixed.shape[2], 1];
const inPlane = () => [0, 1, 2].filter((axis) => axis !== view.axis);

function drawnPlane() {
  const [down, across] = inPlane();
  const height = fixed.shape[down], width = fixed.shape[across];
  const tall = height * fixed.spacing[down], wide = width * fixed.spacing[across];
  const scale = longest / Math.max(tall, wide);
  const times = (axis) => Math.max(1, Math.round(scale * fixed.spacing[axis]));
  const step = strides();
  const start = view.plane * step[view.axis];
  const segments = new Uint32Array(height * width);
  for (let row = 0, k = 0; row < height; row++) {
    for (let column = 0, voxel = start + row * step[down]; column < width; column++, voxel += step[across]) {
      segments[k++] = cut.name[volume[voxel]];
    }
  }
  const steps = [step[down], step[across]];
  return { height, width, tall, wide, repeat: [times(down), times(across)], start, steps, segments };
}

const packedColour = (r, g, b) => (255 << 24) | (Math.round(b) << 16) | (Math.round(g) << 8) | Math.round(r);

function draw() {
  drawn = drawnPlane();
  const { height, width, repeat: [tallness, wideness], start, steps, segments } = drawn;
  const canvas = at("canvas");
  canvas.height = height * tallness;
  canvas.width = width * wideness;
  const paper = canvas.getContext("2d");
  const picture = paper.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(picture.data.buffer);
  const [green, blue] = fixed.channels === 1 ? [0, 0] : [volume.length, 2 * volume.length]; // where their values begin
  const painted = !view.bare && view.opacity > 0;
  for (let row = 0, k = 0, target = 0; row < height; row++, target += tallness * canvas.width) {
    for (let column = 0, voxel = start + row * steps[0]; column < width; column++, k++, voxel += steps[1]) {
      const segment = segments[k];
      const dimmed = view.chosen !== 0 && segment !== view.chosen;
      const share = segment === 0 || !painted ? 0 : dimmed ? 0.25 * view.opacity : view.opacity;
      const colour = fixed.palette[segment === 0 ? 0 : colours[segment - 1]];
      const reddish = (1 - share) * image[voxel] + share * colour[0];
      const greenish = (1 - share) * image[voxel + green] + share * colour[1];
      const bluish = (1 - share) * image[voxel + blue] + share * colour[2];
      const bright = painted && segment !== 0 && segment === view.chosen;
      const inside = packedColour(reddish, greenish, bluish);
      const left = target + column * wideness;
      for (let y = 0; y < tallness; y++) pixels.fill(inside, left + y * canvas.width, left + y * canvas.width + wideness);
      if (!painted || !(bright || view.lines)) continue;
      const edge = bright ? packedColour(255, 255, 255) : packedColour(lineShade * reddish, lineShade * greenish, lineShade * bluish);
      const y0 = row > 0 && segments[k - width] !== segment ? Math.min(1 + bright, tallness) : 0;
      const y1 = tallness - (row + 1 < height && segments[k + width] !== segment ? Math.min(1 + bright, tallness) : 0);
      const x0 = column > 0 && segments[k - 1] !== segment ? Math.min(1 + bright, wideness) : 0;
      const x1 = wideness - (column + 1 < width && segments[k + 1] !== segment ? Math.min(1 + bright, wideness) : 0);
      if (x0 === 0 && y0 === 0 && x1 === wideness && y1 === tallness) continue;
      for (let y = 0; y < tallness; y++) {
        for (let x = 0; x < wideness; x++) {
          if (y < y0 || y >= y1 || x < x0 || x >= x1) pixels[left + y * canvas.width + x] = edge;
        }
      }
    }
  }
  paper.putImageData(picture, 0, 0);
  fitCanvas();
}

// As large as there is room for, in the shape of the sample.
function fitCanvas() {
  const most = Math.min(at("stage").clientWidth, (0.82 * window.innerHeight * drawn.wide) / drawn.tall);
  at("canvas").style.width = `${Math.max(most, 40)}px`;
  at("canvas").style.height = `${Math.max(most, 40) * drawn.tall / drawn.wide}px`;
}

// ---------------------------------------------------------------------------------------------- words

const shown = (value) => value === -Infinity ? "none" : value === Infinity ? "all" : String(Number(value.toPrecision(6)));
const plural = (count, what) => `${number.format(count)} ${what}${count === 1 ? "" : "s"}`;

function countsHere() {
  const counts = new Uint32Array(cut.name.length);
  for (const segment of drawn.segments) counts[segment] += 1;
  const found = [];
  for (let segment = 1; segment < counts.length; segment++) if (counts[segment]) found.push([segment, counts[segment]]);
  return found.sort((a, b) => b[1] - a[1] || a[0] - b[0]);
}

function write() {
  const counts = countsHere();
  const first = view.axis === 0 ? fixed.first : 0;
  const every = view.axis === 0 ? 1 : fixed.every;
  at("plane-name").textContent = axisNames[view.axis];
  at("plane-text").textContent = String(first + view.plane * every);
  at("count").textContent = `${plural(counts.length, "region")} in this plane, ${number.format(cut.count)} in all.`
    + (fixed.every > 1 ? ` One row and column in ${fixed.every} is shown; sizes in all count every voxel.` : "");
  if (document.activeElement !== at("threshold-number")) at("threshold-number").value = shown(view.threshold);
  for (const button of at("cuts").children) button.setAttribute("aria-pressed", Number(button.value) === view.threshold);
  writeList(counts);
  writeChosen();
}

function writeList(counts) {
  if (!at("regions").open) return;
  at("list").querySelector("tbody").replaceChildren(...counts.slice(0, listed).map(([segment, here]) => {
    const row = document.createElement("tr");
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = `rgb(${fixed.palette[colours[segment - 1]]})`;
    const cells = [labels[segment - 1], here, cut.voxels[segment], cut.leaves[segment]];
    row.append(...cells.map((text) => Object.assign(document.createElement("td"), { textContent: String(text) })));
    row.firstChild.prepend(swatch);
    row.className = segment === view.chosen ? "chosen" : "";
    row.addEventListener("click", () => choose(segment));
    return row;
  }));
}

let clicked = 0; // leaf
function writeChosen() {
  const text = [];
  if (view.chosen) {
    text.push(`Region ${labels[view.chosen - 1]}: ${plural(cut.voxels[view.chosen], "voxel")}, `
      + `${plural(cut.leaves[view.chosen], "superpixel")}.`);
    if (cut.leaves[view.chosen] > 1) text.push(`Superpixel ${labels[clicked - 1]}: ${plural(sizes[clicked - 1], "voxel")}.`);
  }
  at("chosen").textContent = text.join(" ");
}

// -------------------------------------------------------------------------------------------- actions

function choose(leaf) {
  clicked = leaf;
  refresh();
}

// Draw everything that follows from the view; the chosen region follows its superpixel through all cuts.
function refresh(recut = false) {
  if (recut || !cut) cut = cutAt(view.threshold);
  view.chosen = clicked ? cut.name[clicked] : 0;
  draw();
  write();
  rememberSoon();
}

function setPlane(plane) {
  const last = fixed.shape[view.axis] - 1;
  view.plane = Math.min(Math.max(plane, 0), last);
  at("plane").max = last;
  at("plane").value = view.plane;
  refresh();
}

function setAxis(axis) {
  view.axis = axis;
  at("axis").value = axis;
  setPlane(fixed.shape[axis] >> 1);
}

function setThreshold(threshold) {
  view.threshold = threshold;
  at("threshold").value = countUpTo(distinct, threshold);
  refresh(true);
}

const stepTo = (position) => setThreshold(position > 0 ? distinct[Math.min(position, distinct.length) - 1] : -Infinity);

function setBare(bare) {
  view.bare = bare;
  refresh();
}

// The address says what is shown, so that it can be kept or passed on with the file.
let waiting;
function rememberSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    const parts = { axis: view.axis, plane: at("plane-text").textContent, threshold: view.threshold };
    if (clicked) parts.region = labels[clicked - 1];
    if (at("regions").open) parts.list = "open";
    history.replaceState(null, "", "#" + new URLSearchParams(parts));
  }, 400);
}

function openAsAddressSays() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const axis = Number(asked.get("axis") ?? 0);
  at("regions").open = asked.get("list") === "open";
  view.threshold = asked.has("threshold") ? Number(asked.get("threshold")) : Number(fixed.thresholds[0] ?? -Infinity);
  if (Number.isNaN(view.threshold)) view.threshold = -Infinity;
  at("threshold").value = countUpTo(distinct, view.threshold);
  clicked = asked.has("region") ? labels.findIndex((label) => String(label) === asked.get("region")) + 1 : 0;
  cut = cutAt(view.threshold);
  setAxis([0, 1, 2].includes(axis) ? axis : 0);
  const first = view.axis === 0 ? fixed.first : 0;
  const plane = Math.round((Number(asked.get("plane")) - first) / (view.axis === 0 ? 1 : fixed.every));
  if (asked.has("plane") && Number.isFinite(plane)) setPlane(plane);
}

function listen() {
  at("plane").addEventListener("input", (event) => setPlane(Number(event.target.value)));
  at("axis").addEventListener("change", (event) => setAxis(Number(event.target.value)));
  at("threshold").addEventListener("input", (event) => stepTo(Number(event.target.value)));
  at("threshold-number").addEventListener("change", (event) => {
    const text = event.target.value.trim().replace(",", ".");
    const value = { none: -Infinity, all: Infinity }[text] ?? (text === "" ? NaN : Number(text));
    event.target.blur();
    if (Number.isNaN(value)) write(); else setThreshold(value);
  });
  at("opacity").addEventListener("input", (event) => {
    view.opacity = Number(event.target.value);
    setBare(false);
  });
  at("lines").addEventListener("change", (event) => {
    view.lines = event.target.checked;
    refresh();
  });
  at("canvas").addEventListener("click", (event) => {
    const box = at("canvas").getBoundingClientRect();
    const row = Math.floor((event.clientY - box.top) / box.height * drawn.height);
    const column = Math.floor((event.clientX - box.left) / box.width * drawn.width);
    const leaf = volume[drawn.start + row * drawn.steps[0] + column * drawn.steps[1]] ?? 0;
    choose(view.chosen && cut.name[leaf] === view.chosen && leaf === clicked ? 0 : leaf);
  });
  at("regions").addEventListener("toggle", () => { write(); rememberSoon(); });
  window.addEventListener("resize", fitCanvas);
  window.addEventListener("hashchange", openAsAddressSays);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, button, summary")) return;
    const position = countUpTo(distinct, view.threshold);
    const action = {
      ArrowLeft: () => setPlane(view.plane - 1),
      ArrowRight: () => setPlane(view.plane + 1),
      ArrowUp: () => stepTo(position + 1),
      ArrowDown: () => stepTo(position - 1),
      " ": () => setBare(!view.bare),
      Escape: () => choose(0),
    }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

function addCuts() {
  const offered = [["superpixels", -Infinity], ...fixed.thresholds.map((text) => [shown(Number(text)), Number(text)])];
  at("cuts").append(...offered.map(([text, threshold]) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: text, value: threshold });
    button.addEventListener("click", () => setThreshold(threshold));
    return button;
  }));
}

async function start() {
  if (typeof DecompressionStream === "undefined") {
    throw new Error("this browser is too old to unpack the page; one of 2023 or later will do.");
  }
  const width = fixed.shape[2];
  const Type = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array }[fixed.bytes];
  volume = summed(await unpacked("leaves", Type), width);
  image = summed(await unpacked("image", Uint8Array), width);
  labels = await unpacked("labels", BigUint64Array);
  sizes = await unpacked("sizes", Float64Array);
  colours = await unpacked("colours", Uint8Array);
  merges = await unpacked("merges", Uint32Array);
  heights = await unpacked("heights", Float64Array);
  distinct = heights.filter((height, k) => k === 0 || height !== heights[k - 1]);
  at("threshold").max = distinct.length;
  at("opacity").value = view.opacity;
  at("plane-control").hidden = at("axis-control").hidden = fixed.shape[0] === 1;
  at("threshold-control").hidden = distinct.length === 0;
  at("viewer").hidden = false;
  at("message").textContent = "";
  addCuts();
  listen();
  openAsAddressSays();
  document.body.dataset.ready = "yes";
}

start().catch((error) => { at("message").textContent = `The page cannot be shown: ${error.message}`; });
