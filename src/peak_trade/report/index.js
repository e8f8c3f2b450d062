"use strict";
{
  const PAGE = 100; // rows in sight
  const FINE = 4095;
  const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const FIGURES = "id began flags return sharpe drawdown trades deflated curve".split(" ");
  const WORDS = "name of title made traded span differs others reason verdicts kind ends".split(" ");
  const by = (id) => document.getElementById(id);
  const told = JSON.parse(document.querySelector("script.values").textContent);
  const all = told.rows.map((row) => {
    const run = {};
    FIGURES.forEach((name, at) => (run[name] = row[at]));
    WORDS.forEach((name, at) => (run[name] = told.words[row[FIGURES.length + at]]));
    return run;
  });
  const body = document.querySelector("tbody");
  const heads = [...document.querySelectorAll("thead th")];
  const two = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const byText = new Intl.Collator("en", { numeric: true });

  const put = (made, given, children) => {
    for (const [key, value] of Object.entries(given)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  const make = (name, given = {}, ...children) => put(document.createElement(name), given, children);
  const SVG = "http://www.w3.org/2000/svg";
  const draw = (name, given = {}, ...children) => put(document.createElementNS(SVG, name), given, children);
  const small = (words, given = {}) => (words ? [make("small", given, words)] : []);
  const lines = (words) => words.split("\n").filter(Boolean);
  const parted = (one, mark) => [one.slice(0, one.indexOf(mark)), one.slice(one.indexOf(mark) + 1)];
  const short = (run) => run.id.slice(0, 8);
  const count = (number) => number.toLocaleString("en");
  // A figure in hundredths, as the page has it.
  const write = (whole, sign = "") => {
    if (whole === null) return "";
    const size = Math.abs(whole) / 100;
    return (whole < 0 ? "−" : "") + (size < (sign ? 1e9 : 1e15) ? two.format(size) : size.toExponential(1)) + sign;
  };
  const percent = (whole) => write(whole, " %");

  // --- the filter: words, of which every one has to be found, and values by their keys ---

  const verdicts = (run) => lines(run.verdicts).map((one) => parted(one, ":"));
  const said = (run) => verdicts(run).map(([, words]) => words);
  const part = (value, of) => (value === null ? null : value / of);
  const FIELDS = {
    run: (run) => run.id,
    name: (run) => run.name,
    started: (run) => run.began,
    strategy: (run) => run.title,
    kind: (run) => run.kind,
    symbol: (run) => run.traded,
    start: (run) => run.span.slice(0, 10),
    end: (run) => run.span.slice(-10),
    verdict: (run) => said(run).join(" "),
    return: (run) => part(run.return, 1e4),
    sharpe: (run) => part(run.sharpe, 100),
    drawdown: (run) => part(run.drawdown, 1e4),
    trades: (run) => run.trades,
    deflated: (run) => part(run.deflated, 1e4),
  };
  Object.assign(FIELDS, { status: FIELDS.verdict, total_return: FIELDS.return, max_drawdown: FIELDS.drawdown });
  const settings = new Map(told.words.map((words) => [words, null]));
  const parsed = (words) => {
    if (!settings.get(words)) settings.set(words, lines(words).map((one) => parted(one, "=")));
    return settings.get(words);
  };
  const asked = (run) => [...parsed(run.differs), ...parsed(run.others)];
  const holds = (value, sign, wanted) => {
    if (value === null || value === "") return false;
    const number = wanted.endsWith("%") ? Number(wanted.slice(0, -1)) / 100 : Number(wanted);
    const numbers = wanted !== "" && !Number.isNaN(number) && !Number.isNaN(Number(value));
    const [own, other] = numbers ? [Number(value), number] : [String(value).toLowerCase(), wanted];
    if (sign === "=") return numbers ? own === other : own.includes(other);
    if (sign === ">=") return own >= other;
    if (sign === "<=") return own <= other;
    return sign === ">" ? own > other : own < other;
  };
  const words = (run) => {
    const every = [run.id, run.began, run.name, run.of, run.title, run.made, run.kind, run.traded, run.span];
    run.words ??= [...every, run.differs, run.reason, ...said(run)].join(" ").toLowerCase();
    return run.words;
  };
  const finder = (word) => {
    const [, key, sign, wanted] = /^([^<>=]+)(<=|>=|=|<|>)(.*)$/.exec(word) ?? [];
    const field = key && Object.hasOwn(FIELDS, key) ? FIELDS[key] : null;
    const isOf = ([name]) => `.${name.toLowerCase()}`.endsWith(`.${key}`);
    const known = key && all.some((run) => asked(run).some(isOf));
    if (!field && !known) return (run) => words(run).includes(word);
    return (run) =>
      (field && holds(field(run), sign, wanted)) ||
      (known && asked(run).some((one) => isOf(one) && holds(one[1], sign, wanted)));
  };

  // --- rows ---

  const numbers = (digits) =>
    digits.match(/../g).map((pair) => DIGITS.indexOf(pair[0]) * 64 + DIGITS.indexOf(pair[1]));
  // The points of a curve: how far along, from 0 to 1, and as multiples of the first value.
  const points = (run) => {
    const [low, high, heights, places] = run.curve.split(" ");
    const y = numbers(heights);
    const x = places ? numbers(places).map((one) => one / FINE) : y.map((_, at) => at / (y.length - 1));
    return x.map((one, at) => [one, Number(low) + (y[at] / FINE) * (high - low)]);
  };
  const spark = (run) => {
    if (!run.curve) return [];
    const seen = points(run);
    const [low, high] = run.curve.split(" ").map(Number);
    const down = (value) => Math.round(((high - value) / (high - low || 1)) * FINE);
    const d = `M${seen.map(([x, y]) => `${Math.round(x * FINE)} ${down(y)}`).join("L")}`;
    const box = { "aria-hidden": "true", viewBox: `0 0 ${FINE} ${FINE}`, preserveAspectRatio: "none" };
    return [draw("svg", box, draw("path", seen.at(-1)[1] < seen[0][1] ? { class: "loss", d } : { d }))];
  };
  const ticked = [];
  // The other script draws what is ticked.
  const tell = () => {
    document.querySelector(".ticked").hidden = !ticked.length;
    const detail = { ticked, told, asked, said, points, percent, write, make, draw, small };
    document.dispatchEvent(new CustomEvent("ticked", { detail }));
  };
  const boxOf = (run) => {
    const box = make("input", { type: "checkbox", "aria-label": `Compare ${short(run)}` });
    box.checked = ticked.includes(run);
    box.addEventListener("change", () => {
      if (box.checked) ticked.push(run);
      else ticked.splice(ticked.indexOf(run), 1);
      tell();
    });
    return box;
  };
  const row = (run) => {
    const code = make("code", {}, short(run));
    const name = run.flags & 1 ? make("a", { href: `${run.id}/${told.output}` }, code) : code;
    const who = make("span", { class: "who" }, boxOf(run), name);
    const differs = lines(run.differs).join(", ");
    const cells = [
      [run.began],
      [run.title, ...small(run.made)],
      [run.traded, ...small(run.span)],
      [differs.length > 200 ? `${differs.slice(0, 199)}…` : differs, ...small(run.reason, { class: "failed" })],
      verdicts(run).map(([kind, one]) => make("span", { class: `badge ${kind}` }, one)),
      [percent(run.return)],
      [write(run.sharpe)],
      [percent(run.drawdown)],
      spark(run),
    ].map((content) => make("td", { role: "cell" }, ...content.filter(Boolean)));
    cells[4].append(...small(run.deflated === null ? "" : `deflated Sharpe ${percent(run.deflated)}`));
    const head = make("th", { scope: "row", role: "rowheader" }, who, ...small(run.name), ...small(run.of));
    const made = make("tr", run.flags & 4 ? { role: "row", class: "kept" } : { role: "row" }, head, ...cells);
    if (run.flags & 2) made.dataset.last = "";
    return made;
  };

  let order = all;
  let found = all;
  let first = 0;
  const show = (from) => {
    first = from;
    const seen = found.slice(first, first + PAGE);
    body.replaceChildren(...seen.map(row));
    by("shown").textContent = `${found.length < all.length ? `${count(found.length)} of ` : ""}${count(all.length)}`;
    by("place").textContent = `${count(first + 1)} to ${count(first + seen.length)} of ${count(found.length)}`;
    document.querySelector(".pages").hidden = found.length <= PAGE;
    by("before").disabled = first === 0;
    by("after").disabled = first + PAGE >= found.length;
  };
  const refresh = () => {
    const finders = by("filter").value.toLowerCase().split(/\s+/).filter(Boolean).map(finder);
    found = order.filter((run) => finders.every((finds) => finds(run)));
    show(0);
  };
  const turn = (step) => {
    show(first + step);
    document.querySelector(".all").scrollIntoView();
  };

  const COLUMNS = ["", "began", "title", "traded", "differs", "verdicts", "return", "sharpe", "drawdown"];
  const sort = (head, column) => {
    const byWords = column !== 1 && column < 6; // numbers and times come with the largest first, words from A to Z
    const up = head.ariaSort ? head.ariaSort === "descending" : byWords;
    for (const other of heads) other.removeAttribute("aria-sort");
    head.ariaSort = up ? "ascending" : "descending";
    const apart = (a, b) => (typeof a === "number" ? a - b : byText.compare(a, b)) * (up ? 1 : -1); // a=9, then a=10
    const none = (key) => key === null || key === "";
    const keyed = all.map((run) => [column ? run[COLUMNS[column]] : run.name || run.id, run]);
    // what lacks the figure comes last either way, and what looks ahead leads no list
    keyed.sort(
      ([a, one], [b, other]) => (one.flags & 2) - (other.flags & 2) || none(a) - none(b) || (none(a) ? 0 : apart(a, b)),
    );
    order = keyed.map(([, run]) => run);
    refresh();
  };

  heads.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => sort(head, column)));
  by("filter").addEventListener("input", refresh);
  by("before").addEventListener("click", () => turn(-PAGE));
  by("after").addEventListener("click", () => turn(PAGE));
  by("none").addEventListener("click", () => {
    ticked.length = 0;
    for (const box of body.querySelectorAll("input")) box.checked = false;
    tell();
  });
  for (const one of document.querySelectorAll(".find")) one.hidden = false;
  refresh(); // a browser may have kept the filter's text
}
