"use strict";
{
  const PAGE = 50; // rows
  const NONE = "–";
  const made = (name, given = {}, words = "") => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(given)) element.setAttribute(key, value);
    element.textContent = words;
    return element;
  };
  const summed = (steps, unit = 1) => {
    let sum = 0;
    return steps.map((step) => (step === null ? null : (sum += step) * unit));
  };
  const written = (value, digits) => {
    const size = Math.abs(value).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    return (value < 0 && /[1-9]/.test(size) ? "−" : "") + size;
  };
  const store = document.querySelector("script.trades");
  const told = JSON.parse(store.textContent);
  const box = store.parentElement;
  const table = box.querySelector("table");
  const body = table.tBodies[0];
  const plot = document.querySelector("#price svg.plot");

  // Of each column: the values that are compared and added, how one is written, and how a filter reads what it is given.
  const symbols = told.columns.find((one) => one.key === "symbol")?.v;
  const columns = told.columns.map((one) => {
    if (one.words) {
      return { ...one, values: one.v.map((at) => one.words[at].toLowerCase()), write: (at) => one.words[one.v[at]] };
    }
    if (one.time) {
      const values = summed(one.v, one.unit);
      const write = (at) =>
        values[at] === null ? NONE : new Date(values[at] * 1000).toISOString().slice(0, one.time).replace("T", " ");
      return { ...one, values, write };
    }
    const wholes = summed(one.v);
    const digits = (at) => one.digits[one.digits.length > 1 ? symbols[at] : 0];
    const more = 10 ** (one.more ?? 0);
    const parts = one.sign ? 100 : 1;
    const values = wholes.map((whole, at) => (whole === null ? null : whole / (10 ** digits(at) * more * parts)));
    const write = (at) => {
      if (wholes[at] === null) return NONE;
      const size = Math.round(Math.abs(wholes[at]) / more) / 10 ** digits(at);
      return written(wholes[at] < 0 ? -size : size, digits(at)) + (one.sign ?? "");
    };
    return { ...one, values, write, number: true };
  });
  const ids = [...Array(told.trades).keys()];
  columns.unshift({ key: "trade", values: ids.map((at) => at + 1), write: (at) => `${at + 1}`, number: true });
  const column = (key) => columns.find((one) => one.key === key);
  const valueOf = (key, at) => column(key)?.values[at] ?? null;

  // Each part of a filter is a comparison such as `return<-0.01`, or a word that stands in the row.
  const plain = (words) => words.toLowerCase().replaceAll("_", " ");
  const tests = {
    "=": (a, b) => a === b,
    "!=": (a, b) => a !== b,
    "<": (a, b) => a < b,
    "<=": (a, b) => a <= b,
    ">": (a, b) => a > b,
    ">=": (a, b) => a >= b,
  };
  const texts = [];
  const textOf = (at) => (texts[at] ??= plain(columns.map((one) => one.write(at)).join(" ")));
  const testOf = (part) => {
    const [, key, sign, raw] = /^(\w+)(<=|>=|!=|=|<|>)(.+)$/.exec(part) ?? [];
    const one = key && column(key.toLowerCase());
    if (!one) return (at) => textOf(at).includes(plain(part.replaceAll('"', "")));
    const asked = plain(raw.replaceAll('"', ""));
    const compare = tests[sign];
    if (one.number) {
      const value = asked.endsWith("%") ? Number(asked.slice(0, -1)) / 100 : Number(asked);
      return (at) => one.values[at] !== null && compare(one.values[at], value);
    }
    // of a time as much is looked at as is asked for: entry=2024-03 is a month
    const own = one.time ? (at) => one.write(at).slice(0, asked.length) : (at) => plain(one.write(at));
    return (at) => compare(own(at), asked);
  };

  let [shown, page, by, down, chosen] = [ids, 0, columns[0], false, -1];
  const field = made("input", { type: "search", placeholder: "reason=stop_loss side=short return<-0.01" });
  const label = made("label", {}, "Filter ");
  label.append(field);
  const count = made("output", { role: "status" });
  const top = made("div", { class: "choices", role: "search", "aria-label": "Trades" });
  top.append(label, count);
  const place = made("span");
  const pages = made("div", { class: "choices pages", role: "group", "aria-label": "Pages of trades" });
  const turn = (words, to) => {
    const button = made("button", { type: "button" }, words);
    button.addEventListener("click", () => {
      page = to();
      draw();
    });
    return button;
  };
  const last = () => Math.max(Math.ceil(shown.length / PAGE) - 1, 0);
  const back = [turn("First", () => 0), turn("Previous", () => page - 1)];
  const on = [turn("Next", () => page + 1), turn("Last", last)];
  pages.append(...back, place, ...on);

  const sums = () => {
    const pnl = column("pnl");
    if (!pnl) return "";
    const moneys = column("currency");
    const found = new Map();
    for (const at of shown) {
      const money = moneys ? ` ${moneys.write(at)}` : "";
      found.set(money, (found.get(money) ?? 0) + pnl.values[at]);
    }
    const parts = [...found].map(([money, sum]) => written(sum, 2) + money);
    return parts.length ? `, pnl ${parts.join(", ")}` : "";
  };
  const draw = () => {
    const first = page * PAGE;
    const rows = shown.slice(first, first + PAGE).map((at) => {
      const row = made("tr", at === chosen ? { "aria-current": "true" } : {});
      row.dataset.trade = at;
      columns.forEach((one, number) => {
        if (number) return row.append(made("td", {}, one.write(at)));
        const head = made("th", { scope: "row" }, plot ? "" : one.write(at));
        const button = made("button", { type: "button", "aria-pressed": at === chosen }, one.write(at));
        button.setAttribute("aria-label", `Trade ${at + 1}: show in the price chart`);
        if (plot) head.append(button);
        row.append(head);
      });
      return row;
    });
    body.replaceChildren(...rows);
    const of = shown.length < ids.length ? ` of ${ids.length.toLocaleString("en")}` : "";
    count.textContent = `${shown.length.toLocaleString("en")}${of} trades${sums()}`;
    place.textContent = `Page ${page + 1} of ${last() + 1}`;
    for (const one of back) one.disabled = page === 0;
    for (const one of on) one.disabled = page >= last();
  };
  const order = () => {
    const { values } = by;
    shown.sort((a, b) => {
      const [one, other] = [values[a], values[b]];
      if (one === other) return a - b;
      if (one === null || other === null) return one === null ? 1 : -1;
      return (one < other ? -1 : 1) * (down ? -1 : 1);
    });
    [...table.tHead.rows[0].cells].forEach((cell, number) => {
      if (columns[number] === by) cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
  };
  const filter = () => {
    const parts = field.value.match(/\w+(?:<=|>=|!=|=|<|>)"[^"]*"?|"[^"]*"?|\S+/g) ?? [];
    const asked = parts.map(testOf);
    shown = ids.filter((at) => asked.every((test) => test(at)));
    page = 0;
    order();
    draw();
  };
  [...table.tHead.rows[0].cells].forEach((cell, number) => {
    const button = made("button", { type: "button" }, cell.textContent);
    cell.replaceChildren(button);
    button.addEventListener("click", () => {
      down = by === columns[number] && !down;
      by = columns[number];
      page = 0;
      order();
      draw();
    });
  });
  field.addEventListener("input", filter);

  // A trade that is chosen is looked at in all figures over time, and drawn by the script of the price's.
  const base = told.base ? summed(told.base.v) : null;
  const trade = (at) => ({
    at,
    side: column("side").write(at),
    from: valueOf("entry", at),
    to: valueOf("exit", at),
    entry: valueOf("entry_price", at),
    exit: valueOf("exit_price", at),
    apart: base ? base[at] / 10 ** told.base.digits : 0,
    words: ["side", "reason", "return", "pnl"].map((key) => column(key)?.write(at)).filter(Boolean).join(", "),
  });
  const choose = (at, look) => {
    chosen = at;
    plot.dispatchEvent(new CustomEvent("trade", { detail: { ...trade(at), look } }));
    draw();
  };
  if (plot) {
    table.classList.add("choosable");
    body.addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      if (row) choose(Number(row.dataset.trade), true);
    });
    plot.addEventListener("choose", (event) => {
      page = Math.max(Math.floor(shown.indexOf(event.detail) / PAGE), 0);
      choose(event.detail, false);
    });
    plot.dispatchEvent(new CustomEvent("trades", { detail: ids.map(trade) }));
  }
  table.parentElement.before(top);
  table.parentElement.after(pages);
  order();
  draw();
}
