"use strict";
{
  // Draws the runs that are ticked in the list over each other: the script of the list tells which, and how it writes.
  const HEIGHT = 288;
  const section = document.getElementById("compared");
  const letter = (at) => String.fromCharCode(65 + (at % 26)) + (at < 26 ? "" : Math.floor(at / 26) + 1);
  const day = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 10);
  // Round values between two: of a logarithmic axis 1, 2 and 5 of each power of ten.
  const ticksOf = (low, high, log) => {
    const steps = Array.from({ length: 60 }, (_, at) => [1, 2, 5].map((one) => Number(`${one}e${at - 30}`))).flat();
    const seen = steps.filter((one) => one >= low && one <= high);
    if (log && seen.length > 2) return seen.filter((_, at) => at % Math.ceil(seen.length / 8) === 0);
    const step = steps.find((one) => (high - low) / one <= 6) ?? high - low;
    const first = Math.ceil(low / step);
    return Array.from({ length: 7 }, (_, at) => (first + at) * step).filter((one) => one <= high);
  };

  document.addEventListener("ticked", ({ detail }) => {
    const { ticked, told, asked, said, points, percent, write, make, draw, small } = detail;
    const short = (run) => run.id.slice(0, 8);
    const letters = ticked.map((_, at) => letter(at));
    const names = ticked.map((run, at) => `${letters[at]} ${short(run)}`);
    const enough = ticked.length > 1;
    document.getElementById("ticked").textContent = names.join(", ") + (enough ? "" : ": tick another run to compare");
    document.getElementById("see").hidden = section.hidden = !enough;
    if (!enough) return;

    const table = (label, head, rows) => {
      const top = make("tr", {}, ...head.map((one) => make("th", { scope: "col" }, one)));
      const below = rows.map(([name, ...cells]) => {
        const own = cells.map((one) => make("td", {}, ...[one].flat()));
        return make("tr", {}, make("th", { scope: "row" }, name), ...own);
      });
      const made = make("table", {}, make("thead", {}, top), make("tbody", {}, ...below));
      return make("div", { class: "scroll", role: "region", "aria-label": label, tabindex: "0" }, made);
    };

    const figure = () => {
      const drawn = ticked.map((run, at) => ({ run, at })).slice(0, told.drawn).filter(({ run }) => run.curve);
      if (!drawn.length) return make("p", {}, "None of them has a curve here.");
      const curves = drawn.map(({ run }) => {
        const [from, to] = run.ends.split(" ").map(Number);
        return points(run).map(([share, value]) => [from + share * (to - from), value]);
      });
      const start = Math.min(...curves.map((one) => one[0][0]));
      const end = Math.max(...curves.map((one) => one.at(-1)[0]));
      const values = curves.flat().map(([, value]) => value);
      const log = Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) >= 3;
      const [to, from] = log ? [Math.log, Math.exp] : [(value) => value, (value) => value];
      const span = to(Math.max(...values)) - to(Math.min(...values));
      const low = to(Math.min(...values)) - (span * 0.04 || 0.01);
      const high = to(Math.max(...values)) + (span * 0.04 || 0.01);
      const down = (value) => 1 - (to(value) - low) / (high - low);
      const along = (time) => (end > start ? (time - start) / (end - start) : 0.5);

      const about = `Equity of ${drawn.length} runs over each other`;
      const plot = draw("svg", { class: "plot", role: "img", "aria-label": about, width: "100%", height: HEIGHT + 32 });
      for (const value of ticksOf(from(low), from(high), log)) {
        const y = (8 + down(value) * HEIGHT).toFixed(1);
        plot.append(draw("line", { class: "grid", x2: "100%", y1: y, y2: y }));
        plot.append(draw("text", { class: "y", x: -8, y, dy: ".32em" }, String(Number(value.toPrecision(6)))));
      }
      for (let at = 0; at < 5; at += 1) {
        const anchor = { 0: { "text-anchor": "start" }, 4: { "text-anchor": "end" } }[at] ?? {};
        const given = { class: at % 2 ? "x minor" : "x", x: `${at * 25}%`, y: HEIGHT + 26, ...anchor };
        plot.append(draw("text", given, day(start + (at / 4) * (end - start))));
      }
      const box = { viewBox: "0 0 10000 10000", preserveAspectRatio: "none" };
      const panel = draw("svg", { class: "panel", y: 8, width: "100%", height: HEIGHT, ...box });
      curves.forEach((one, at) => {
        const seen = one.map(([time, value]) => `${Math.round(along(time) * 1e4)} ${Math.round(down(value) * 1e4)}`);
        panel.append(draw("path", { class: `run${drawn[at].at}`, d: `M${seen.join("L")}` }));
      });
      plot.append(panel);

      const key = drawn.map(({ run, at }) => make("li", { class: `run${at}` }, `${names[at]} ${run.name}`.trim()));
      const rows = Array.from({ length: 11 }, (_, at) => start + (at / 10) * (end - start)).map((time) => [
        day(time),
        ...curves.map((one) => {
          const last = one.findLast(([own]) => own <= time + 1);
          return last && time <= one.at(-1)[0] + 1 ? last[1].toFixed(4) : "–";
        }),
      ]);
      const data = table("The numbers of this figure", ["Day (UTC)", ...drawn.map(({ at }) => letters[at])], rows);
      const bare = letters.filter((_, at) => at < told.drawn && !ticked[at].curve);
      const left = bare.length ? ` There is no curve of ${bare.join(", ")}.` : "";
      const more = ticked.length > told.drawn ? ` The first ${told.drawn} are drawn.` : "";
      const axis = log ? "logarithmic" : "linear";
      const words = `Equity as a multiple of its first value, on a ${axis} axis, by some sixty of its values.`;
      const numbers = make("details", { class: "numbers" }, make("summary", {}, "The numbers of this figure"), data);
      return make(
        "figure",
        {},
        make("ul", { class: "legend" }, ...key),
        plot,
        make("figcaption", {}, words + left + more),
        numbers,
      );
    };

    const statistics = () => {
      const kinds = [
        ["Return", "return", percent],
        ["Sharpe ratio", "sharpe", write],
        ["Max drawdown", "drawdown", percent],
        ["Deflated Sharpe", "deflated", percent],
      ];
      const rows = kinds.map(([words, key, how]) => {
        const fair = ticked.filter((run) => run[key] !== null && !(run.flags & 2)); // what looks ahead is no best
        const best = Math.max(...fair.map((run) => run[key]));
        const [first, ...others] = fair.filter((run) => run[key] === best);
        const marked = fair.length > 1 && !others.length ? first : null;
        return [words, ...ticked.map((run) => [how(run[key]) || "–", ...(run === marked ? small(" best") : [])])];
      });
      rows.push(["Trades", ...ticked.map((run) => run.trades?.toLocaleString("en") ?? "–")]);
      rows.push(["Verdict", ...ticked.map((run) => said(run).join(", "))]);
      return table("Statistics", ["Statistic", ...letters], rows);
    };

    const differing = () => {
      const own = ticked.map((run) => {
        const facts = { strategy: run.title, symbol: run.traded, bars: run.span, kind: run.kind };
        const ends = { start: run.span.slice(0, 10), end: run.span.slice(-10) }; // which stand in the bars
        const others = asked(run).filter(([name, value]) => !Object.hasOwn(ends, name) || !value.startsWith(ends[name]));
        return new Map([...Object.entries(facts), ...others]);
      });
      const rows = [...new Set(own.flatMap((one) => [...one.keys()]))].map((key) => [
        key,
        ...own.map((one) => one.get(key) || "–"),
      ]);
      const apart = rows.filter(([, ...values]) => new Set(values).size > 1);
      if (!apart.length) return make("p", {}, "Nothing of what they were asked for.");
      return table("What differs", ["What", ...letters], apart);
    };

    const page = told.pages.find(
      (name) => name.slice(8, -5).split("_").sort().join() === ticked.map(short).sort().join(),
    );
    const ids = ticked.map((run) => run.id.slice(0, told.digits));
    section.replaceChildren(
      make("h2", {}, `${letters.length > 4 ? `${letters.length} runs` : letters.join(" and ")} compared`),
      figure(),
      make("h3", {}, "Statistics"),
      statistics(),
      make("h3", {}, "What differs"),
      differing(),
      make("h3", {}, "All of it, bar by bar"),
      ...(page ? [make("p", {}, make("a", { href: page }, page))] : []),
      make("pre", {}, make("code", {}, `just compare ${ids.join(" ")} --html`)),
    );
  });
}
