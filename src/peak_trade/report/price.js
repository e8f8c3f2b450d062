"use strict";
{
  const MOST = 300; // candles or trades in sight, to be drawn one by one
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
  const share = log ? (price) => Math.log(price / low) / Math.log(high / low) : (price) => (price - low) / (high - low);
  const y = (price) => (1 - share(price)) * 10000;
  const written = (price) =>
    price.toLocaleString("en", { minimumFractionDigits: told.digits, maximumFractionDigits: told.digits });
  const room = (told.candles?.bars ?? 1) * told.step; // seconds that a candle covers
  const candles = [];
  if (told.candles) {
    const { o, h, l, c, t } = told.candles;
    let [time, close] = [0, 0];
    o.forEach((step, at) => {
      const open = close + step;
      close = open + c[at];
      time += t.v[at] * t.unit;
      const prices = [open, Math.max(open, close) + h[at], Math.min(open, close) - l[at], close];
      const [first, top, bottom, last] = prices.map((price) => price / 10 ** told.digits);
      const span = { time, from: time - room / 2, to: time + room / 2 };
      candles.push({ ...span, open: first, high: top, low: bottom, close: last });
    });
  }
  const drawn = (name, onto) => onto.appendChild(document.createElementNS("http://www.w3.org/2000/svg", name));
  const layer = drawn("g", panel);
  const words = document.createElement("p");
  words.className = "chosen-trade";
  words.role = "status";
  plot.after(words);
  const back = Object.assign(document.createElement("a"), { href: "#chosen", textContent: "Back to its row" });
  let [from, to, trades, chosen] = [first, last, [], null];

  const path = (name, d) => {
    if (!d) return;
    const made = drawn("path", layer);
    made.setAttribute("class", name);
    made.setAttribute("d", d);
  };
  const at = (time, price) => `${x(time).toFixed(4)} ${y(price).toFixed(2)}`;
  const across = (one, price) => `M${at(one.from, price)}H${x(one.to).toFixed(4)}`;
  const dots = (list, key) => list.map((one) => `M${at(one[key === "entry" ? "from" : "to"], one[key])}h0`).join("");
  const sign = (one) => (one.side === "short" ? -1 : 1);
  // Of the fill that opened the position, or of the best price of the bars before.
  const stopOf = (one) => loss && (one.entry + one.apart) * (1 - sign(one) * loss);
  const goalOf = (one) => profit && Math.max((one.entry + one.apart) * (1 + sign(one) * profit), 0);
  const trailOf = (one) => {
    if (!trailing || one.apart || told.candles?.bars !== 1) return "";
    const start = one.from + (told.atClose ? told.step / 2 : 0);
    let peak = one.entry;
    let steps = "";
    for (const candle of candles) {
      if (candle.time < start || candle.time > one.to) continue;
      const point = at(candle.time, peak * (1 - sign(one) * trailing));
      steps += steps ? `H${x(candle.time).toFixed(4)}L${point}` : `M${point}`;
      peak = sign(one) > 0 ? Math.max(peak, candle.high) : Math.min(peak, candle.low);
    }
    return steps;
  };

  const few = (list, span) => {
    const found = list.filter((one) => one.from <= span.to && one.to >= span.from);
    return found.length <= MOST ? found : [];
  };

  const draw = () => {
    layer.replaceChildren();
    const seen = few(candles, { from, to });
    const some = seen.length > 0;
    panel.classList.toggle("candled", some);
    if (some) {
      const half = x(first + room * 0.35) - x(first);
      for (const [name, list] of [
        ["up", seen.filter((one) => one.close >= one.open)],
        ["down", seen.filter((one) => one.close < one.open)],
      ]) {
        path(`wick ${name}`, list.map((one) => `M${at(one.time, one.low)}V${y(one.high).toFixed(2)}`).join(""));
        const bodies = list.map((one) => {
          const edges = [Math.max(x(one.time) - half, 0), Math.min(x(one.time) + half, 10000)];
          const [left, right] = edges.map((edge) => edge.toFixed(4));
          return `M${left} ${y(one.open).toFixed(2)}H${right}V${y(one.close).toFixed(2)}H${left}z`;
        });
        path(`body ${name}`, bodies.join(""));
      }
    }
    const near = few(trades, { from, to });
    const exact = near.length > 0 && (from > first || to < last || some);
    panel.classList.toggle("exact", exact);
    const all = exact ? near.filter((one) => one.at !== chosen?.at) : [];
    if (chosen) all.push(chosen);
    if (chosen) {
      path("chosen-band", `M${x(chosen.from).toFixed(4)} 0V10000H${x(chosen.to).toFixed(4)}V0z`);
      path("held", `M${at(chosen.from, chosen.entry)}L${at(chosen.to, chosen.exit)}`);
      path("trail-level", trailOf(chosen));
    }
    if (loss) path("stop-level", all.map((one) => across(one, stopOf(one))).join(""));
    if (profit) path("target-level", all.filter(goalOf).map((one) => across(one, goalOf(one))).join(""));
    if (chosen) {
      path("exit ring", dots([chosen], "exit"));
      path("entry ring", dots([chosen], "entry"));
    }
    for (const name of ["exit halo", "exit"]) path(name, dots(all, "exit"));
    path("entry halo", dots(all, "entry"));
    for (const side of ["long", "short"]) path(`entry ${side}`, dots(all.filter((one) => one.side === side), "entry"));
  };

  // Candles, levels and fills that are in sight may go beyond the closes.
  plot.addEventListener("range", ({ detail }) => {
    if (detail.panel !== 0) return;
    const marks = few(trades, detail).flatMap((one) => [
      one.from >= detail.from && one.entry,
      one.to <= detail.to && one.exit,
      stopOf(one),
      goalOf(one),
    ]);
    const prices = [...few(candles, detail).flatMap((one) => [one.low, one.high]), ...marks.filter(Boolean)];
    detail.low = Math.min(detail.low, ...prices);
    detail.high = Math.max(detail.high, ...prices);
  });
  plot.addEventListener("zoomed", (event) => {
    ({ from, to } = event.detail);
    draw();
  });
  const whole = (one) => [one.from, one.to, one.entry, one.exit].every(Number.isFinite);
  plot.addEventListener("trades", (event) => {
    trades = event.detail.filter(whole);
    draw();
  });
  plot.addEventListener("trade", (event) => {
    chosen = whole(event.detail) ? event.detail : null;
    if (!chosen) return draw();
    const goal = goalOf(chosen);
    words.textContent = `Trade ${chosen.at + 1}: ${chosen.words}`;
    if (loss) words.textContent += `, stop ${written(stopOf(chosen))}`;
    if (goal) words.textContent += `, target ${written(goal)}`;
    words.append(". ", back);
    if (chosen.look) {
      const room = Math.max((chosen.to - chosen.from) * 0.5, ROOM * told.step);
      const detail = { from: chosen.from - room, to: chosen.to + room };
      plot.dispatchEvent(new CustomEvent("look", { bubbles: true, detail }));
      plot.scrollIntoView({ block: "center" });
    }
    return draw();
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
