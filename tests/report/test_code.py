"""The strategy's own code on the page, against the run before it: every line and sign as worked out by hand."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from tests.record.portfolio import recorded, result
from tests.report.conftest import Html, Runs, page_of, toml

from peak_trade import config, sweep
from peak_trade.evidence.ledger import Ledger
from peak_trade.record.asked import Order
from peak_trade.record.command import record
from peak_trade.report import earlier
from peak_trade.report.run import RunFiles

FIRST = """import numpy as np

LIMIT = 0.5
# a remark


def steps(bars, *, length=7):
    # gone by then
    return np.resize(np.repeat([0.0, LIMIT], length), len(bars))
"""
SECOND = FIRST.replace("0.5", "0.75").replace("# a remark\n", "# a remark\n# and one more\n").replace(
    "    # gone by then\n", ""
)  # fmt: skip
HELPED = "from {0} import LIMIT\nimport numpy as np\n\n\ndef steps(bars):\n    return np.full(len(bars), LIMIT)\n"


class Chain(Runs):
    """Runs of one file that changes, in one results directory."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder)

    def ran(self, source: str, *overrides: str, **files: str) -> Path:
        """Return the run of a source, and of modules beside it by their names."""
        for name, content in {"own": source, **files}.items():
            (self.root / f"{name}.py").write_text(content, encoding="utf-8")
            sys.modules.pop(name, None)
        return self.make("chain", toml("steps", bars=300), overrides)


def shown(run: Path) -> Html:
    return page_of(run).section("code")


def told(run: Path) -> str:
    """The words of a section before its first heading below its own."""
    return Html(shown(run).html.partition("</h2>")[2].partition("<h3>")[0]).words


