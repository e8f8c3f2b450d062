"use strict";
{
  const MOST = 300; // candles in sight, and trades that are drawn one by one
  const NEAR = 9; // px from a mark that is clicked
  const ROOM = 20; // bars beside a trade that is looked at
  const store = document.querySelector("script.prices");
  const told = JSON.parse(store.textContent);
  const plot = store.parentElement.querySelector("svg.plot");
  const panel = plot.querySelector("svg.panel");
  const [first, last] = told.span;
  const [low, high, log] = told.scale;
  const [loss, profit, trailing] = told.stops;
  const x = (time) => ((time - first) / (last - first)) * 10000;
  const y = (price) => (1 - (log ? Math.log(price / low) / Math.log(high / low) : (price - low) / (high - low))) * 10000;
  const written = (price) =>
    price.toLocaleString("en", { minimumFractionDigits: told.digits, maximumFractionDigits: told.digits });
  const candles = [];
  if (told.candles) {
    const { o, h, l, c, t } = told.candles;
    let [time, close] = [0, 0];
    o.forEach((step, at) => {
      const open = close + step;
      close = open + c[at];
      time += t.v[at] * t.unit;
      const prices = [open, Math.max(open, close) + h[at], Math.min(open, close) - l[at], close];
      const [from, top, bottom, to] = prices.map((price) => price / 10 ** told.digits);
      candles.push({ time, open: from, high: top, low: bottom, close: to });
    });
  }
  const layer = document.createElementNS("http://www.w3.org/2000/svg", "g");
  panel.append(layer);
  const words = document.createElement("p");
  words.className = "chosen-trade";
  words.setAttribute("role", "status");
  plot.after(words);
  let [from, to, trades, chosen] = [first, last, [], null];

  const path = (name, d) => {
    if (!d) return;
    const made = document.createElementNS("http://www.w3.org/2000/svg", "path");
    made.setAttribute("class", name);
    made.setAttribute("d", d);
    layer.append(made);
  };
  const at = (time, price) => `${x(time).toFixed(4)} ${y(price).toFixed(2)}`;
  const across = (one, price) => `M${at(one.from, price)}H${x(one.to).toFixed(4)}`;
  const dots = (list, key) => list.map((one) => `M${at(one[key === "entry" ? "from" : "to"], one[key])}h0`).join("");
  const sign = (one) => (one.side === "short" ? -1 : 1);
  // As the engine has them: fractions of the fill that opened the position, and of the best price of the bars before.
  const stopOf = (one) => loss && (one.entry + one.apart) * (1 - sign(one) * loss);
  const goalOf = (one) => profit && Math.max((one.entry + one.apart) * (1 + sign(one) * profit), 0);
  const trailOf = (one) => {
    if (!trailing || one.apart) return "";
    const half = (told.candles.bars - 1) * told.step * 0.5;
    const start = one.from - half + (told.atClose ? told.step : 0);
    let peak = one.entry;
    const steps = [];
    for (const candle of candles) {
      if (candle.time < start || candle.time > one.to + half) continue;
      steps.push([candle.time, peak * (1 - sign(one) * trailing)]);
      peak = sign(one) > 0 ? Math.max(peak, candle.high) : Math.min(peak, candle.low);
    }
    return steps.map(([time, price], number) => `${number ? `H${x(time).toFixed(4)}L` : "M"}${at(time, price)}`).join("");
  };

  const draw = () => {
    layer.replaceChildren();
    const room = (told.candles?.bars ?? 1) * told.step;
    const seen = candles.filter((one) => one.time >= from - room && one.time <= to + room);
    const some = seen.length > 0 && seen.length <= MOST + 2;
    panel.classList.toggle("candled", some);
    if (some) {
      const half = x(first + room * 0.35) - x(first);
      for (const [name, list] of [
        ["up", seen.filter((one) => one.close >= one.open)],
        ["down", seen.filter((one) => one.close < one.open)],
      ]) {
        path(`wick ${name}`, list.map((one) => `M${at(one.time, one.low)}V${y(one.high).toFixed(2)}`).join(""));
        const bodies = list.map((one) => {
          const [left, right] = [x(one.time) - half, x(one.time) + half].map((edge) => edge.toFixed(4));
          return `M${left} ${y(one.open).toFixed(2)}H${right}V${y(one.close).toFixed(2)}H${left}z`;
        });
        path(`body ${name}`, bodies.join(""));
      }
    }
    const near = trades.filter((one) => one.from <= to && one.to >= from);
    const exact = near.length > 0 && near.length <= MOST && (from > first || to < last || some);
    panel.classList.toggle("exact", exact);
    const levels = exact ? near : [];
    const all = chosen && !levels.some((one) => one.at === chosen.at) ? [...levels, chosen] : levels;
    if (chosen) {
      path("chosen-band", `M${x(chosen.from).toFixed(4)} 0V10000H${x(chosen.to).toFixed(4)}V0z`);
      path("held", `M${at(chosen.from, chosen.entry)}L${at(chosen.to, chosen.exit)}`);
      path("trail-level", candles.length ? trailOf(chosen) : "");
    }
    if (loss) path("stop-level", all.map((one) => across(one, stopOf(one))).join(""));
    if (profit) path("target-level", all.filter(goalOf).map((one) => across(one, goalOf(one))).join(""));
    for (const name of ["exit halo", "exit"]) path(name, dots(levels, "exit"));
    path("entry halo", dots(levels, "entry"));
    for (const side of ["long", "short"]) path(`entry ${side}`, dots(levels.filter((one) => one.side === side), "entry"));
    if (chosen) {
      path("exit ring", dots([chosen], "exit"));
      path("entry ring", dots([chosen], "entry"));
    }
  };

  plot.addEventListener("zoomed", (event) => {
    ({ from, to } = event.detail);
    draw();
  });
  plot.addEventListener("trades", (event) => {
    trades = event.detail.filter((one) => [one.from, one.to, one.entry, one.exit].every(Number.isFinite));
    draw();
  });
  plot.addEventListener("trade", (event) => {
    chosen = event.detail;
    const goal = goalOf(chosen);
    words.textContent = [
      `Trade ${chosen.at + 1}: ${chosen.words}`,
      loss ? `stop ${written(stopOf(chosen))}` : "",
      goal ? `target ${written(goal)}` : "",
    ]
      .filter(Boolean)
      .join(", ");
    if (event.detail.look) {
      const room = Math.max((chosen.to - chosen.from) * 0.5, ROOM * told.step);
      const detail = { from: chosen.from - room, to: chosen.to + room };
      plot.dispatchEvent(new CustomEvent("look", { bubbles: true, detail }));
      plot.scrollIntoView({ block: "center" });
    }
    draw();
  });
  let pressed = null;
  plot.addEventListener("pointerdown", (event) => (pressed = [event.clientX, event.clientY]));
  plot.addEventListener("click", (event) => {
    if (!pressed || Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) > 3) return;
    const box = plot.getBoundingClientRect();
    const [left, top, wide, tall] = panel.getAttribute("viewBox").split(" ").map(Number);
    const [up, size] = ["y", "height"].map((name) => Number(panel.getAttribute(name)));
    const far = (time, price) =>
      Math.hypot(
        ((x(time) - left) / wide) * box.width - (event.clientX - box.left),
        ((y(price) - top) / tall) * size + up - (event.clientY - box.top),
      );
    const away = trades.map((one) => Math.min(far(one.from, one.entry), far(one.to, one.exit)));
    const nearest = away.reduce((best, one, number) => (one < away[best] ? number : best), 0);
    if (away[nearest] <= NEAR) {
      plot.dispatchEvent(new CustomEvent("choose", { detail: trades[nearest].at }));
    }
  });
  draw();
}
