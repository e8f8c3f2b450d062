"use strict";
for (const map of document.querySelectorAll(".heatmap")) {
  const { axes, stats, modes, pairs } = JSON.parse(map.querySelector("script[type]").textContent);
  const drawn = map.querySelector(".drawn");
  const numbers = map.querySelector(".numbers");
  const choice = (name) => map.querySelector(`[data-choice=${name}]`);
  const chosen = (name, otherwise) => Number(choice(name)?.value ?? otherwise);
  const make = (name, given, words = "") => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(given)) made.setAttribute(key, value);
    made.textContent = words;
    return made;
  };
  const short = (label) => (label.length <= 12 ? label : `${label.slice(0, 11)}…`);
  const fixed = (value) => `${Number(value.toFixed(6))}`;
  const whole = (value) => value.toLocaleString("en");
  const write = (value, sign) => {
    if (value === null) return "–";
    const minus = value < 0 ? "−" : "";
    const size = Math.abs(value);
    if (sign === "c") return minus + whole(size);
    const digits = `${minus}${whole(Math.floor(size / 100))}.${`${size % 100}`.padStart(2, "0")}`;
    return sign === "p" ? `${digits} %` : digits;
  };
  // The cells over two axes, as `down` and `across` say, which may be the other way round than they are kept.
  const cellsOf = (down, across) => {
    const kept = pairs.find((pair) => pair.down === Math.min(down, across) && pair.across === Math.max(down, across));
    const wide = axes[across][1].length;
    const high = axes[down][1].length;
    const at = (cell) => (kept.down === down ? cell : (cell % wide) * high + Math.floor(cell / wide));
    return { kept, wide, high, at };
  };
  const draw = () => {
    const across = chosen("across", pairs[0].across);
    const down = chosen("down", pairs[0].down);
    const { kept, wide, high, at } = cellsOf(down, across);
    const [, label, sign] = stats[chosen("stat", 0)];
    const values = kept.values[chosen("stat", 0)][chosen("mode", 0)];
    const known = values.filter((value) => value !== null);
    const low = Math.min(...known);
    const span = Math.max(...known) - low;
    const step = (value) => (span === 0 ? 4 : Math.min(Math.floor((9 * (value - low)) / span), 8));
    const row = Math.max(high <= 14 ? 28 : Math.floor(420 / high), 9);
    const [downName, downLabels] = axes[down];
    const [acrossName, acrossLabels] = axes[across];
    const tall = high * row + 54;
    const about = `${label} over ${acrossName} (across) and ${downName} (up)`;
    const plot = make("svg", { class: "plot heat", role: "img", "aria-label": about, width: "100%", height: tall, style: `height:${tall}px` });
    const box = { class: "panel", y: 8, width: "100%", height: high * row, style: `height:${high * row}px` };
    const panel = make("svg", { ...box, viewBox: `0 0 ${wide} ${high}`, preserveAspectRatio: "none" });
    const texts = [];
    const rows = [];
    const flat = new Set(kept.flat);
    const outline = [];
    let ring = "";
    for (let cell = 0; cell < wide * high; cell += 1) {
      const place = at(cell);
      const value = values[place];
      const [x, up] = [cell % wide, Math.floor(cell / wide)];
      const y = high - 1 - up;
      const [count, failed, same] = [kept.count[place], kept.failed[place], kept.same[place]];
      const lost = value === null && count > 0 && failed === count;
      const notes = [];
      if (count > 1) notes.push(`${whole(count)} trials`);
      if (failed && (failed < count || count > 1)) notes.push(`${whole(failed)} failed`);
      if (same) notes.push(count === 1 ? "a duplicate" : `${whole(same)} duplicates`);
      if (place === kept.chosen) notes.push("chosen");
      const said = lost ? "failed" : value === null ? "no value" : write(value, sign);
      const where = `${acrossName} ${acrossLabels[x]}, ${downName} ${downLabels[up]}`;
      const told = count ? `${where}: ${said}${notes.length ? ` (${notes.join(", ")})` : ""}` : `${where}: not tried`;
      const kind = value !== null ? `c${step(value)}` : count ? "none" : "untried";
      const rect = make("rect", { class: kind, x, y, width: 1, height: 1 });
      rect.append(make("title", {}, told));
      panel.append(rect);
      if (lost) panel.append(make("path", { class: "failed", d: `M${x} ${y + 1}l1 -1` }));
      if (wide <= 12 && value !== null) {
        const middle = { x: `${((100 * (x + 0.5)) / wide).toFixed(2)}%`, y: fixed(8 + (y + 0.5) * row), dy: ".32em" };
        texts.push(make("text", { class: `cell t${step(value)}`, ...middle }, write(value, sign)));
      }
      const without = count ? (lost ? "failed" : "–") : "not tried";
      (rows[up] ??= []).push(value === null ? without : write(value, sign));
      if (place === kept.chosen) ring = `M${x} ${y}h1v1h-1z`;
      if (flat.has(place)) {
        const inside = (dx, dy) => x + dx >= 0 && x + dx < wide && up + dy >= 0 && up + dy < high && flat.has(at(cell + dx + dy * wide));
        outline.push([x, y, [inside(0, 1), inside(0, -1), inside(-1, 0), inside(1, 0)]]);
      }
    }
    outline.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    const sides = (x, y) => [`M${x} ${y}h1`, `M${x} ${y + 1}h1`, `M${x} ${y}v1`, `M${x + 1} ${y}v1`];
    const line = outline.map(([x, y, beside]) => sides(x, y).filter((_, side) => !beside[side]).join("")).join("");
    if (line) panel.append(make("path", { class: "halo", d: line }), make("path", { class: "edge", d: line }));
    if (ring) panel.append(make("path", { class: "halo", d: ring }), make("path", { class: "ring", d: ring }));
    const each = Math.ceil(wide / 14);
    const every = Math.ceil(15 / row);
    acrossLabels.forEach((one, place) => {
      if (place % each) return;
      const minor = Math.floor(place / each) % 2 ? " minor" : "";
      texts.push(make("text", { class: `x${minor}`, x: `${((100 * (place + 0.5)) / wide).toFixed(2)}%`, y: high * row + 26 }, short(one)));
    });
    downLabels.forEach((one, place) => {
      if (place % every) return;
      texts.push(make("text", { class: "y", x: -8, y: fixed(8 + (high - place - 0.5) * row), dy: ".32em" }, short(one)));
    });
    texts.push(make("text", { class: "x name", x: "50%", y: high * row + 46 }, acrossName));
    plot.append(panel, ...texts);
    drawn.querySelector(".up").textContent = `${downName} ↑`;
    drawn.querySelector("svg").replaceWith(plot);
    map.querySelector(".low").textContent = known.length ? write(low, sign) : "–";
    map.querySelector(".high").textContent = known.length ? write(low + span, sign) : "–";
    const cell = (name, words, scope) => {
      const made = document.createElement(name);
      made.textContent = words;
      if (scope) made.scope = scope;
      return made;
    };
    const lineOf = (cells) => {
      const made = document.createElement("tr");
      made.append(...cells);
      return made;
    };
    const head = [`${downName} \\ ${acrossName}`, ...acrossLabels].map((words) => cell("th", words, "col"));
    numbers.querySelector("thead").replaceChildren(lineOf(head));
    const body = rows.map((cells, up) => lineOf([cell("th", downLabels[up], "row"), ...cells.map((words) => cell("td", words))]));
    numbers.querySelector("tbody").replaceChildren(...body.reverse());
    numbers.firstElementChild.setAttribute("aria-label", `${label} by ${downName} and ${acrossName}`);
  };
  map.querySelector(".choices").hidden = false;
  for (const name of ["stat", "across", "down", "mode"]) {
    choice(name)?.addEventListener("change", () => {
      const [one, other] = [choice("across"), choice("down")];
      if (one && one.value === other.value) {
        const moved = name === "across" ? other : one;
        moved.value = `${axes.findIndex((_, at) => at !== Number(one.value))}`;
      }
      draw();
    });
  }
}