def rows(section: Html, number: int = 0) -> list[tuple[str, str, str]]:
    """The element, the sign and the words of each line of a file."""
    source = section.html.split('<div class="scroll source"')[number + 1].partition("</pre>")[0]
    found = re.findall(r'<(\w+) class="l" data-n="([^"]*)"[^>]*>(.*?)&#10;</\1>', source)
    return [(element, sign, unescape(re.sub("<[^>]*>", "", line))) for element, sign, line in found]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four runs: the first, one of other code, length and fee, one of the same again, and one of another length."""
    made = Chain(tmp_path_factory.mktemp("chain"))
    asked = ("strategy.params.length=12", "execution.fee_bps=7.5")
    return [made.ran(FIRST), made.ran(SECOND, *asked), made.ran(SECOND, *asked), made.ran(SECOND, asked[1])]


@pytest.fixture
def copied(chain: list[Path], tmp_path: Path) -> Callable[[int], Path]:
    """A copy of the whole results directory, whose runs may be changed."""

    def of(number: int) -> Path:
        folder = shutil.copytree(chain[0].parent, tmp_path / "results", ignore=shutil.ignore_patterns("report"))
        for file in folder.rglob("*"):
            file.chmod(0o755 if file.is_dir() else 0o644)
        return Path(folder / chain[number].name)

    return of


# --- against the run before ---------------------------------------------------------------------------------------


def test_the_first_run_of_a_strategy_has_none_to_be_held_against(chain: list[Path]) -> None:
    assert told(chain[0]) == "No run of this strategy came before it here: its code is held against none."
    assert [sign.strip() for _, sign, _ in rows(shown(chain[0]))] == [str(at) for at in range(1, 10)]


def test_lines_that_differ_are_counted_by_what_became_of_them(chain: list[Path]) -> None:
    day = Ledger(chain[0].parent).read().entries[0].time[:10]
    assert told(chain[1]) == (
        f"3 lines differ from run {chain[0].name[:8]} of {day}, the one of this strategy before it: "
        "1 added, 1 changed, 1 removed in own.py ."
    )


def test_each_line_has_its_number_and_a_sign_where_it_differs(chain: list[Path]) -> None:
    assert rows(shown(chain[1])) == [
        ("span", "1  ", "import numpy as np"),
        ("span", "2  ", ""),
        ("del", "−", "LIMIT = 0.5"),
        ("ins", "3 ~", "LIMIT = 0.75"),
        ("span", "4  ", "# a remark"),
        ("ins", "5 +", "# and one more"),
        ("span", "6  ", ""),
        ("span", "7  ", ""),
        ("span", "8  ", "def steps(bars, *, length=7):"),
        ("del", "−", "    # gone by then"),
        ("span", "9  ", "    return np.resize(np.repeat([0.0, LIMIT], length), len(bars))"),
    ]


def test_the_places_that_differ_are_links_to_them(chain: list[Path]) -> None:
    section = shown(chain[1])
    assert "Differs in line 3 , line 5 , after line 8 ; + added, ~ changed, − as it was." in section.words
    links = re.findall(r'href="#(code-[\d-]+)"', section.html)
    assert links == ["code-0-0", "code-0-1", "code-0-2"]
    signs = [re.findall(rf'data-n="([^"]*)" id="{link}"', section.html) for link in links]
    assert signs == [["−"], ["5 +"], ["−"]]


def test_what_was_asked_otherwise_stands_beside_what_it_was(chain: list[Path]) -> None:
    assert shown(chain[1]).rows("What was asked otherwise than before") == [
        ["Name", "Before", "Now"], ["length", "7", "12"], ["execution.fee_bps", "5.0", "7.5"],
    ]  # fmt: skip


def test_the_same_code_is_said_to_be_the_same(chain: list[Path]) -> None:
    assert told(chain[2]).endswith("before it, and so is what was asked of it.")
    assert told(chain[2]).startswith(f"The code is the same as in run {chain[1].name[:8]} of ")
    assert {element for element, _, _ in rows(shown(chain[2]))} == {"span"}


def test_the_same_code_with_other_parameters_has_them(chain: list[Path]) -> None:
    assert told(chain[3]).endswith("the one of this strategy before it.")
    assert shown(chain[3]).rows("What was asked otherwise than before")[1:] == [["length", "12", "7"]]


def test_runs_that_come_later_change_nothing(tmp_path: Path) -> None:
    made = Chain(tmp_path / "a")
    made.ran(FIRST)
    run = made.ran(SECOND)
    before = shown(run).html
    made.ran(FIRST)
    assert shown(run).html == before


def test_a_run_that_failed_has_its_code(runs: Any) -> None:
    assert ("span", "17  ", "def broken(bars, **words):") in [
        (kind, sign, line) for kind, sign, line in rows(shown(runs["failed"]))
    ]


# --- which run that is --------------------------------------------------------------------------------------------


class Told:
    """A ledger whose runs began and ended in a given order."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ledger = folder, Ledger(folder)

    def add(self, number: int, event: str, **fields: Any) -> str:
        run_id = f"{number:08d}-0000-4000-8000-000000000000"
        self.ledger.append(event, run_id, **fields)
        return run_id

    def run(self, number: int, end: str = "sealed", **fields: Any) -> str:
        self.add(number, "start", **{"strategy": "s", **fields})
        return self.add(number, end, **{"strategy": "s", **fields})

    def before(self, run_id: str) -> str | None:
        found = earlier.before(RunFiles(self.folder / run_id))
        return found.run_id if found else None


@pytest.fixture
def ledger(tmp_path: Path) -> Told:
    return Told(tmp_path)


def test_it_is_the_last_that_was_sealed_before_this_one_began(ledger: Told) -> None:
    ledger.run(1)
    two = ledger.run(2)
    ledger.add(3, "start", strategy="s")
    four = ledger.add(4, "start", strategy="s")
    ledger.add(3, "sealed", strategy="s")
    ledger.add(4, "sealed", strategy="s")
    assert ledger.before(four) == two


@pytest.mark.parametrize(
    "fields",
    [
        {"end": "failed"},
        {"strategy": "t"},
        {"kind": "imported"},
        {"parent": "00000009-0000-4000-8000-000000000000"},
        {"command": "python s", "kind": "recorded"},
    ],
)
def test_what_is_none_of_its_kind_does_not_count(fields: dict[str, Any], ledger: Told) -> None:
    one = ledger.run(1)
    ledger.run(2, **fields)
    assert ledger.before(ledger.run(3)) == one


def test_a_run_that_was_removed_does_not_count(ledger: Told) -> None:
    one, two = ledger.run(1), ledger.run(2)
    three = ledger.run(3)
    assert ledger.before(three) == two  # the control
    ledger.add(2, "removed")
    assert ledger.before(three) == one


