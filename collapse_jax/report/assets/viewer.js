// Draws the interactive figures of a page from JSON, as SVG. No library and no network.
// A view is one of three kinds, which collapse_jax/plots/views.py describes and makes:
// "panels" (curves, bands, points), "grid" (a heat map of settings), "words" (survival of states).
"use strict";
const CollapseViewer = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const VIRIDIS = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779",
    "#6ece58", "#b5de2b", "#fde725"].map((hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16)));
  let serial = 0; // ids of labelled controls are unique within the page

  // ---- small helpers ----
  function make(tag, attributes = {}, ...children) {
    const isSvg = /^(svg|g|path|line|rect|text|circle|clipPath)$/.test(tag);
    const node = isSvg ? document.createElementNS(SVG, tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }
  const finite = (value) => typeof value === "number" && Number.isFinite(value);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  function shown(value, form = "number") {
    if (!finite(value)) return "none";
    if (form === "percent") return `${+(100 * value).toPrecision(3)} %`;
    const size = Math.abs(value);
    if (Number.isInteger(value) && size < 1e7) return value.toLocaleString("en");
    if (size !== 0 && (size < 1e-3 || size >= 1e7)) return value.toExponential(2).replace("-", "−");
    return String(+value.toPrecision(4)).replace("-", "−");
  }

  function colourOf(share) {
    const at = clamp(share, 0, 1) * (VIRIDIS.length - 1);
    const index = Math.min(Math.floor(at), VIRIDIS.length - 2);
    return VIRIDIS[index].map((one, k) => Math.round(one + (at - index) * (VIRIDIS[index + 1][k] - one)));
  }
  function luminance(rgb) {
    const [r, g, b] = rgb.map((one) => (one / 255 <= 0.04045 ? one / 3294.6 : ((one / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }
  const css = (rgb) => `rgb(${rgb.join(",")})`;
  const inkOn = (rgb) => (luminance(rgb) > 0.179 ? "#000" : "#fff"); // the one with more contrast
  const lineColour = (colour) => (!colour || colour === "#000000" ? "currentColor" : colour);

  // Returns a label with a control in it, and the control.
  function control(words, tag, attributes) {
    const id = `view-control-${++serial}`;
    const input = make(tag, { id, ...attributes });
    return [make("span", { class: "control" }, make("label", { for: id }, words), input), input];
  }
  function slider(words, labels, start, act) {
    const [box, input] = control(words, "input", { type: "range", min: 0, max: labels.length - 1, step: 1 });
    input.value = start;
    const output = make("output", { for: input.id });
    const update = () => {
      output.textContent = labels[+input.value];
      input.setAttribute("aria-valuetext", `${words} ${labels[+input.value]}`);
    };
    input.addEventListener("input", () => { update(); act(+input.value); });
    update();
    box.append(output);
    return box;
  }

  // ---- scales ----
  function scaleOf(low, high, isLog, from, to) {
    const turn = isLog ? Math.log10 : (one) => one;
    if (isLog && !(low > 0)) low = high / 1e6;
    let [a, b] = [turn(low), turn(high)];
    if (!(b > a)) { const gap = Math.abs(a) * 0.05 || 0.5; a -= gap; b += gap; }
    const scale = (value) => from + ((turn(value) - a) / (b - a)) * (to - from);
    scale.ticks = isLog ? logTicks(a, b) : linearTicks(a, b, to < from ? (from - to) / 34 : (to - from) / 55); // pixels a label takes
    return scale;
  }
  function linearTicks(low, high, most) {
    const rough = (high - low) / Math.max(most, 2);
    const base = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((one) => one * base).find((one) => one >= rough);
    const found = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(+(k * step).toPrecision(12));
    return found;
  }
  function logTicks(low, high) {
    const found = [];
    const every = Math.max(1, Math.ceil((high - low) / 7));
    const factors = high - low <= 2.5 ? [1, 2, 5] : [1];
    for (let k = Math.floor(low); k <= Math.ceil(high); k += every) {
      for (const one of factors) {
        const value = +`${one}e${k}`;
        if (Math.log10(value) >= low - 1e-9 && Math.log10(value) <= high + 1e-9) found.push(value);
      }
    }
    return found;
  }
  const POWERS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  function tick(value, isLog) {
    const power = Math.log10(value);
    if (isLog && Number.isInteger(+power.toFixed(9)) && Math.abs(power) > 3) {
      return `10${String(Math.round(power)).replace("-", "⁻").replace(/\d/g, (one) => POWERS[one])}`;
    }
    return shown(value);
  }

  // Moves a cursor with the pointer and the arrow keys; `move` gets changes, `point` a position.
  function cursor(node, move, point) {
    const keys = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], Home: [-1e9, 0], End: [1e9, 0] };
    node.addEventListener("keydown", (event) => {
      if (!(event.key in keys)) return;
      event.preventDefault();
      move(...keys[event.key]);
    });
    const at = (event) => {
      const box = node.getBoundingClientRect();
      const view = node.viewBox.baseVal;
      point(((event.clientX - box.left) / box.width) * view.width, ((event.clientY - box.top) / box.height) * view.height);
    };
    node.addEventListener("pointermove", at);
    node.addEventListener("pointerdown", at);
  }
  function picture(width, height, label, readout) {
    return make("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", tabindex: 0,
      "aria-label": label, "aria-describedby": readout.id });
  }
  function newReadout(hint) {
    return make("p", { class: "readout", id: `view-readout-${++serial}`, "aria-live": "polite" }, hint);
  }
  const text = (x, y, words, more = {}) => make("text", { x, y, ...more }, words);

  // ---- curves, bands and points ----
  function panels(view, host) {
    const frames = view.frames;
    const area = make("div", { class: "panels" });
    const draw = (frame) => {
      const here = frames ? view.panels[frame] : view.panels;
      area.replaceChildren(...here.map((one) => panel(one, widthOf(host, view.columns || here.length))));
    };
    let frame = frames ? frames.labels.length - 1 : 0;
    if (frames) host.append(slider(frames.name, frames.labels, frame, (k) => { frame = k; draw(k); }));
    host.append(area);
    draw(frame);
    return () => draw(frame);
  }
  function widthOf(host, number) {
    const whole = host.clientWidth || 640;
    const columns = clamp(Math.min(number, Math.floor(whole / 200)), 1, whole < 640 ? 1 : 5);
    return Math.floor((whole - 16 * (columns - 1)) / columns) - 1;
  }
  function rangeOf(one, axis) {
    if (one[`${axis}range`]) return one[`${axis}range`];
    const names = { x: ["x"], y: ["y", "low", "high"] }[axis];
    const isLog = one[`${axis}log`];
    let [low, high] = [Infinity, -Infinity];
    for (const item of [...one.series, ...one.bands]) {
      for (const name of names) {
        for (const value of item[name] || []) {
          if (finite(value) && (!isLog || value > 0)) { low = Math.min(low, value); high = Math.max(high, value); }
        }
      }
    }
    return low <= high ? [low, high] : [isLog ? 0.1 : 0, 1];
  }
  function panel(one, width) {
    width = Math.max(width, 180);
    const side = { left: 58, right: 10, top: 8, bottom: 40 };
    const height = one.equal ? width - side.left + side.bottom : clamp(Math.round(width * 0.62), 190, 380);
    const [xLow, xHigh] = rangeOf(one, "x");
    const [yLow, yHigh] = rangeOf(one, "y");
    const gap = one.ylog || one.yrange ? 0 : 0.04 * (yHigh - yLow);
    const x = scaleOf(xLow, xHigh, one.xlog, side.left, width - side.right);
    const y = scaleOf(yLow - (yLow === 0 ? 0 : gap), yHigh + gap, one.ylog, height - side.bottom, side.top);
    const readout = newReadout("Point at the curves, or use the arrow keys.");
    const svg = picture(width, height, `${one.title}. ${one.ylabel || ""} against ${one.xlabel}. ${namesOf(one)}`, readout);
    for (const value of y.ticks) {
      svg.append(make("line", { x1: side.left, x2: width - side.right, y1: y(value), y2: y(value), class: "grid" }),
        text(side.left - 6, y(value) + 4, tick(value, one.ylog), { "text-anchor": "end" }));
    }
    let free = -Infinity; // labels along the axis do not touch
    const named = (value) => (one.xnames || {})[value] || tick(value, one.xlog);
    for (const value of one.xnames ? Object.keys(one.xnames).map(Number) : x.ticks) {
      const words = named(value);
      const half = words.length * 4;
      svg.append(make("line", { x1: x(value), x2: x(value), y1: side.top, y2: height - side.bottom, class: "grid" }));
      if (x(value) - half < free) continue;
      free = x(value) + half + 6;
      svg.append(text(clamp(x(value), half, width - half), height - side.bottom + 16, words, { "text-anchor": "middle" }));
    }
    svg.append(text((side.left + width) / 2, height - 6, one.xlabel, { "text-anchor": "middle" }));
    const inside = (value) => clamp(value, -4 * height, 5 * height);
    const clip = `view-clip-${++serial}`;
    svg.append(make("clipPath", { id: clip }, make("rect", { x: side.left, y: side.top - 3, width: width - side.left - side.right + 3, height: height - side.top - side.bottom + 6 })));
    const curves = make("g", { "clip-path": `url(#${clip})` });
    svg.append(curves);
    for (const band of one.bands) {
      const known = band.x.map((_, k) => k).filter((k) => finite(band.low[k]) && finite(band.high[k]) && (!one.ylog || band.high[k] > 0));
      const low = (k) => (one.ylog && band.low[k] <= 0 ? height - side.bottom : inside(y(band.low[k])));
      const path = [...known.map((k) => [x(band.x[k]), inside(y(band.high[k]))]), ...known.reverse().map((k) => [x(band.x[k]), low(k)])];
      if (path.length) curves.append(make("path", { d: `M${path.map((p) => p.map((v) => v.toFixed(1)).join(",")).join("L")}Z`, fill: lineColour(band.color), "fill-opacity": 0.22 }));
    }
    for (const item of one.series) drawSeries(curves, item, one, x, y, inside);
    const box = make("div", { class: "panel", style: `width:${width}px` }, make("h4", {}, one.title));
    if (one.ylabel) box.append(make("p", { class: "unit" }, one.ylabel));
    box.append(svg, legend(one), readout);
    if (one.equal) readout.textContent = one.note || "";
    else addReading(svg, one, x, side, height, readout);
    return box;
  }
  function drawSeries(svg, item, one, x, y, inside) {
    const colour = lineColour(item.color);
    const points = item.x.map((value, k) => [x(value), y(item.y[k]), finite(value) && finite(item.y[k]) && (!one.ylog || item.y[k] > 0) && (!one.xlog || value > 0)]);
    if (item.style === "points") {
      const dots = points.filter((p) => p[2]).map((p) => `M${p[0].toFixed(1)},${p[1].toFixed(1)}h0`).join("");
      svg.append(make("path", { d: dots, stroke: colour, "stroke-width": 3, "stroke-linecap": "round", fill: "none", "stroke-opacity": 0.6 }));
      return;
    }
    let path = "";
    let pen = "M";
    for (const [px, py, isKnown] of points) {
      if (isKnown) { path += `${pen}${px.toFixed(1)},${inside(py).toFixed(1)}`; pen = "L"; } else pen = "M";
    }
    const style = { d: path, stroke: colour, fill: "none", "stroke-width": item.width || (item.style === "dashed" ? 1.3 : 1.8) };
    if (item.style === "dashed") style["stroke-dasharray"] = "5 4";
    if (path) svg.append(make("path", style));
    if (item.marker) for (const [px, py, isKnown] of points) if (isKnown) svg.append(make("circle", { cx: px, cy: py, r: 3, fill: colour }));
  }
  const namesOf = (one) => [...new Set(one.series.map((item) => item.name).filter(Boolean))].join(", ");
  function legend(one) {
    const list = make("ul", { class: "legend" });
    const seen = new Set();
    for (const item of [...one.series, ...one.bands]) {
      if (!item.name || seen.has(item.name)) continue;
      seen.add(item.name);
      const key = make("svg", { width: 22, height: 10, "aria-hidden": "true" });
      if (item.low) key.append(make("rect", { width: 22, height: 10, fill: lineColour(item.color), "fill-opacity": 0.3 }));
      else key.append(make("line", { x1: 0, x2: 22, y1: 5, y2: 5, stroke: lineColour(item.color), "stroke-width": 2.4, ...(item.style === "dashed" ? { "stroke-dasharray": "5 3" } : {}) }));
      list.append(make("li", {}, key, ` ${item.name}`));
    }
    return list;
  }
  // Tells the values of all curves at the point of the horizontal axis that is nearest.
  function addReading(svg, one, x, side, height, readout) {
    const all = [...new Set(one.series.flatMap((item) => item.x).filter(finite))].sort((a, b) => a - b);
    if (!all.length) return;
    const line = make("line", { y1: side.top, y2: height - side.bottom, class: "cursor", visibility: "hidden" });
    svg.append(line);
    let index = -1;
    const show = (next) => {
      index = clamp(next, 0, all.length - 1);
      const here = all[index];
      for (const end of ["x1", "x2"]) line.setAttribute(end, x(here));
      line.setAttribute("visibility", "visible");
      const parts = [];
      const isNamed = one.series.some((item) => item.name);
      for (const item of one.series) {
        if (isNamed && !item.name) continue; // curves of other panels, for comparison
        const k = item.x.indexOf(here);
        if (k < 0 || !finite(item.y[k])) continue;
        const band = one.bands.find((other) => other.color === item.color && item.style !== "dashed" && other.x.includes(here));
        const at = band ? band.x.indexOf(here) : -1;
        const reach = band ? ` (${shown(band.low[at])} to ${shown(band.high[at])})` : "";
        parts.push(`${item.name ? `${item.name}: ` : ""}${shown(item.y[k])}${reach}`);
      }
      const left = parts.length > 9 ? ` and ${parts.length - 9} more` : "";
      readout.textContent = `${one.xlabel} ${(one.xnames || {})[here] || shown(here)}. ${parts.slice(0, 9).join("; ")}${left}`;
    };
    cursor(svg, (step) => show(index < 0 && step < 2 ? 0 : index + step), (px) => {
      let best = 0;
      all.forEach((value, k) => { if (Math.abs(x(value) - px) < Math.abs(x(all[best]) - px)) best = k; });
      show(best);
    });
  }

  // ---- a heat map of settings, by generation, with a target of the reader ----
  function grid(view, host) {
    const state = { frame: view.frames.labels.length - 1, variable: 0, target: view.target, above: view.above !== false };
    const controls = make("div", { class: "controls" });
    const area = make("div", { class: "panels" });
    const draw = () => area.replaceChildren(drawGrid(view, state, host.clientWidth || 640));
    if (view.variables.length > 1) {
      const [box, select] = control("variable", "select", {});
      view.variables.forEach((one, k) => select.append(make("option", { value: k }, one.name)));
      select.addEventListener("change", () => { state.variable = +select.value; draw(); });
      controls.append(box);
    }
    if (view.frames.labels.length > 1) {
      controls.append(slider(view.frames.name, view.frames.labels, state.frame, (k) => { state.frame = k; draw(); }));
    }
    const [sense, which] = control("mark cells", "select", {});
    which.append(make("option", { value: 1 }, "at least"), make("option", { value: 0 }, "at most"));
    which.value = state.above ? 1 : 0;
    const [goal, number] = control(view.variables[0].form === "percent" ? "target, in %" : "target", "input", { type: "number", step: "any" });
    const factor = () => (view.variables[state.variable].form === "percent" ? 100 : 1);
    if (finite(state.target)) number.value = +(state.target * factor()).toPrecision(6);
    const read = () => {
      state.above = which.value === "1";
      state.target = number.value === "" ? null : +number.value / factor();
      draw();
    };
    number.addEventListener("input", read);
    which.addEventListener("change", read);
    controls.append(sense, goal);
    host.append(controls, area);
    draw();
    return draw;
  }
  function drawGrid(view, state, width) {
    const variable = view.variables[state.variable];
    const values = variable.values[state.frame];
    const [rows, columns] = [view.rows.labels, view.columns.labels];
    const all = variable.values.flat(2).filter(finite);
    const [low, high] = variable.limits || (all.length ? [Math.min(...all), Math.max(...all)] : [0, 1]);
    const left = Math.min(110, 14 + 7.5 * Math.max(...rows.map((one) => one.length)));
    const cell = clamp(Math.floor((width - left - 6) / columns.length), 26, 90);
    const tall = clamp(cell, 26, 44);
    const turn = cell < 8 * Math.max(...columns.map((one) => one.length));
    const size = [left + cell * columns.length + 4, 8 + tall * rows.length + (turn ? 76 : 40)];
    const readout = newReadout("Point at a cell, or use the arrow keys.");
    const when = `${view.frames.name} ${view.frames.labels[state.frame]}`;
    const svg = picture(...size, `${variable.name} by ${view.rows.name} and ${view.columns.name}, ${when}`, readout);
    const at = (row, column) => [left + cell * column, 8 + tall * (rows.length - 1 - row)];
    const met = (row, column) => {
      const value = (values[row] || [])[column];
      return finite(state.target) && finite(value) && (state.above ? value >= state.target : value <= state.target);
    };
    let number = 0;
    values.forEach((line, row) => line.forEach((value, column) => {
      const [px, py] = at(row, column);
      const rgb = finite(value) ? colourOf(high > low ? (value - low) / (high - low) : 0.5) : [128, 128, 128];
      svg.append(make("rect", { x: px, y: py, width: cell, height: tall, fill: css(rgb) }));
      const words = finite(value) ? shown(variable.form === "percent" ? +value.toPrecision(2) : +value.toPrecision(3), variable.form).replace(" %", "%") : "failed";
      if (words.length * 7 <= cell - 2) svg.append(text(px + cell / 2, py + tall / 2 + 4, words, { "text-anchor": "middle", style: `fill:${inkOn(rgb)}` }));
      number += met(row, column);
    }));
    let edge = "";
    values.forEach((line, row) => line.forEach((_, column) => {
      const [px, py] = at(row, column);
      if (met(row, column) !== met(row, column - 1) && column > 0) edge += `M${px},${py}v${tall}`;
      if (met(row, column) !== met(row + 1, column) && row + 1 < rows.length) edge += `M${px},${py}h${cell}`;
    }));
    if (edge) svg.append(make("path", { d: edge, class: "target-halo" }), make("path", { d: edge, class: "target" }));
    rows.forEach((label, row) => svg.append(text(left - 6, at(row, 0)[1] + tall / 2 + 4, label, { "text-anchor": "end" })));
    columns.forEach((label, column) => {
      const [px, py] = [at(0, column)[0] + cell / 2, 8 + tall * rows.length + 14];
      svg.append(text(px, py, label, turn ? { "text-anchor": "end", transform: `rotate(-45 ${px} ${py})` } : { "text-anchor": "middle" }));
    });
    svg.append(text(left + (cell * columns.length) / 2, size[1] - 4, view.columns.name, { "text-anchor": "middle" }));
    const chosen = make("rect", { width: cell, height: tall, class: "chosen", visibility: "hidden" });
    svg.append(chosen);
    let here = [-1, -1];
    const show = (row, column) => {
      here = [clamp(row, 0, rows.length - 1), clamp(column, 0, columns.length - 1)];
      const [px, py] = at(...here);
      chosen.setAttribute("x", px); chosen.setAttribute("y", py); chosen.setAttribute("visibility", "visible");
      readout.textContent = `${view.rows.name} ${rows[here[0]]}, ${view.columns.name} ${columns[here[1]]}, ${when}: ${shown(values[here[0]][here[1]], variable.form)}`;
    };
    cursor(svg, (dx, dy) => (here[0] < 0 ? show(0, 0) : show(here[0] - dy, here[1] + dx)),
      (px, py) => { if (px >= left) show(rows.length - 1 - Math.floor((py - 8) / tall), Math.floor((px - left) / cell)); });
    const cells = rows.length * columns.length;
    const verdict = finite(state.target) ? `${number} of ${cells} cells have ${state.above ? "at least" : "at most"} ${shown(state.target, variable.form)} in ${when}.` : "Type a target to mark cells.";
    return make("div", { class: "panel" }, make("h4", {}, `${variable.name}, ${when}`), make("p", { class: "unit" }, `${view.rows.name} upwards${variable.unit ? `; ${variable.unit}` : ""}`),
      make("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "heat map" }, svg), scale(low, high, variable.form), make("p", { class: "verdict-line", "aria-live": "polite" }, verdict), readout);
  }
  function scale(low, high, form) {
    return make("p", { class: "scale" }, `${shown(low, form)} `, make("span", { class: "ramp", "aria-hidden": "true",
      style: `background:linear-gradient(to right,${VIRIDIS.map(css).join(",")})` }), ` ${shown(high, form)}`);
  }

  // ---- survival of states, with a search ----
  function words(view, host) {
    const bytes = Uint8Array.from(atob(view.shares), (one) => one.charCodeAt(0));
    const [box, input] = control(`search a ${view.noun}`, "input", { type: "search", autocomplete: "off", spellcheck: "false" });
    const found = make("p", { class: "verdict-line", "aria-live": "polite" });
    const area = make("div", { class: "panels" });
    const most = 40;
    const draw = () => {
      const wanted = input.value.trim().toLowerCase();
      let chosen = view.states.map((_, k) => k);
      if (wanted) {
        const hits = chosen.filter((k) => view.states[k].toLowerCase().includes(wanted));
        const rank = (k) => { const one = view.states[k].toLowerCase(); return one === wanted ? 0 : one.startsWith(wanted) ? 1 : 2; };
        chosen = hits.sort((a, b) => rank(a) - rank(b) || a - b);
        found.textContent = hits.length ? `${shown(hits.length)} of ${shown(view.states.length)} ${view.noun}s contain “${input.value.trim()}”${hits.length > most ? `; the first ${most} are shown` : ""}.` : `No ${view.noun} contains “${input.value.trim()}”.`;
        chosen = chosen.slice(0, most);
      } else {
        const ranks = new Set();
        for (let k = 0; k < most; k++) ranks.add(Math.round(chosen.length ** (k / (most - 1))) - 1);
        chosen = [...ranks].filter((k) => k < view.states.length);
        found.textContent = `${shown(chosen.length)} of ${shown(view.states.length)} ${view.noun}s, from the most to the least frequent.`;
      }
      area.replaceChildren(drawWords(view, bytes, chosen, host.clientWidth || 640));
    };
    input.addEventListener("input", draw);
    host.append(make("div", { class: "controls" }, box), found, area);
    draw();
    return draw;
  }
  function drawWords(view, bytes, chosen, width) {
    const times = view.generations;
    const wide = Math.min(width, 760);
    const left = wide < 500 ? 128 : 170;
    const [cell, tall] = [(wide - left - 4) / times.length, 17];
    const readout = newReadout("Point at a row, or use the arrow keys.");
    const svg = picture(wide, Math.max(1, chosen.length) * tall + 34, `Share of chains in which a ${view.noun} is alive, by generation`, readout);
    const share = (k, time) => bytes[k * times.length + time] / view.scale;
    chosen.forEach((k, row) => {
      const most = Math.floor((left - 54) / 7);
      const name = view.states[k].length > most ? `${view.states[k].slice(0, most - 1)}…` : view.states[k];
      svg.append(text(left - 50, row * tall + 13, name, { "text-anchor": "end" }), text(left - 6, row * tall + 13, shown(k + 1), { "text-anchor": "end", class: "faint" }));
      times.forEach((_, time) => svg.append(make("rect", { x: left + time * cell, y: row * tall, width: cell + 0.5, height: tall - 1, fill: css(colourOf(share(k, time))) })));
    });
    const bottom = chosen.length * tall + 14;
    let free = -Infinity;
    times.forEach((time, k) => {
      const x = left + (k + 0.5) * cell;
      const label = shown(time);
      if (x - label.length * 4 > free || k === 0) { svg.append(text(Math.min(x, wide - 4 * label.length), bottom, label, { "text-anchor": "middle" })); free = x + label.length * 4 + 8; }
    });
    svg.append(text((left + wide) / 2, bottom + 16, "generation", { "text-anchor": "middle" }));
    const chosenCell = make("rect", { width: cell, height: tall - 1, class: "chosen", visibility: "hidden" });
    svg.append(chosenCell);
    let here = [-1, -1];
    const show = (row, time) => {
      if (!chosen.length) return;
      here = [clamp(row, 0, chosen.length - 1), clamp(time, 0, times.length - 1)];
      const k = chosen[here[0]];
      chosenCell.setAttribute("x", left + here[1] * cell); chosenCell.setAttribute("y", here[0] * tall); chosenCell.setAttribute("visibility", "visible");
      readout.textContent = `“${view.states[k]}”, rank ${shown(k + 1)}, generation ${shown(times[here[1]])}: alive in ${shown(share(k, here[1]), "percent")} of ${shown(view.chains)} chains; in the last generation ${shown(share(k, times.length - 1), "percent")}.`;
    };
    cursor(svg, (dx, dy) => (here[0] < 0 ? show(0, 0) : show(here[0] + dy, here[1] + dx)),
      (px, py) => { if (px >= left) show(Math.floor(py / tall), Math.floor((px - left) / cell)); });
    return make("div", { class: "panel" }, make("p", { class: "unit" }, `${view.noun} and its rank; colour: share of chains in which it is alive`), svg, scale(0, 1, "percent"), readout);
  }

  // Draws a view in a host element, and again whenever the width of the host changes.
  function mount(host, view) {
    host.replaceChildren();
    host.hidden = false;
    const draw = { panels, grid, words }[view.kind](view, host);
    let width = host.clientWidth;
    new ResizeObserver(() => {
      if (host.clientWidth !== width) { width = host.clientWidth; draw(); }
    }).observe(host);
  }
  function start() {
    for (const host of document.querySelectorAll(".view")) {
      host.closest("figure").classList.add("has-view");
      mount(host, JSON.parse(host.nextElementSibling.textContent));
    }
    markCut();
    for (const one of document.querySelectorAll(CUT)) new ResizeObserver(markCut).observe(one);
  }
  // Shows a sign where something is wider than the page and scrolls by itself.
  const CUT = ".wide, pre";
  function markCut() {
    for (const one of document.querySelectorAll(CUT)) one.classList.toggle("is-cut", one.scrollWidth > one.clientWidth + 1);
  }
  return { mount, start, markCut };
})();
