"use strict";
{
  const DAY = 86400;
  const STEPS = [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10800, 21600, 43200, DAY, 2 * DAY, 7 * DAY, 14 * DAY];
  const MONTHS = [1, 3, 6, 12, 24, 60, 120, 240, 600, 1200];
  const NAMES = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
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
        const day = `${date.getUTCDate()} ${NAMES[date.getUTCMonth()]}`;
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

  const charts = [];
  const shared = { from: 0, to: 1 };
  const zoom = (from, to) => {
    [shared.from, shared.to] = [Math.max(from, 0), Math.min(to, 1)];
    for (const chart of charts) chart.draw();
  };

  for (const store of document.querySelectorAll("figure > script.values")) {
    const figure = store.parentElement;
    const plot = figure.querySelector("svg.plot");
    const told = JSON.parse(store.textContent);
    const times = summed(told.t);
    const columns = told.columns.map((one) => ({ ...one, v: summed(one.v) }));
    const [first, last] = [times[0], times.at(-1)];
    const span = last - first;
    if (!plot || !span) continue;
    const place = (at) => (times[at] - first) / span;
    const panels = [...plot.querySelectorAll("svg.panel")];
    const axis = [...plot.querySelectorAll("text.x, line.grid[x1]")];
    const height = Number(plot.getAttribute("height"));
    const readout = document.createElement("p");
    readout.className = "readout";
    readout.setAttribute("role", "status");
    const resting = "Point or use the arrow keys for values; drag to zoom, double click for all.";
    readout.textContent = resting;
    plot.before(readout);
    plot.setAttribute("tabindex", "0");
    const rule = make("line", { class: "pointer", y1: 8, y2: height - 24, visibility: "hidden" });
    const chosen = make("rect", { class: "chosen-span", y: 8, height: height - 32, visibility: "hidden" });
    plot.append(chosen, rule);
    let at = -1;
    let held = null;

    const nearest = (share) => {
      const time = first + share * span;
      let [low, high] = [0, times.length - 1];
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (times[middle] <= time) low = middle;
        else high = middle;
      }
      return time - times[low] <= times[high] - time ? low : high;
    };
    const valueAt = (values, index) => {
      let found = index;
      while (found > 0 && values[found] === null) found -= 1;
      return values[found];
    };
    const onScreen = (share) => (share - shared.from) / (shared.to - shared.from);
    const show = (index) => {
      at = Math.min(Math.max(index, 0), times.length - 1);
      const x = onScreen(place(at));
      const seen = x >= 0 && x <= 1;
      rule.setAttribute("visibility", seen ? "visible" : "hidden");
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
    const shareOf = (event) => {
      const box = plot.getBoundingClientRect();
      const x = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
      return shared.from + x * (shared.to - shared.from);
    };
    const draw = () => {
      const whole = shared.from === 0 && shared.to === 1;
      for (const panel of panels) {
        panel.setAttribute("viewBox", `${shared.from * 10000} 0 ${(shared.to - shared.from) * 10000} 10000`);
        panel.style.overflow = whole ? "" : "hidden";
      }
      for (const one of plot.querySelectorAll(".zoomed")) one.remove();
      for (const one of axis) one.style.display = whole ? "" : "none";
      if (!whole) {
        const [from, to] = [first + shared.from * span, first + shared.to * span];
        for (const [time, words] of ticksOf(from, to, Math.max(Math.floor(plot.clientWidth / 90), 2))) {
          const x = `${(onScreen((time - first) / span) * 100).toFixed(2)}%`;
          plot.prepend(make("line", { class: "grid zoomed", x1: x, x2: x, y1: 8, y2: height - 24 }));
          plot.append(make("text", { class: "x zoomed", x, y: height - 6 }, words));
        }
      }
      if (at >= 0) show(at);
    };
    const narrowest = Math.min(SHORTEST / times.length, 1);
    const around = (middle, width) => {
      const wide = Math.min(Math.max(width, narrowest), 1);
      const from = Math.min(Math.max(middle - wide / 2, 0), 1 - wide);
      zoom(from, from + wide);
    };

    plot.addEventListener("pointermove", (event) => {
      const share = shareOf(event);
      show(nearest(share));
      if (held === null) return;
      const [from, to] = [onScreen(held), onScreen(share)].sort((a, b) => a - b);
      chosen.setAttribute("visibility", "visible");
      chosen.setAttribute("x", `${from * 100}%`);
      chosen.setAttribute("width", `${(to - from) * 100}%`);
    });
    plot.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.pointerType === "touch") return;
      held = shareOf(event);
      plot.setPointerCapture(event.pointerId);
    });
    plot.addEventListener("pointerup", (event) => {
      chosen.setAttribute("visibility", "hidden");
      if (held === null) return;
      const [from, to] = [held, shareOf(event)].sort((a, b) => a - b);
      held = null;
      if ((to - from) / (shared.to - shared.from) > 0.01) around((from + to) / 2, to - from);
    });
    plot.addEventListener("pointercancel", () => {
      held = null;
      chosen.setAttribute("visibility", "hidden");
    });
    plot.addEventListener("pointerleave", leave);
    plot.addEventListener("blur", leave);
    plot.addEventListener("dblclick", () => zoom(0, 1));
    plot.addEventListener("keydown", (event) => {
      const far = event.shiftKey ? 10 : 1;
      const width = shared.to - shared.from;
      const start = at >= 0 ? at : nearest(shared.from);
      const keys = {
        ArrowLeft: () => show(start - far),
        ArrowRight: () => show(at >= 0 ? start + far : start),
        Home: () => show(nearest(shared.from)),
        End: () => show(nearest(shared.to)),
        "+": () => around(at >= 0 ? place(at) : shared.from + width / 2, width / 2),
        "-": () => around(shared.from + width / 2, width * 2),
        Escape: () => zoom(0, 1),
      };
      if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
      keys[event.key]();
      event.preventDefault();
    });
    charts.push({ draw });
  }
}