@pytest.mark.parametrize(
    ("command", "other"),
    [
        ("python pairs.py --fast 10", "/usr/bin/python3 -O /srv/pairs.py --fast 12"),
        ("python -m pairs.main x", "python3 -m pairs.main y"),
        ("./engine 'a b'", "/opt/engine 'c"),
        ("python 'a b.py' x", "python 'a b.py' 'c"),
    ],
)
def test_a_command_is_known_by_its_program(command: str, other: str, ledger: Told) -> None:
    one = ledger.run(1, strategy="", command=command, kind="recorded")
    ledger.run(2, strategy="", command="python others.py", kind="recorded")
    assert ledger.before(ledger.run(3, strategy="", command=other, kind="recorded")) == one


def test_a_run_that_the_ledger_does_not_know_has_none(ledger: Told) -> None:
    ledger.run(1)
    assert ledger.before("00000002-0000-4000-8000-000000000000") is None


# --- a stranger's run before it -----------------------------------------------------------------------------------


def gone(run: Path) -> None:
    shutil.rmtree(run)


def link(run: Path) -> None:
    run.rename(run.parent / "elsewhere")
    run.symlink_to(run.parent / "elsewhere")


def pipe(run: Path) -> None:
    (run / "manifest.json").unlink()
    os.mkfifo(run / "manifest.json")


def huge(run: Path) -> None:
    os.truncate(run / "manifest.json", 1 << 42)


def others(run: Path) -> None:
    manifest = run / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"0.3.0", b"0.0.1"))


def deep(run: Path) -> None:
    (run / "manifest.json").write_bytes(b"[" * 100_000)


def code_huge(run: Path) -> None:
    os.truncate(run / "code" / "own.py", 1 << 42)


def code_changed(run: Path) -> None:
    (run / "code" / "own.py").write_text("LIMIT = 7\n")


def code_link(run: Path) -> None:
    (run / "code" / "own.py").unlink()
    (run / "code" / "own.py").symlink_to("/etc/passwd")


def config_gone(run: Path) -> None:
    (run / "config_snapshot.json").unlink()


@pytest.mark.parametrize(
    "harm", [gone, link, pipe, huge, others, deep, code_huge, code_changed, code_link, config_gone]
)
def test_a_run_before_it_that_is_not_what_was_sealed_is_told_and_ends_nothing(
    harm: Callable[[Path], None], copied: Callable[[int], Path]
) -> None:
    run = copied(1)
    assert "3 lines differ from run" in told(run)  # the control
    first = next(Path(run.parent / name) for name in os.listdir(run.parent) if name == earlier_of(run))
    harm(first)
    assert re.fullmatch(
        rf"What differs from run {first.name[:8]} of [\d-]+, the one of this strategy before it, can’t be told: .+\.",
        told(run),
    )
    assert {element for element, _, _ in rows(shown(run))} == {"span"}


def earlier_of(run: Path) -> str:
    found = earlier.before(RunFiles(run))
    assert found is not None
    return found.run_id


def test_code_that_is_not_what_was_sealed_is_not_shown(copied: Callable[[int], Path]) -> None:
    run = copied(0)
    (run / "code" / "own.py").write_text(FIRST.replace("0.5", "0.9"))
    section = shown(run)
    assert "Not shown: " in section.words and "code/own.py is not what was sealed" in section.words
    assert "0.9" not in section.words


# --- what else there is -------------------------------------------------------------------------------------------


def test_other_files_are_folded_those_that_differ_first(tmp_path: Path) -> None:
    made = Chain(tmp_path / "a")
    main = HELPED.format("zeta").replace("import numpy", "import alpha, numpy")
    made.ran(main, alpha="A = 1\n", zeta="LIMIT = 0.5\n")
    run = made.ran(main, alpha="A = 1\n", zeta="LIMIT = 0.25\n")
    section = shown(run)
    assert re.findall(r"<h3><code>(.*?)</code></h3>", section.html) == ["own.py"]
    assert [Html(one).words for one in re.findall("<summary>.*?</summary>", section.html)] == [
        "zeta.py , 1 line, 1 differ", "alpha.py , 1 line, same",
    ]  # fmt: skip
    assert rows(section, 1) == [("del", "−", "LIMIT = 0.5"), ("ins", "1 ~", "LIMIT = 0.25")]
    assert "1 line differs from run" in section.words and "1 changed in zeta.py ." in section.words


