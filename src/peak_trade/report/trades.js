"use strict";
{
  const PAGE = 50; // rows
  const made = (name, given = {}, words = "") => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(given)) element.setAttribute(key, value);
    element.textContent = words;
    return element;
  };
  const button = (words, act, given) => {
    const element = made("button", { type: "button", ...given }, words);
    if (act) element.addEventListener("click", act);
    return element;
  };
  const summed = (steps, unit = 1) => {
    let sum = 0;
    return steps.map((step) => (step === null ? null : (sum += step) * unit));
  };
  const written = (value, digits = 0) => {
    const size = Math.abs(value).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    return (value < 0 && /[1-9]/.test(size) ? "−" : "") + size;
  };
  const store = document.querySelector("script.trades");
  const told = JSON.parse(store.textContent);
  const table = store.parentElement.querySelector("table");
  const body = table.tBodies[0];
  const plot = document.querySelector("#price svg.plot");
  const all = [...Array(told.trades).keys()];

  // Of each column: its values, to compare and add, and how one is written.
  const symbols = told.columns.find((one) => one.key === "symbol")?.v;
  const readers = {
    word: ({ words, v }) => [v.map((at) => words[at].toLowerCase()), (at) => words[v[at]]],
    time: ({ length, unit, v }) => {
      const values = summed(v, unit);
      return [values, (at) => new Date(values[at] * 1000).toISOString().slice(0, length).replace("T", " ")];
    },
    number: ({ digits, more, sign, v }) => {
      const wholes = summed(v);
      const places = (at) => digits[digits.length > 1 ? symbols[at] : 0];
      const size = (at) => 10 ** (places(at) + more) * (sign ? 100 : 1);
      const text = (at) => {
        const shown = Math.round(Math.abs(wholes[at]) / 10 ** more) / 10 ** places(at);
        return written(wholes[at] < 0 ? -shown : shown, places(at)) + sign;
      };
      return [wholes.map((whole, at) => (whole === null ? null : whole / size(at))), text];
    },
  };
  const columns = told.columns.map((one) => {
    const [values, text] = readers[one.kind](one);
    return { ...one, values, write: (at) => (values[at] === null ? "–" : text(at)) };
  });
  columns.unshift({ key: "trade", kind: "number", values: all.map((at) => at + 1), write: (at) => `${at + 1}` });
  const column = (key) => columns.find((one) => one.key === key);

  // A filter's parts are comparisons, as `return<-0.01`, or words of a row.
  const holds = (sign, a, b) => {
    if (sign === "!=") return a !== b;
    return (sign.includes("=") && a === b) || (sign.includes("<") && a < b) || (sign.includes(">") && a > b);
  };
  const plain = (words) => words.toLowerCase().replaceAll("_", " ");
  const texts = [];
  const textOf = (at) => (texts[at] ??= plain(columns.map((one) => one.write(at)).join(" ")));
  const testOf = (part) => {
    const asked = plain(part.replaceAll('"', ""));
    const [, key, sign, given] = /^(\w+)(<=|>=|!=|=|<|>)(.+)$/.exec(part) ?? [];
    const one = key && column(key.toLowerCase());
    if (!one) return (at) => textOf(at).includes(asked);
    const value = plain(given.replaceAll('"', ""));
    if (one.kind === "number") {
      const size = value.endsWith("%") ? Number(value.slice(0, -1)) / 100 : Number(value);
      return (at) => one.values[at] !== null && holds(sign, one.values[at], size);
    }
    // entry=2024-03 is a month: as much of a time as is asked for
    const own = (at) => (one.kind === "time" ? one.write(at).slice(0, value.length) : plain(one.write(at)));
    return (at) => holds(sign, own(at), value);
  };

  let [shown, page, by, down, chosen] = [[...all], 0, columns[0], false, -1];
  const last = () => Math.max(Math.ceil(shown.length / PAGE) - 1, 0);
  const turn = (words, to) => button(words, () => draw((page = to())));
  const back = [turn("First", () => 0), turn("Previous", () => page - 1)];
  const on = [turn("Next", () => page + 1), turn("Last", last)];
  const place = made("span");
  const pages = made("div", { class: "choices pages", role: "group", "aria-label": "Pages of trades" });
  pages.append(...back, place, ...on);
  const field = made("input", { type: "search", placeholder: "reason=stop_loss side=short return<-0.01" });
  const label = made("label", {}, "Filter ");
  label.append(field);
  const count = made("output");
  const top = made("div", { class: "choices", role: "search", "aria-label": "Trades" });
  top.append(label, count);
  const heads = [...table.tHead.rows[0].cells];

  const sums = () => {
    const [pnl, money] = [column("pnl"), column("currency")];
    const found = new Map();
    for (const at of pnl ? shown : []) {
      const of = money ? ` ${money.write(at)}` : "";
      found.set(of, (found.get(of) ?? 0) + pnl.values[at]);
    }
    return [...found].map(([of, sum]) => `, pnl ${written(sum, 2)}${of}`).join("");
  };
  const draw = () => {
    const rows = shown.slice(page * PAGE, (page + 1) * PAGE).map((at) => {
      const row = made("tr", at === chosen ? { "aria-current": "true", id: "chosen" } : {});
      row.dataset.trade = at;
      const [first, ...rest] = columns.map((one) => one.write(at));
      const head = made("th", { scope: "row" }, plot ? "" : first);
      if (plot) head.append(button(first, null, { "aria-label": `Trade ${first}: show in the price chart` }));
      row.append(head, ...rest.map((words) => made("td", {}, words)));
      return row;
    });
    body.replaceChildren(...rows);
    const of = shown.length < all.length ? ` of ${written(all.length)}` : "";
    count.textContent = `${written(shown.length)}${of} trades${sums()}`;
    place.textContent = `Page ${page + 1} of ${last() + 1}`;
    for (const one of back) one.disabled = page === 0;
    for (const one of on) one.disabled = page === last();
  };
  const order = () => {
    const { values } = by;
    shown.sort((a, b) => {
      const [one, other] = [values[a], values[b]];
      if (one === other) return a - b;
      if (one === null || other === null) return one === null ? 1 : -1;
      return one < other === down ? 1 : -1;
    });
    heads.forEach((cell, at) => {
      cell.removeAttribute("aria-sort");
      if (columns[at] === by) cell.setAttribute("aria-sort", down ? "descending" : "ascending");
    });
    draw((page = 0));
  };
  heads.forEach((cell, at) => {
    const sort = button(cell.textContent, () => {
      [down, by] = [by === columns[at] && !down, columns[at]];
      order();
    });
    cell.replaceChildren(sort);
  });
  field.addEventListener("input", () => {
    const parts = field.value.match(/\w+(?:<=|>=|!=|=|<|>)"[^"]*"?|"[^"]*"?|\S+/g) ?? [];
    const asked = parts.map(testOf);
    shown = all.filter((at) => asked.every((test) => test(at)));
    order();
  });

  const trade = (at) => {
    const of = (key) => column(key)?.values[at] ?? null;
    const words = ["side", "reason", "return", "pnl"].map((key) => column(key)?.write(at)).filter(Boolean);
    const fills = { from: of("entry"), to: of("exit"), entry: of("entry_price"), exit: of("exit_price") };
    return { at, side: of("side"), ...fills, apart: told.base?.[at] ?? 0, words: words.join(", ") };
  };
  const choose = (at, look) => {
    chosen = at;
    plot.dispatchEvent(new CustomEvent("trade", { detail: { ...trade(at), look } }));
    draw();
    if (look) body.querySelector("[aria-current] button")?.focus({ preventScroll: true });
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
    plot.dispatchEvent(new CustomEvent("trades", { detail: all.map(trade) }));
  }
  table.parentElement.before(top);
  table.parentElement.after(pages);
  order();
}
