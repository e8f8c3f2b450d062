"use strict";
const body = document.querySelector("tbody");
const heads = [...document.querySelectorAll("thead th")];
const shown = document.getElementById("shown");
const filter = document.getElementById("filter");
const more = document.getElementById("more");
const byText = new Intl.Collator("en", { numeric: true });
let limit = Number(body.dataset.limit);
let rows = [...body.rows].map((row) => ({ row, words: row.textContent.toLowerCase() }));

// Hides what the filter leaves out and, for the sake of speed, what comes after the first rows.
const refresh = () => {
  const wanted = filter.value.toLowerCase().split(/\s+/);
  let count = 0;
  for (const { row, words } of rows) {
    const found = wanted.every((word) => words.includes(word));
    count += found ? 1 : 0;
    row.hidden = !found || count > limit;
  }
  const total = rows.length.toLocaleString("en");
  shown.textContent = count === rows.length ? total : `${count.toLocaleString("en")} of ${total}`;
  more.hidden = count <= limit;
};

// A cell says what it sorts by where that is not its text; a run without the figure comes last either way.
const keyOf = (row, column) => {
  const cell = row.cells[column];
  return "v" in cell.dataset ? Number(cell.dataset.v) : cell.textContent || null;
};

const sort = (head, column) => {
  const words = column > 1 && column < 6; // numbers and times come with the largest first, words from A to Z
  const up = head.ariaSort ? head.ariaSort === "descending" : words;
  heads.forEach((other) => other.removeAttribute("aria-sort"));
  head.ariaSort = up ? "ascending" : "descending";
  const apart = (a, b) => (typeof a === "number" ? a - b : byText.compare(a, b)); // length=9 before length=10
  const order = ([a], [b]) => (a === null ? 1 : b === null ? -1 : apart(a, b) * (up ? 1 : -1));
  rows = rows.map((each) => [keyOf(each.row, column), each]).sort(order).map(([, each]) => each);
  rows.sort((a, b) => ("last" in a.row.dataset) - ("last" in b.row.dataset)); // look-ahead leads no list
  refresh();
  body.append(...rows.map(({ row }) => row));
};

heads.forEach((head, column) => head.firstElementChild?.addEventListener("click", () => sort(head, column)));
filter.addEventListener("input", refresh);
more.addEventListener("click", () => {
  limit = Infinity;
  refresh();
});
refresh(); // a browser may have kept the filter's text