def test_files_that_are_new_or_not_there_any_more_are_named(tmp_path: Path) -> None:
    made = Chain(tmp_path / "a")
    made.ran(HELPED.format("alpha"), alpha="LIMIT = 0.5\n")
    words = told(made.ran(HELPED.format("zeta"), zeta="LIMIT = 0.5\n"))
    assert "1 changed in own.py . New: zeta.py . Not there any more: alpha.py ." in words


def test_files_that_differ_in_their_ends_of_lines_alone_say_so(tmp_path: Path) -> None:
    made = Chain(tmp_path / "a")
    made.ran(FIRST)
    (made.root / "own.py").write_bytes(FIRST.replace("\n", "\r\n").encode())
    run = made.make("chain", toml("steps", bars=300))
    assert "0 lines differ from run" in told(run)
    assert told(run).endswith("the files are not the same bytes in own.py .")


def test_a_long_file_is_shown_to_its_2000th_line_and_says_so(tmp_path: Path) -> None:
    made = Chain(tmp_path / "a")
    long = FIRST + "".join(f"# {at}\n" for at in range(10, 2_501))
    run = made.ran(long)
    section = shown(run)
    assert rows(section)[-1] == ("span", "2000  ", "# 2000")
    assert "2,500 lines, " in section.words
    assert "Shown are the first 2,000 lines; all are in code/own.py ." in section.words
    again = shown(made.ran(long.replace("0.5", "0.25").replace("# 2400\n", "")))
    assert "2 lines differ" in again.words
    assert "Differs in line 3 and 1 more;" in again.words
    assert [sign for element, sign, _ in rows(again) if element != "span"] == ["−", "3 ~"]


def test_a_file_that_is_wide_is_shown_to_its_200000th_character(tmp_path: Path) -> None:
    section = shown(Chain(tmp_path / "a").ran(FIRST + f"W = '{'w' * 300_000}'\n"))
    assert sum(len(line) + 1 for _, _, line in rows(section)) == 200_001
    assert "Shown are the first 10 lines" in section.words


def test_many_lines_that_are_gone_are_counted(tmp_path: Path) -> None:
    made = Chain(tmp_path / "a")
    made.ran(FIRST + "# x\n" * 70)
    found = rows(shown(made.ran(FIRST)))
    assert [sign for _, sign, _ in found].count("−") == 51
    assert found[-1] == ("del", "−", "… 20 lines more")


def test_lines_that_are_gone_in_many_places_have_a_budget_too(tmp_path: Path) -> None:
    made = Chain(tmp_path / "a")
    made.ran(FIRST + "".join(f"# {at}\n" + "# x\n" * 3 for at in range(900)))
    found = rows(shown(made.ran(FIRST + "".join(f"# {at}\n" for at in range(900)))))
    gone = [line for _, sign, line in found if sign == "−"]
    assert gone.count("# x") == 2_000
    assert gone.count("… 3 lines more") == 900 - 667 and gone.count("… 1 line more") == 1


def test_other_files_beyond_the_budget_are_named_with_size_and_digest(tmp_path: Path) -> None:
    files = {"alpha": "LIMIT = 0.5\n", "zeta": "# z\n" * 2_001}
    run = Chain(tmp_path / "a").ran("import zeta\n" + HELPED.format("alpha"), **files)
    section = shown(run)
    assert section.html.count("<details") == 1
    sha256 = RunFiles(run).manifest.files["code/zeta.py"]  # type: ignore[union-attr]
    assert section.rows("Code that is not shown")[1:] == [["zeta.py", "8,004", sha256, ""]]


def test_a_file_that_was_left_out_is_named_with_the_reason(tmp_path: Path) -> None:
    secret = "LIMIT = 0.5\nAPI_KEY = 'AKIA" + "ABCDEFGHIJKLMNOP'\n"
    section = shown(Chain(tmp_path / "a").ran(HELPED.format("zeta"), zeta=secret))
    ((name, size, _, reason),) = section.rows("Code that is not shown")[1:]
    assert (name, size, reason) == ("zeta.py", "–", "left out: it holds what looks like a secret")
    assert "AKIA" not in section.words


def test_marks_that_turn_the_direction_of_writing_are_escapes_and_told(tmp_path: Path) -> None:
    section = shown(Chain(tmp_path / "a").ran(FIRST.replace("# a remark", "# a \u202e\u2066remark\x0c")))
    assert "Marks that nobody sees stand as escapes: line 4." in section.words
    assert rows(section)[3] == ("span", "4  ", "# a \\u202e\\u2066remark\\x0c")
    assert not {"\u202e", "\u2066", "\x0c"} & set(section.html)


