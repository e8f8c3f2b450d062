"""Whatever a run says of itself is text on its page: each payload in every field at once, rendered, in a browser.

The tables say what is put where; a page is one payload in one kind of run. `just test` draws some pages, `just test -m
hostile` renders all. A payload that became markup would change the page's elements, run, or ask for something.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tests.report.conftest import without_ours

from peak_trade.evidence.results import Results
from peak_trade.record.asked import Order
from peak_trade.record.command import record
from peak_trade.report import index, render

Way = tuple[Any, ...]  # to a value in a file of JSON; KEY at its end: the payload is the key

PAYLOADS = {
    "a script": "<script>hit()</script>",
    "a script with spaces": "< script >hit()</ script ><ScRiPt\n>hit()</sCrIpT\t>",
    "an image": "<img src=x onerror=hit()>",
    "a drawing": "<svg onload=hit()><a xlink:href=javascript:hit()>x</a></svg>",
    "a frame": "<iframe srcdoc='<script>parent.hit()</script>'></iframe>",
    "a form": "<form action=http://127.0.0.1:9/><input autofocus onfocus=hit()></form>",
    "a base and a style sheet": "<base href=http://127.0.0.1:9/><link rel=stylesheet href=//127.0.0.1:9/x.css>",
    "a refresh": "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>",
    "a style": "</style><style>*{background:url(http://127.0.0.1:9/x)}</style>",
    "out of an attribute": "\" onmouseover=\"hit()\" autofocus onfocus=\"hit()\" x=\"",
    "out of another attribute": "' onmouseover='hit()' autofocus onfocus='hit()' x='",
    "out of a table": "</td></tr></table></section></main><script>hit()</script>",
    "out of a text": "</pre></code></title></textarea></noscript><script>hit()</script>",
    "a remark": "--><script>hit()</script><!--",
    "the rest as it stands": "<plaintext><xmp><!--",
    "entities": "&lt;script&gt;hit()&lt;/script&gt;&#60;img src=x onerror=hit()&#62;&amp;lt;",
    "a fence": "\n```\n~~~\n:::\n<script>hit()</script>\n",
    "a block of HTML": "\n```{=html}\n<script>hit()</script>\n```\n",
    "a cell": "\n```{python}\nraise SystemExit\n```\n`{python} hit()`",
    "a shortcode": "{{< include /etc/passwd >}} {{< meta title >}}",
    "a template": "${hit()} {{ hit() }} {% raw %} <%= hit() %>",
    "links and pictures": "\n\n# x\n\n[x](javascript:hit()) ![x](http://127.0.0.1:9/x.png) <http://127.0.0.1:9/>",
    "formulas": "$\\href{javascript:hit()}{x}$ $$\\unicode{60}script$$ \\(x\\)",
    "controls": "\x00\x08\x1b[2J\x1b]0;x\x07\x9b2J\u202e\u2066\u200b\ufeff\u2028",
}  # fmt: skip
HARMLESS = "harmless"
KEY = "the key"
CONFIG, MANIFEST, MADE = (
    "config_snapshot.json",
    "manifest.json",
    ("predicate", "buildDefinition", "resolvedDependencies"),
)
BARS, STRATEGY, GIT = (*MADE, 0, "annotations"), (*MADE, 1, "annotations"), (*MADE, 2, "annotations")
FIELDS: list[tuple[str, Way]] = [
    *[(CONFIG, way) for way in (
        ("run", "name"), ("run", "tags", "desk"), ("run", "tags", KEY), ("data", "path"), ("data", "symbol"),
        ("data", "timeframe"), ("data", "calendar"), ("data", "source"), ("data", "timezone"), ("data", KEY),
        ("strategy", "name"), ("strategy", "entrypoint"), ("strategy", "params", "words"), ("strategy", "params", KEY),
        ("stats", "benchmark"), ("tracking", "experiment"), ("overrides", KEY), (KEY,),
    )],
    *[(MANIFEST, way) for way in (
        (*BARS, "source"), (*BARS, "start"), (*BARS, "end"), (*BARS, "files", 0, "name"), (*BARS, "assumptions", 0),
        (*STRATEGY, "name"), (*STRATEGY, "file"), (*STRATEGY, "sha256"), (*STRATEGY, KEY),
        (*GIT, "commit"), (*GIT, "branch"), (*GIT, "diff_sha256"),
        ("predicate", "buildDefinition", "internalParameters", "seed"),
        ("predicate", "buildDefinition", "internalParameters", "environment", "cpu"),
        ("predicate", "buildDefinition", "internalParameters", "environment", KEY),
        ("predicate", "runDetails", "host"), ("predicate", "runDetails", "argv", 0),
        ("predicate", "runDetails", "milliseconds", KEY),
        ("predicate", "runDetails", "metadata", "startedOn"), ("predicate", "runDetails", "metadata", "finishedOn"),
        ("predicate", "ledger", "follows"), ("predicate", "results", "ruined"),
        ("predicate", "receipts", 0, "part"), ("predicate", "receipts", 0, "outcome"),
        ("predicate", "receipts", 0, "reason"), ("predicate", "receipts", 1, "reason"), ("subject", 0, "name"),
        ("subject", 0, "digest", "sha256"),
        ("predicate", "probe", "reason"),
        ("predicate", "error", "stage"), ("predicate", "error", "type"), ("predicate", "error", "message"),
    )],
    ("stats.json", ("reasons", "alpha")),
    ("tracking.json", ("store",)),
    ("tracking.json", ("mlflow_run_id",)),
    *[("run.log", (key,)) for key in ("time", "level", "message", "traceback")],
    *[("telemetry", (part,)) for part in (
        "span", "attribute", "attribute's key", "event", "log", "log's attribute", "exception"
    )],
    ("debug/stress.json", ("said", 0)),
    ("a file's name", ()),
    ("config_snapshot.toml", ()),
]  # fmt: skip
STATUS = {"completed": ("two", "sealed"), "ruined": ("two", "ruined"), "failed": ("failed", "failed")}
LEAST = 30  # fields that a page shows, at least


def mark(number: int) -> str:
    return f"field{number:03d}"


def filled(run: Path, kind: str, payload: str, otlp: Any) -> None:
    """Put a payload, marked with the field's number, in each field of a run's files."""
    trees = {name: json.loads((run / name).read_bytes()) for name in (CONFIG, MANIFEST)}
    trees |= {name: json.loads((run / name).read_bytes()) if (run / name).exists() else {} for name in ("stats.json",)}
    trees |= {"tracking.json": {"status": "logged"}, "run.log": {}}
    predicate = trees[MANIFEST]["predicate"]
    predicate["status"] = STATUS[kind][1]
    predicate["receipts"] = [{"part": "data", "outcome": "warning", "reason": ""}, {"part": "data", "outcome": "said"}]
    predicate["runDetails"]["argv"] = [""]
    predicate["probe"] = predicate.get("probe") or {"verdict": "PASS"}
    predicate["error"] = predicate.get("error") or {}
    given = {part["name"]: part for part in at(trees[MANIFEST], MADE)}
    parts = [given.get(name, {"name": name, "digest": {}}) for name in ("bars", "strategy", "git")]
    put(trees[MANIFEST], MADE, parts)
    at(trees[MANIFEST], GIT)["dirty"] = True
    bars = at(trees[MANIFEST], BARS)
    bars |= {"rows": bars.get("rows", 1), "files": [{"name": "", "bytes": 1}], "assumptions": [""]}
    telemetry, stressed = {}, ""
    for number, (file, way) in enumerate(FIELDS):
        said = payload + mark(number)
        if file == "telemetry":
            telemetry[way[0]] = said
        elif file == "debug/stress.json":
            stressed = said
        elif file == "a file's name":
            (run / said.replace("/", "\u2215").replace("\x00", "")).write_text("1")
        elif file == "config_snapshot.toml":
            (run / file).write_text(f"# {said}\n{(run / file).read_text('utf-8')}", encoding="utf-8")
        else:
            put(trees[file], way, said)
    for name, tree in trees.items():
        if name != "stats.json" or kind != "failed":
            (run / name).write_text(json.dumps(tree) + "\n", encoding="utf-8")
    (run / "debug").mkdir(exist_ok=True)
    own = hashlib.sha256((run / MANIFEST).read_bytes()).hexdigest()
    beside = {"manifest": own, "costs": [], "delayed": {}, "said": [stressed]}
    (run / "debug" / "stress.json").write_text(json.dumps(beside), encoding="utf-8")
    span = otlp.span(
        telemetry["span"], 1, 0, 100, error=f"{telemetry['exception']}: x", **{
            "words": telemetry["attribute"], telemetry["attribute's key"]: "x"
        },
    )  # fmt: skip
    span["events"].append({"name": telemetry["event"], "timeUnixNano": otlp.at(50)})
    log = otlp.log(telemetry["log"], 10, 1, severity=17, words=telemetry["log's attribute"])
    otlp.write(run / "telemetry", "traces.jsonl", otlp.line(run.name, spans=[span]))
    otlp.write(run / "telemetry", "logs.jsonl", otlp.line(run.name, logs=[log]))


def at(tree: Any, way: Way) -> Any:
    for key in way:
        if isinstance(tree, dict) and key not in tree:
            tree[key] = {}
        tree = tree[key]
    return tree


def put(tree: Any, way: Way, said: Any) -> None:
    *way_there, last = way
    inner = at(tree, tuple(way_there))
    if last == KEY:
        inner[said] = 1.0 if way_there[-1:] == ["milliseconds"] else {} if not way_there else "x"
    else:
        inner[last] = said


class Elements(HTMLParser):
    """What a page is made of: how often each element with each set of attributes stands in it, and its words."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: Counter[tuple[str, ...]] = Counter()
        self.words: list[str] = []
        self.targets: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[(tag, *sorted(name for name, _ in attrs))] += 1
        self.words += [value or "" for _, value in attrs]
        self.targets += [value or "" for name, value in attrs if name in ("href", "src", "action", "xlink:href")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_comment(self, data: str) -> None:
        self.found[("a remark",)] += 1

    def shown(self) -> list[int]:
        """The numbers of the fields that stand on the page."""
        text = " ".join(self.words)
        return [number for number in range(len(FIELDS)) if mark(number) in text]


def changed(page: Elements, other: Elements) -> Counter[tuple[str, ...]]:
    """What one page has and the other has not."""
    return (page.found - other.found) + (other.found - page.found)


@pytest.mark.hostile(share=6)
@pytest.mark.parametrize("kind", STATUS)
@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_a_run_says_is_text_on_its_page(
    kind: str, payload: str, copy_of: Any, otlp: Any, builtin: Any, browser: Any, harmless: Any
) -> None:
    run = copy_of(STATUS[kind][0])
    filled(run, kind, PAYLOADS[payload], otlp)
    html = render.render(run, builtin).html
    page = Elements(html.read_text("utf-8"))
    assert changed(page, harmless(kind)) == {}
    assert not [target for target in page.targets if not target.startswith("#")]
    assert len(page.shown()) >= LEAST
    browser.open(html)
    assert browser.complaints == []
    assert browser.requests == [html.as_uri()]
    assert browser.ask(
        "document.querySelectorAll('iframe, img, form, link, base').length"
    ) == 0 and "<script" not in without_ours(html.read_text("utf-8"))


@pytest.fixture(scope="module")
def harmless(runs: Any, builtin: Any, otlp: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Elements]:
    """The page of a kind of run with a plain word in every field."""
    import shutil

    known: dict[str, Elements] = {}

    def of(kind: str) -> Elements:
        if kind not in known:
            folder = tmp_path_factory.mktemp(kind)
            source = runs[STATUS[kind][0]]
            shutil.copy(runs.results / "ledger.jsonl", folder)
            run = Path(shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("report")))
            for file in run.iterdir():
                file.chmod(0o644)
            filled(run, kind, HARMLESS, otlp)
            known[kind] = Elements(render.render(run, builtin).html.read_text("utf-8"))
        return known[kind]

    return of


