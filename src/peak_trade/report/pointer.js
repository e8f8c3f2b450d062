"use strict";
{
  const DAY = 86400;
  const STEPS = [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10800, 21600, 43200, DAY, 2 * DAY, 7 * DAY, 14 * DAY];
  const MONTHS = [1, 3, 6, 12, 24, 60, 120, 240, 600, 1200];
  const NAMES = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const RESTING = "Point or use the arrow keys for values; drag to zoom, double click for all.";
  const SHORTEST = 4; // points that are seen at the most narrow zoom
  const make = (name, given, words = "") => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(given)) made.setAttribute(key, value);
    made.textContent = words;
    return made;
  };
  const summed = (steps) => {
    let sum = 0;
    return steps.map((step) => (step === null ? null : (sum += step)));
  };
  const write = (whole, { digits, sign }) => {
    const size = Math.abs(whole) / 10 ** digits;
    const words = size.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    return (whole < 0 ? "−" : "") + words + sign;
  };
  const two = (value) => `${value}`.padStart(2, "0");
  const clock = (date) => `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`;
  const moment = (seconds) => {
    const date = new Date(seconds * 1000);
    const day = date.toISOString().slice(0, 10);
    if (seconds % DAY === 0) return day;
    return `${day} ${clock(date)}${seconds % 60 ? `:${two(date.getUTCSeconds())}` : ""}`;
  };
  // At most `count` round moments between two, and how they are written.
  const ticksOf = (from, to, count) => {
    const step = STEPS.find((one) => (to - from) / one <= count);
    if (step) {
      const found = [];
      for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
        const date = new Date(at * 1000);
        const year = step >= DAY && found.length === 0 ? ` ${date.getUTCFullYear()}` : "";
        const day = `${date.getUTCDate()} ${NAMES[date.getUTCMonth()]}${year}`;
        const time = step < 60 ? `${clock(date)}:${two(date.getUTCSeconds())}` : clock(date);
        found.push([at, step >= DAY || at % DAY === 0 ? day : time]);
      }
      return found;
    }
    const months = MONTHS.find((one) => (to - from) / (one * 30.4 * DAY) <= count) ?? MONTHS.at(-1);
    const first = new Date(from * 1000);
    const found = [];
    let number = Math.ceil((first.getUTCFullYear() * 12 + first.getUTCMonth()) / months) * months;
    for (; found.length <= count + 1; number += months) {
      const year = Math.floor(number / 12);
      const at = Date.UTC(year, number % 12) / 1000;
      if (at > to) break;
      if (at >= from) found.push([at, months < 12 ? `${NAMES[number % 12]} ${year}` : `${year}`]);
    }
    return found;
  };

  // Of a panel that is zoomed: at most five round values between two, and how they are written.
  const levelsOf = (low, high, sign) => {
    const [size, unit] = sign ? [0.01, sign] : Math.max(-low, high) >= 1e6 ? [1e6, " M"] : [1, ""];
    const rough = (high - low) / size / 4;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find((one) => one * power >= rough * 0.999) * power;
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const found = [];
    for (let count = Math.ceil(low / size / step); count * step <= high / size; count += 1)
      found.push([count * step * size, write(Math.round(count * step * 10 ** digits), { digits, sign: unit })]);
    return found;
  };
  const scaleOf = (panel) => {
    if (!panel.dataset.scale) return null;
    const [low, high, log] = panel.dataset.scale.split(" ");
    const [least, most] = [Number(low), Number(high)];
    const place = (value) =>
      log ? Math.log(value / least) / Math.log(most / least) : (value - least) / (most - least);
    return { least, most, place };
  };

  const charts = [];
  const seen = { from: -Infinity, to: Infinity }; // seconds since 1970, of every figure
  const zoom = (from, to) => {
    [seen.from, seen.to] = [from, to];
    for (const draw of charts) draw();
  };

  for (const store of document.querySelectorAll("figure > script.values")) {
    const plot = store.parentElement.querySelector("svg.plot");
    const told = JSON.parse(store.textContent);
    const times = summed(told.t);
    const columns = told.columns.map((one) => ({ ...one, v: summed(one.v) }));
    const [first, last] = [times[0], times.at(-1)];
    if (!plot || !(last > first)) continue;
    const height = Number(plot.getAttribute("height"));
    const axis = [...plot.querySelectorAll("text.x, line.grid[x1]")];
    const across = [...plot.querySelectorAll(":scope > line:not([x1]), :scope > text.y")];
    const panels = [...plot.querySelectorAll("svg.panel")].map((panel, number) => {
      const [top, tall] = [Number(panel.getAttribute("y")), Number(panel.getAttribute("height"))];
      const near = (one) => Number(one.getAttribute(one.tagName === "line" ? "y1" : "y")) - top;
      const own = across.filter((one) => near(one) >= -1 && near(one) <= tall + 1);
      return { panel, number, top, tall, own, scale: scaleOf(panel), of: columns.filter((one) => one.panel === number) };
    });
    const readout = document.createElement("p");
    readout.className = "readout";
    readout.setAttribute("role", "status");
    // Figures that stand side by side have one hint above them all.
    const several = plot.closest(".multiples");
    if (several && !several.previousElementSibling.matches(".readout")) {
      const hint = document.createElement("p");
      hint.className = "readout";
      hint.textContent = RESTING;
      several.before(hint);
    }
    const resting = several ? "" : RESTING;
    readout.textContent = resting;
    plot.before(readout);
    plot.setAttribute("tabindex", "0");
    const rule = make("line", { class: "pointer", x1: 0, y1: 8, y2: height - 24, visibility: "hidden" });
    const chosen = make("rect", { class: "chosen-span", y: 8, height: height - 32, visibility: "hidden" });
    plot.append(chosen, rule);
    let [from, to] = [first, last]; // what this figure shows: all, where nothing of it would be in sight
    let at = -1;
    let held = null;

    const before = (time) => {
      let [low, high] = [0, times.length - 1];
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (times[middle] <= time) low = middle;
        else high = middle;
      }
      return times[high] <= time ? high : low;
    };
    const nearest = (time) => {
      const low = before(time);
      return low + 1 < times.length && times[low + 1] - time < time - times[low] ? low + 1 : low;
    };
    const valueAt = (values, index) => {
      let found = index;
      while (found > 0 && values[found] === null) found -= 1;
      return values[found];
    };
    const onScreen = (time) => (time - from) / (to - from);
    const show = (index) => {
      at = Math.min(Math.max(index, 0), times.length - 1);
      const x = onScreen(times[at]);
      rule.setAttribute("visibility", x >= 0 && x <= 1 ? "visible" : "hidden");
      for (const end of ["x1", "x2"]) rule.setAttribute(end, `${(x * 100).toFixed(3)}%`);
      const words = columns.map((one) => {
        const value = valueAt(one.v, at);
        return `${one.label} ${value === null ? "–" : write(value, one)}`;
      });
      readout.textContent = [moment(times[at]), ...words].join(" · ");
    };
    const leave = () => {
      rule.setAttribute("visibility", "hidden");
      readout.textContent = resting;
      at = -1;
    };
    const timeOf = (event) => {
      const box = plot.getBoundingClientRect();
      return from + Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * (to - from);
    };
    const event = (name, detail) => {
      plot.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));
      return detail;
    };
    // The lowest and the highest value in sight of a panel, with a little room, inside its own scale.
    const range = ({ number, of, scale }) => {
      const found = { panel: number, from, to, low: Infinity, high: -Infinity };
      for (const { v, digits, sign } of of) {
        const size = 10 ** digits * (sign ? 100 : 1);
        for (let one = before(from); one < times.length && (one === 0 || times[one - 1] < to); one += 1) {
          const value = valueAt(v, one);
          if (value === null) continue;
          found.low = Math.min(found.low, value / size);
          found.high = Math.max(found.high, value / size);
        }
      }
      const { low, high } = event("range", found);
      if (!(low <= high)) return [scale.least, scale.most];
      const room = (high - low || (scale.most - scale.least) / 20) * 0.06;
      const [bottom, top] = [
        scale.least === 0 ? 0 : Math.max(low - room, scale.least),
        scale.most === 0 ? 0 : Math.min(high + room, scale.most),
      ];
      // What is rounded away on the page, or next to nothing of the panel, has no heights that could be told apart.
      return scale.place(top) - scale.place(bottom) > 1e-9 ? [bottom, top] : [scale.least, scale.most];
    };
    const drawPanel = (one, whole) => {
      const { panel, top, tall, own, scale, of } = one;
      const fitted = !whole && scale && of.length > 0;
      let [upper, size] = [0, 10000];
      for (const mark of own) mark.style.display = fitted ? "none" : "";
      if (fitted) {
        const [low, high] = range(one);
        upper = (1 - scale.place(high)) * 10000;
        size = (1 - scale.place(low)) * 10000 - upper;
        for (const [value, words] of levelsOf(low, high, of[0].sign)) {
          const y = top + (((1 - scale.place(value)) * 10000 - upper) / size) * tall;
          plot.prepend(make("line", { class: "grid zoomed", x2: "100%", y1: y, y2: y }));
          plot.append(make("text", { class: "y zoomed", x: -8, y, dy: ".32em" }, words));
        }
      }
      const units = 10000 / (last - first);
      panel.setAttribute("viewBox", `${(from - first) * units} ${upper} ${(to - from) * units} ${size}`);
      panel.style.overflow = whole ? "" : "hidden";
    };
    const draw = () => {
      const inside = seen.from < last && seen.to > first;
      [from, to] = inside ? [Math.max(seen.from, first), Math.min(seen.to, last)] : [first, last];
      const whole = from === first && to === last;
      for (const one of plot.querySelectorAll(".zoomed")) one.remove();
      for (const one of axis) one.style.display = whole ? "" : "none";
      for (const one of panels) drawPanel(one, whole);
      if (!whole) {
        for (const [time, words] of ticksOf(from, to, Math.max(Math.floor(plot.clientWidth / 90), 2))) {
          const place = onScreen(time);
          const x = `${(place * 100).toFixed(2)}%`;
          const anchor = place < 0.03 ? "start" : place > 0.97 ? "end" : "middle";
          plot.prepend(make("line", { class: "grid zoomed", x1: x, x2: x, y1: 8, y2: height - 24 }));
          plot.append(make("text", { class: "x zoomed", x, y: height - 6, "text-anchor": anchor }, words));
        }
      }
      if (at >= 0) show(at);
      event("zoomed", { from, to });
    };
    const around = (middle, width) => {
      const wide = Math.min(Math.max(width, (SHORTEST * (last - first)) / times.length), last - first);
      const start = Math.min(Math.max(middle - wide / 2, first), last - wide);
      if (wide === last - first) zoom(-Infinity, Infinity);
      else zoom(start, start + wide);
    };
    const step = (index) => {
      show(index);
      if (times[at] < from || times[at] > to) around(times[at], to - from);
    };

    plot.addEventListener("pointermove", (moved) => {
      const time = timeOf(moved);
      show(nearest(time));
      if (held === null) return;
      const [start, end] = [onScreen(held), onScreen(time)].sort((a, b) => a - b);
      chosen.setAttribute("visibility", "visible");
      chosen.setAttribute("x", `${start * 100}%`);
      chosen.setAttribute("width", `${(end - start) * 100}%`);
    });
    plot.addEventListener("pointerdown", (pressed) => {
      if (pressed.button !== 0 || pressed.pointerType === "touch") return;
      held = timeOf(pressed);
      plot.setPointerCapture(pressed.pointerId);
    });
    plot.addEventListener("pointerup", (released) => {
      chosen.setAttribute("visibility", "hidden");
      if (held === null) return;
      const [start, end] = [held, timeOf(released)].sort((a, b) => a - b);
      held = null;
      if (end - start > (to - from) / 100) around((start + end) / 2, end - start);
    });
    plot.addEventListener("pointercancel", () => {
      held = null;
      chosen.setAttribute("visibility", "hidden");
    });
    plot.addEventListener("pointerleave", leave);
    plot.addEventListener("blur", leave);
    plot.addEventListener("dblclick", () => zoom(-Infinity, Infinity));
    plot.addEventListener("look", ({ detail }) => around((detail.from + detail.to) / 2, detail.to - detail.from));
    plot.addEventListener("point", ({ detail }) => show(nearest(detail.at)));
    plot.addEventListener("keydown", (pressed) => {
      const far = pressed.shiftKey ? 10 : 1;
      const start = at >= 0 ? at : nearest(from);
      const middle = at >= 0 ? times[at] : (from + to) / 2;
      const keys = {
        ArrowLeft: () => step(start - far),
        ArrowRight: () => step(at >= 0 ? start + far : start),
        Home: () => step(0),
        End: () => step(times.length - 1),
        "+": () => around(middle, (to - from) / 2),
        "-": () => around(middle, (to - from) * 2),
        Escape: () => zoom(-Infinity, Infinity),
      };
      if (pressed.ctrlKey || pressed.metaKey || pressed.altKey || !keys[pressed.key]) return;
      keys[pressed.key]();
      pressed.preventDefault();
    });
    charts.push(draw);
  }
}