def test_of_a_recorded_command_the_script_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    section = shown(command(tmp_path, "import alpha\nprint(alpha)\n"))
    assert re.findall(r"<h3><code>(.*?)</code></h3>", section.html) == ["pairs.py"]
    assert "alpha.py" in section.html.partition("What else was loaded")[2]
    later = shown(command(tmp_path, "import alpha\nprint(alpha.A)\n"))
    assert "1 line differs from run" in later.words
    ((name, before, now),) = later.rows("What was asked otherwise than before")[1:]
    assert name == "record.command" and before.endswith(" pairs.py --fast 26") and now.endswith(" pairs.py --fast 28")


def command(folder: Path, source: str) -> Path:
    (folder / "alpha.py").write_text("A = 1\n")
    (folder / "pairs.py").write_text(source)
    order = Order(command=[sys.executable, "pairs.py", "--fast", str(len(source))])
    made = record(order, results=folder / "results")
    return made.run_dir


def test_a_sweep_has_the_code_of_its_strategy_and_a_kept_run_not_its_siblings_before_it(tmp_path: Path) -> None:
    made = Chain(tmp_path / "a")
    (made.root / "own.py").write_text(FIRST)
    first = made.make("chain", toml("steps", bars=1500))
    source = config.load(made.root / "chain.toml", ())
    parent = sweep.sweep(
        source, sweep.Wish(grid=("strategy.params.length=5:9:2",), keep=2), root=made.root, results=made.results
    )
    assert told(parent).startswith(f"The code is the same as in run {first.name[:8]} of ")
    kept = [made.results / name for name in RunFiles(parent).kept.values()]
    assert len(kept) == 2
    for run in kept:
        assert f"run {first.name[:8]} of " in told(run)


def test_what_was_imported_has_no_code_and_no_section(tmp_path: Path) -> None:
    run = recorded(tmp_path, result(), "imported")
    assert page_of(run).sections.count("code") == 0


# --- in a browser -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(chain: list[Path], builtin: Any) -> Path:
    from peak_trade.report import render

    return render.render(chain[1], builtin).html


def test_what_is_selected_is_the_code_as_it_is_now(page: Path, browser: Any) -> None:
    browser.open(page)
    browser.ask("getSelection().selectAllChildren(document.querySelector('#code .source'))")
    copied = browser.ask("getSelection().toString()")
    assert copied.rstrip("\n") == SECOND.rstrip("\n")


def test_wide_lines_scroll_in_a_box_of_their_own_that_has_the_focus(page: Path, browser: Any) -> None:
    browser.open(page, width=390)
    found = browser.ask(
        """(() => {
          const box = document.querySelector('#code .source');
          box.focus();
          return [document.activeElement === box, box.getAttribute('role'), box.getAttribute('aria-label'),
                  box.scrollWidth > box.clientWidth, document.documentElement.scrollWidth <= 390];
        })()"""
    )
    assert found == [True, "region", "Code of own.py", True, True]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_word_can_be_read_on_its_line(scheme: str, page: Path, browser: Any) -> None:
    browser.open(page, scheme=scheme)
    found = browser.ask(
        """(() => {
          const light = (colour) => {
            const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(Number)
              .map(each => each / 255).map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const source = document.querySelector('#code .source');
          const line = (kind) => source.querySelector(kind);
          const fields = [source, line('ins.l'), line('del.l')].map(each => getComputedStyle(each).backgroundColor);
          const words = ['k', 's', 'n', 'c', 'd', 'l'].map(kind => {
            const one = document.createElement('span');
            one.className = kind;
            line('.l').append(one);
            return getComputedStyle(one).color;
          });
          const pairs = words.flatMap(word => fields.slice(0, 2).map(field => [word, field]));
          pairs.push([getComputedStyle(line('del.l')).color, fields[2]]);
          pairs.push(...['.l', 'ins.l', 'del.l'].map((kind, at) =>
            [getComputedStyle(line(kind), '::before').color, fields[at]]));
          return pairs.map(pair => pair.map(light)).map(([a, b]) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
        })()"""
    )
    assert len(found) == 16
    assert min(found) >= 4.5