@pytest.mark.hostile
@pytest.mark.parametrize("payload", PAYLOADS)
def test_control_a_payload_that_becomes_markup_would_be_seen(payload: str, tmp_path: Path, browser: Any) -> None:
    """By its elements, by what the browser complains of, or by what it asks for; text alone is what it may be."""
    page = tmp_path / "page.html"
    page.write_text(
        "<!doctype html><meta charset=utf-8><title>x</title><body><table><tr><td title='y'>"
        f"<p title='{PAYLOADS[payload]}'><p title=\"{PAYLOADS[payload]}\">{PAYLOADS[payload]}</td></tr></table>",
        encoding="utf-8",
    )
    plain = Elements(page.read_text("utf-8").replace(PAYLOADS[payload], HARMLESS))
    browser.open(page)
    seen = bool(changed(Elements(page.read_text("utf-8")), plain)) or len(browser.requests) > 1 or browser.complaints
    assert bool(seen) == (payload not in TEXT)


# What HTML itself takes for text: these are aimed at Markdown, Quarto and Jupyter, through which a page goes.
TEXT = ("entities", "a cell", "a shortcode", "formulas", "controls", "a template")


# --- code, which may be anything, against the code of the run before ------------------------------------------------

OF_LINES = {"span": {"class", "data-n", "id"}, "ins": {"class", "data-n", "id"}, "del": {"class", "data-n", "id"},
            "a": {"href"}}  # fmt: skip
"""The elements of which there are as many as code has words, lines and places that differ; and what they may have."""


def ran(folder: Path, said: str, name: str, before: str) -> Path:
    """Record a script, which a shell leaves before it gets to what it says, after one of its name said otherwise."""
    script, made = folder / f"a{name}.py", []
    for words in (before, said):
        script.write_bytes(f"exit 0\n{words}\n".encode())
        order = Order(command=["sh", script.name, f"--words={words}".replace("\0", "")])
        made.append(record(order, results=folder / "r").run_dir)
    return made[-1]


@pytest.mark.hostile(share=6)
@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_code_says_is_text_on_its_page(
    payload: str, builtin: Any, browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = []
    for number, words in enumerate((PAYLOADS[payload], HARMLESS)):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        name = words.replace("/", "\u2215").replace("\0", "")
        run = ran(folder, f"{words}{mark(1)}\n'''{words}\n# {words}", name, f"{words}{mark(2)}")
        pages.append(render.render(run, builtin).html)
    page, plain = (Elements(html.read_text("utf-8")) for html in pages)
    assert any(word.endswith("lines differ") for word in page.words) and {1, 2} <= set(page.shown())
    assert [one for one in changed(page, plain) if not set(one[1:]) <= OF_LINES.get(one[0], {""})] == []
    assert not [one for one in page.targets if not re.match(r"#|\.\./\.\./[0-9a-f-]{36}/", one)]
    assert not set("\x00\x08\x1b\x9b\u202e\u2066\u200b\u2028") & set(" ".join(page.words))
    browser.open(pages[0])
    assert browser.complaints == []
    assert browser.requests == [pages[0].as_uri()]
    assert "<script" not in without_ours(pages[0].read_text("utf-8"))


# --- the page of all runs -----------------------------------------------------------------------------------------

LEDGER = ("time", "strategy", "symbol", "timeframe", "name", "type", "message", "stage", "status", "sharpe")


@pytest.mark.hostile(share=5)
@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_the_ledger_says_is_text_on_the_page_of_all_runs(payload: str, browser: Any, tmp_path: Path) -> None:
    def written(said: str) -> tuple[Path, Elements]:
        results = tmp_path / str(len(said))
        results.mkdir()
        entries = []
        for number, field in enumerate(LEDGER):
            entry = {
                "event": "start",
                "time": "2024-01-01T00:00:00.000Z",
                "run_id": f"{number:08d}-0000-4000-8000-000000000000",
            }
            entries += [entry, entry | {"event": ("failed", "sealed")[number % 2]}]
            for each in entries[-2:]:
                each |= {field: said + mark(number), "prev": "0" * 64}
        (results / "ledger.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
        path = index.write(Results(results))
        return path, Elements(path.read_text("utf-8"))

    (html, page), (_, plain) = written(PAYLOADS[payload]), written(HARMLESS)
    assert changed(page, plain) == {}
    browser.open(html)
    assert browser.complaints == []
    assert browser.requests == [html.as_uri()]
    assert "<script" not in without_ours(html.read_text("utf-8"))
    assert browser.ask("document.scripts.length") == 3  # two of ours, and what they read
