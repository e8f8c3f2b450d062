"""A run under telemetry is one trace, whose spans say what the run directory says."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import uuid
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.needs("observability")]


@pytest.fixture(scope="module")
def ran(module_case: Any) -> Any:
    """A run that was recorded into files."""
    done = module_case.run("--set", "run.tags.desk=rates", GITHUB_RUN_ID="4711", PEAK_OTEL_SERVICE_NAME="my-desk")
    assert done.code == 0, done.stderr
    return done


def test_a_run_is_one_trace_under_one_root(ran: Any) -> None:
    spans = ran.spans()
    assert [span.name for span in spans if not span.parent] == ["run"]
    assert len({span.trace for span in spans}) == 1
    assert {span.parent for span in spans if span.parent} <= {span.id for span in spans}


def test_the_root_lasts_as_long_as_everything_in_it(ran: Any) -> None:
    root, *others = ran.spans()
    assert all(root.start <= span.start <= span.end <= root.end for span in others)


def test_every_edge_of_a_run_is_a_span(ran: Any) -> None:
    names = [span.name for span in ran.spans()]
    once = ["run", "load_bars", "contract", "strategy", "probe", "stats", "seal"]
    assert [names.count(name) for name in once] == [1] * len(once)
    assert names.count("ledger") == 2  # start and seal
    assert names.count("backtest") == 2  # the strategy and its benchmark
    assert names.count("write") == len(ran.sealed())


def test_the_root_says_what_the_manifest_says(ran: Any) -> None:
    root = ran.spans()[0]
    assert root.attributes == {
        "run_id": ran.run_id,
        "strategy": "user.py:held",
        "symbol": "TEST",
        "timeframe": "1d",
        "rows": 20,
        "status": "sealed",
    }


def test_the_spans_of_writes_have_the_sizes_of_the_files(ran: Any) -> None:
    written = {s.attributes["file"]: s.attributes["bytes"] for s in ran.spans() if s.name == "write"}
    assert written == {name: (ran.run_dir / name).stat().st_size for name in ran.sealed()}
    [seal] = [span for span in ran.spans() if span.name == "seal"]
    assert (seal.attributes["files"], seal.attributes["bytes"]) == (len(written), sum(written.values()))


def test_loading_and_trading_say_how_much(ran: Any) -> None:
    by_name = {span.name: span.attributes for span in reversed(ran.spans())}
    size = (ran.results.parent / "bars.csv").stat().st_size
    assert by_name["load_bars"] == {
        "symbol": "TEST", "timeframe": "1d", "rows": 20, "bytes": size, "files": 1, "dropped": 0,
    }  # fmt: skip
    assert by_name["contract"] == {"rows": 20, "violations": 0}
    assert by_name["strategy"] == {"strategy": "user.py:held", "symbol": "TEST", "rows": 20}
    assert by_name["backtest"] == {"symbol": "TEST", "rows": 20, "trades": 1}
    assert by_name["stats"] == {"rows": 20}


def test_every_resource_names_the_run(ran: Any) -> None:
    resources = []
    for path in sorted(ran.telemetry.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            [(_, listed)] = json.loads(line).items()
            resources += [item["resource"]["attributes"] for item in listed]
    found = [{item["key"]: item["value"]["stringValue"] for item in listed} for listed in resources]
    assert len(found) >= 4
    for resource in found:
        assert resource["run_id"] == ran.run_id
        assert resource["service.name"] == "my-desk"
        assert resource["service.version"]
        assert resource["cicd.pipeline.run.id"] == "4711"


@pytest.mark.parametrize(
    ("settings", "there"),
    [
        ({"OTEL_RESOURCE_ATTRIBUTES": "team = my rates ,broken,,x=a%2Cb,y=a=b,api_key=sk-verysecret"},
         {"team": "my rates", "x": "a,b", "y": "a=b", "api_key": "[redacted]", "service.name": "peak-trade"}),
        ({"OTEL_RESOURCE_ATTRIBUTES": "7"}, {"service.name": "peak-trade"}),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=desk"}, {"service.name": "desk"}),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=desk", "OTEL_SERVICE_NAME": "mine"}, {"service.name": "mine"}),
        ({"OTEL_SERVICE_NAME": "mine", "PEAK_OTEL_SERVICE_NAME": "ours"}, {"service.name": "ours"}),
        ({"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "40"}, {"service.name": "peak-trade"}),
    ],
    ids=["several", "no pair", "name", "names", "ours", "limit"],
)  # fmt: skip
def test_the_standard_variables_of_a_resource_mean_what_they_mean(
    settings: dict[str, str], there: dict[str, str], case: Any
) -> None:
    ran = case.run(OTEL_SERVICE_NAME=settings.pop("OTEL_SERVICE_NAME", ""), **settings)
    assert (ran.code, ran.stderr) == (0, "")
    for path in sorted(ran.telemetry.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            [[item]] = json.loads(line).values()
            found = {one["key"]: one["value"]["stringValue"] for one in item["resource"]["attributes"]}
            assert found["run_id"] == ran.run_id
            assert found.items() >= there.items()
            assert "broken" not in found


def test_the_run_id_of_a_resource_is_ours(case: Any) -> None:
    ran = case.run(OTEL_RESOURCE_ATTRIBUTES="run_id=mine")
    assert {span.resource["run_id"] for span in ran.spans()} == {ran.run_id}


@pytest.mark.parametrize(
    ("settings", "files"),
    [
        ({"OTEL_TRACES_EXPORTER": "none"}, ["logs.jsonl", "metrics.jsonl", "receipt.json"]),
        ({"OTEL_LOGS_EXPORTER": "none"}, ["metrics.jsonl", "receipt.json", "traces.jsonl"]),
        ({"OTEL_METRICS_EXPORTER": "none"}, ["logs.jsonl", "receipt.json", "traces.jsonl"]),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, ["logs.jsonl", "metrics.jsonl", "receipt.json"]),
    ],
    ids=str,
)
def test_the_standard_variables_leave_signals_out(settings: dict[str, str], files: list[str], case: Any) -> None:
    ran = case.run(**settings)
    assert (ran.code, ran.stderr) == (0, "")
    assert sorted(path.name for path in ran.telemetry.iterdir()) == files


def test_log_records_carry_the_ids_of_their_spans(ran: Any) -> None:
    ids = {(span.trace, span.id) for span in ran.spans()}
    records = [
        (of_scope["scope"]["name"], record)
        for line in (ran.telemetry / "logs.jsonl").read_text().splitlines()
        for of_resource in json.loads(line)["resourceLogs"]
        for of_scope in of_resource["scopeLogs"]
        for record in of_scope["logRecords"]
    ]
    assert [record["body"]["stringValue"] for _, record in records] == [line["message"] for line in ran.log()]
    assert {name for name, _ in records} == {"peak_trade.run"}
    assert {record["severityText"] for _, record in records} == {"INFO"}
    assert {(record["traceId"], record["spanId"]) for _, record in records} <= ids


def test_the_lines_of_the_log_carry_the_same_ids(ran: Any) -> None:
    ids = {(span.trace, span.id) for span in ran.spans()}
    assert ran.log()
    assert {(line["trace_id"], line["span_id"]) for line in ran.log()} <= ids


def test_a_run_is_counted_and_measured(ran: Any) -> None:
    [request] = map(json.loads, (ran.telemetry / "metrics.jsonl").read_text().splitlines())
    [of_scope] = request["resourceMetrics"][0]["scopeMetrics"]
    metrics = {metric["name"]: metric for metric in of_scope["metrics"]}
    assert {name: metric["unit"] for name, metric in metrics.items()} == {
        "peak_trade.runs": "{run}",
        "peak_trade.bars_per_second": "{bar}/s",
        "peak_trade.evidence_cost": "ms",
    }
    [runs] = metrics["peak_trade.runs"]["sum"]["dataPoints"]
    labels = {item["key"]: item["value"]["stringValue"] for item in runs["attributes"]}
    assert (runs["asInt"], labels) == ("1", {"strategy": "user.py:held", "symbol": "TEST", "status": "sealed"})
    [cost] = metrics["peak_trade.evidence_cost"]["histogram"]["dataPoints"]
    receipts = ran.manifest()["predicate"]["receipts"]
    assert cost["sum"] == next(receipt["ms"] for receipt in receipts if receipt["part"] == "evidence")
    [speed] = metrics["peak_trade.bars_per_second"]["histogram"]["dataPoints"]
    assert (speed["count"], speed["sum"] > 0) == ("1", True)


def test_the_receipt_says_that_all_is_there(ran: Any) -> None:
    receipt = ran.receipt()
    logs = (ran.telemetry / "logs.jsonl").read_text().count('"severityText"')
    assert (receipt["status"], receipt["reason"], receipt["dropped"]) == ("done", "", 0)
    assert (receipt["run_id"], receipt["spans"], receipt["logs"]) == (ran.run_id, len(ran.spans()), logs)


def test_nothing_is_left_where_the_files_were_before_the_run_had_its_name(ran: Any) -> None:
    assert list((ran.results / ".telemetry").iterdir()) == []


def test_what_is_sealed_is_what_it_would_be_without(ran: Any, module_case: Any) -> None:
    plain = module_case.plain("--set", "run.tags.desk=rates")
    assert (plain.code, plain.stdout) == (ran.code, ran.stdout.replace(ran.run_id, plain.run_id))
    assert plain.sealed() == ran.sealed()
    assert not plain.telemetry.exists()
    assert "trace_id" not in plain.log()[0]


def test_the_number_of_spans_does_not_grow_with_the_bars(case: Any) -> None:
    counts = []
    for bars in (100, 8_000):
        case.bars(bars)
        ran = case.run()
        assert ran.spans()[0].attributes["rows"] == bars
        counts.append(len(ran.spans()))
    assert counts[0] == counts[1]


def test_a_skipped_part_stands_on_the_root(case: Any) -> None:
    (case.folder / "pyarrow.py").write_text("raise ImportError('no pyarrow here')\n")
    ran = case.run(PYTHONPATH=str(case.folder))
    assert ran.code == 0
    [skipped] = ran.spans()[0].attributes["skipped"]
    assert skipped.startswith("trades.parquet: no pyarrow here")


FAILS = """
import logging
def raises(bars):
    logging.getLogger("mine").error("key: sk-verysecret")
    raise ValueError("cannot log in with sk-verysecret at https://me:hunter22@host/")
"""


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory, module_case: Any) -> Any:
    """A run whose strategy raised, and which knows a secret."""
    case = type(module_case)(tmp_path_factory.mktemp("failed"))
    case.strategy("raises", FAILS, '[run.tags]\napi_key = "sk-verysecret"\n')
    ran = case.run()
    assert ran.code == 1
    return ran


def test_an_error_is_recorded_where_it_came_from_and_on_the_root(failed: Any) -> None:
    spans = {span.name: span for span in failed.spans()}
    assert [name for name, span in spans.items() if span.status == 2] == ["run", "strategy"]
    for name in ("run", "strategy"):
        [event] = spans[name].events
        assert (event["name"], event["exception.type"]) == (
            "exception",
            "ValueError" if name == "strategy" else "RunError",
        )
        assert "in raises\n" in event["exception.stacktrace"]
    assert spans["run"].attributes["status"] == spans["seal"].attributes["status"] == "failed"


def test_the_error_of_a_run_is_a_log_record_too(failed: Any) -> None:
    text = (failed.telemetry / "logs.jsonl").read_text()
    assert "the strategy raised ValueError: cannot log in with [redacted]" in text
    assert failed.log()[-1]["trace_id"] == failed.spans()[0].trace


def test_no_secret_is_recorded(failed: Any) -> None:
    assert "sk-verysecret" not in failed.text()
    assert "hunter22" not in failed.text()
    assert failed.text().count("[redacted]") >= 5  # it was there to be masked


def test_a_run_that_does_not_start_leaves_no_trace(case: Any) -> None:
    (case.folder / "bars.csv").unlink()
    ran = case.run()
    assert ran.code == 2
    assert not ran.results.exists()


@pytest.mark.parametrize(
    "way, said", [("os.kill(os.getpid(), 9)", "ended by SIGKILL"), ("os._exit(7)", "with exit code 7")]
)
def test_a_run_whose_process_is_gone_leaves_what_came_before_and_its_evidence(way: str, said: str, case: Any) -> None:
    case.strategy("goes", f"import os\ndef goes(bars): {way}\n")
    ran = case.run()
    assert (ran.code, ran.stdout, len(ran.said("error"))) == (1, "", 1)
    assert said in ran.said("error")[0]
    [run] = [path for path in ran.results.iterdir() if len(path.name) == 36]
    assert (run / "error.json").is_file()
    assert [span.name for span in ran.spans()] == ["load_bars", "contract", "ledger"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_told_to_end_flushes(number: int, case: Any) -> None:
    case.strategy(
        "tells", f"import os, time\ndef tells(bars):\n    os.kill(os.getpid(), {number})\n    time.sleep(60)\n"
    )
    ran = case.run()
    assert (ran.code, ran.said("error")) == (1, ["interrupted"])
    root = ran.spans()[0]
    assert (root.name, root.status, root.attributes["status"]) == ("run", 2, "failed")
    assert ran.receipt()["status"] == "done"


def test_with_stderr_closed_a_complaint_is_lost_and_nothing_else(case: Any) -> None:
    case.strategy("tells", "import os, time\ndef tells(bars):\n    os.kill(os.getpid(), 2)\n    time.sleep(20)\n")
    run_id = str(uuid.uuid4())
    closed = ["bash", "-c", 'exec "$@" 2>&-', "bash", *case.command("--run-id", run_id)]
    ran = case.call(closed, run_id, PEAK_OTEL_SAMPLE_RATIO="7")
    assert (ran.code, ran.stderr) == (1, "")
    assert json.loads((ran.run_dir / "error.json").read_text())["message"] == "interrupted"
    assert ran.receipt()["status"] == "done"


def test_a_process_that_is_terminated_flushes_and_dies_of_it(case: Any, tools: Any) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom peak_trade.evidence.ledger import Ledger\n"
        "Path(sys.argv[1]).mkdir()\nLedger(Path(sys.argv[1])).append('start', 'x')\nprint('ready', flush=True)\n"
        "time.sleep(600)\n"
    )
    run_id = str(uuid.uuid4())
    process = subprocess.Popen(
        [tools.wrapper, sys.executable, "-c", program, str(case.results)],
        env=case.environment(PEAK_OTEL_ENABLED="1", PEAK_RUN_ID=run_id, PEAK_RESULTS_DIR=str(case.results)),
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.wait(tools.limit_s) == -signal.SIGTERM
    lines = (case.results / ".telemetry" / run_id / "traces.jsonl").read_text().splitlines()
    assert [span.name for span in tools.spans_of([json.loads(line) for line in lines])] == ["ledger"]


CLUMSY = """
import logging, multiprocessing, os, signal, subprocess, sys, warnings
import numpy as np
def clumsy(bars):
    if os.fork() == 0:
        logging.getLogger("child").warning("forked")
        raise ValueError("in a child")
    os.wait()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(abs, [-3]) == [3]
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.map(abs, [-3]) == [3]
    seen = subprocess.run([sys.executable, "-c", "import sys; print('peak_trade' in sys.modules)"], capture_output=True)
    assert seen.stdout == b"False\\n"
    logging.getLogger("mine").warning("%d apples", "many")
    logging.getLogger("mine").warning("caf\\udce9")
    logging.basicConfig(force=True)
    warnings.warn("mind the gap")
    print("noise")
    os.chdir("/")
    return np.ones(len(bars))
"""


def test_a_clumsy_strategy_does_what_it_does_without(case: Any, same_as_plain: Any) -> None:
    case.strategy("clumsy", CLUMSY)
    ran = case.run()
    same_as_plain(ran)
    assert ran.receipt()["status"] == "done"
    names = [span.name for span in ran.spans()]
    assert (names.count("run"), names.count("strategy")) == (1, 1), "a child records nothing"
    assert "forked" not in ran.text()


FORKS = """
import os, sys
import numpy as np
def forks(bars):
    resources = sys.modules.get("opentelemetry.sdk.resources")
    if resources:
        def asked(*_, **__):
            open(os.path.join(os.path.dirname(__file__), "asked"), "w").close()
            return resources.Resource({})
        resources.get_aggregated_resources = asked
    if os.fork() == 0: os._exit(0)
    os.wait()
    return np.full(len(bars), 1.0 if resources else 0.5)
"""


def test_in_a_forked_child_the_sdk_does_nothing(case: Any) -> None:
    case.strategy("forks", FORKS)
    ran = case.run()
    assert (ran.code, ran.receipt()["status"]) == (0, "done")
    assert not (case.folder / "asked").exists()


def test_control_a_provider_that_is_made_as_usual_looks_for_its_resource_in_a_forked_child(case: Any) -> None:
    usual = FORKS.replace("import numpy", "import opentelemetry.sdk.resources\nimport numpy")
    usual = usual.replace(
        "def forks(bars):", "def forks(bars):\n    from opentelemetry.sdk.trace import TracerProvider"
    )
    case.strategy("forks", usual.replace("    if os.fork()", "    mine = TracerProvider()\n    if os.fork()"))
    assert case.plain().code == 0
    assert (case.folder / "asked").exists()


SEES = """
import json, logging, os, signal, sys, threading
import numpy as np
def sees(bars):
    ours = {"PEAK_OTEL_ENABLED", "_"}
    seen = {
        "environment": {name: value for name, value in sorted(os.environ.items()) if name not in ours},
        "path": sys.path,
        "handlers": [str(handler) for handler in logging.getLogger().handlers],
        "signals": [str(signal.getsignal(number)).partition(" at 0x")[0] for number in (2, 14, 15)],
        "threads": threading.active_count(),
        "arguments": [word for word in sys.argv if len(word) != 36],
    }
    with open(os.path.join(os.path.dirname(__file__), "seen.jsonl"), "a") as file:
        file.write(json.dumps(seen) + "\\n")
    return np.ones(len(bars))
"""


def test_a_strategy_sees_what_it_sees_without(case: Any) -> None:
    case.strategy("sees", SEES)
    (case.folder / "elsewhere").mkdir()
    (case.folder / "elsewhere" / "sitecustomize.py").write_text("import os\nos.environ['CUSTOMIZED'] = 'yes'\n")
    case.settings["PYTHONPATH"] = str(case.folder / "elsewhere")
    command = case.command()  # the wrapper makes the run_id
    assert [case.call(command, PEAK_OTEL_ENABLED=on).code for on in ("0", "1")] == [0, 0]
    plain, traced = map(json.loads, (case.folder / "seen.jsonl").read_text().splitlines())
    assert traced == plain
    assert traced["environment"]["CUSTOMIZED"] == "yes"


USES = """
import json, os
import numpy as np
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
def uses(bars):
    with trace.get_tracer("mine").start_as_current_span("of the api alone") as span:
        seen = [span.is_recording(), span.get_span_context().trace_id, propagate.get_global_textmap().fields]
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    trace.set_tracer_provider(provider)
    tracer = trace.get_tracer("mine")
    with tracer.start_as_current_span("outer"), tracer.start_as_current_span("inner"):
        pass
    seen += [[span.name, span.parent is None] for span in kept.get_finished_spans()]
    with open(os.path.join(os.path.dirname(__file__), "seen.jsonl"), "a") as file:
        file.write(json.dumps(seen, default=sorted) + "\\n")
    return np.ones(len(bars))
"""


def test_a_strategy_that_uses_opentelemetry_itself_has_it_to_itself(case: Any) -> None:
    case.strategy("uses", USES)
    for ran in (case.plain(), case.run(), case.run(PEAK_OTEL_SAMPLE_RATIO="0")):
        assert (ran.code, ran.stderr.startswith("warn: look-ahead not assessed: the strategy writes")) == (0, True)
    plain, traced, unsampled = map(json.loads, (case.folder / "seen.jsonl").read_text().splitlines())
    assert plain[-2:] == [["inner", False], ["outer", True]]
    assert traced == unsampled == plain


COUNTS = """
import logging
import numpy as np
class Counts:
    asked = 0
    def __str__(self):
        self.asked += 1
        return "counted %d" % self.asked
def counts(bars):
    one, log = Counts(), logging.getLogger("mine")
    log.setLevel(logging.INFO)
    log.info("it is %s", one)
    assert one.asked
    return np.full(len(bars), one.asked / 10)
"""


def test_what_is_logged_is_written_out_no_more_often_than_without(case: Any, same_as_plain: Any) -> None:
    case.strategy("counts", COUNTS)
    ran = case.run()
    same_as_plain(ran)
    assert "it is counted 1" in (ran.telemetry / "logs.jsonl").read_text()


@pytest.mark.parametrize(
    ("message", "arguments", "said"),
    [
        ("%d of %s", (3, "bars"), "3 of bars"),
        ("%(rows)d rows", ({"rows": 3},), "3 rows"),
        ("it is %s", ([],), "it is %s"),
        (KeyError("x"), (), "KeyError"),
    ],
)
def test_what_no_handler_asks_for_is_filled_in_where_that_calls_nothing(
    message: Any, arguments: Any, said: str
) -> None:
    from peak_trade.obs import edges

    assert edges._said(logging.LogRecord("mine", logging.INFO, "x.py", 1, message, arguments, None)) == said


def test_an_id_that_is_blank_is_refused_as_it_is_without(case: Any) -> None:
    plain, traced = (case.call(case.command(), "x", PEAK_OTEL_ENABLED=on, PEAK_RUN_ID="  ") for on in "01")
    assert (plain.code, "UUID4" in plain.stderr) == (2, True)
    assert (traced.code, traced.stdout, traced.stderr) == (plain.code, plain.stdout, plain.stderr)


def test_the_wrapper_makes_the_run_id_unless_it_is_given(case: Any) -> None:
    given = str(uuid.uuid4())
    made = case.call(case.command())
    named = case.call(case.command(), PEAK_RUN_ID=given)
    assert (uuid.UUID(made.run_id).version, named.run_id) == (4, given)
    for ran in (made, named):
        assert ran.spans()[0].resource["run_id"] == ran.run_id


def test_without_a_wrapper_that_can_make_one_the_run_id_is_made_as_python_starts(case: Any, tools: Any) -> None:
    start = str(tools.root / "src" / "peak_trade" / "obs" / "start")
    ran = case.call(case.command()[1:], PYTHONPATH=start)
    assert ran.spans()[0].resource["run_id"] == ran.run_id


def test_an_id_that_exists_is_refused_and_its_telemetry_stays(case: Any) -> None:
    first = case.run()
    before = first.text()
    again = case.call(case.command("--run-id", first.run_id))
    assert again.code == 2
    assert first.text() == before
    assert list((first.results / ".telemetry").iterdir()) == []


def test_without_being_asked_nothing_of_opentelemetry_is_imported(case: Any, tools: Any) -> None:
    probe = "import sys, peak_trade.runner; print(sorted(n for n in sys.modules if 'telemetry' in n or '.obs' in n))"
    off = case.call([tools.wrapper, sys.executable, "-c", probe], "x", PEAK_OTEL_ENABLED="")
    on = case.call([tools.wrapper, sys.executable, "-c", probe], "x", PEAK_RESULTS_DIR=str(case.results))
    assert off.stdout == "[]\n"
    assert "opentelemetry.sdk" in on.stdout


def test_sampling_keeps_a_share_of_the_runs(case: Any) -> None:
    none = case.run(PEAK_OTEL_SAMPLE_RATIO="0")
    assert (none.code, none.stderr, none.receipt()["spans"]) == (0, "", 0)
    assert not (none.telemetry / "traces.jsonl").exists()
    assert (none.telemetry / "logs.jsonl").is_file()


def test_a_ratio_that_is_none_is_a_warning_and_every_run_is_recorded(case: Any) -> None:
    ran = case.run(PEAK_OTEL_SAMPLE_RATIO="half")
    assert ran.said("warn") == ["PEAK_OTEL_SAMPLE_RATIO=half is no number from 0 to 1, 1 is used"]
    assert ran.spans()


def test_a_run_joins_the_trace_that_the_environment_names(case: Any) -> None:
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    root = case.run(TRACEPARENT=f"00-{trace}-{parent}-01").spans()[0]
    assert (root.name, root.trace, root.parent) == ("run", trace, parent)


def test_a_recorded_command_is_one_trace_of_its_run(case: Any, tools: Any) -> None:
    words = [tools.wrapper, sys.executable, str(tools.root / "scripts/record_run.py")]
    done = case.call([*words, "--results-dir", str(case.results), "--", "sh", "-c", "exit 3"], "x")
    assert done.code == 3, done.stderr
    [folder] = case.results.glob("*/telemetry")
    spans = tools.spans_of([json.loads(line) for line in (folder / "traces.jsonl").read_text().splitlines()])
    [root] = [span for span in spans if not span.parent]
    [command] = [span for span in spans if span.name == "command"]
    assert (root.name, root.attributes["status"], root.attributes["program"]) == ("record", "failed", "sh")
    assert command.attributes["exit_code"] == 3
    assert {span.trace for span in spans} == {root.trace}
    assert {span.resource["run_id"] for span in spans} == {folder.parent.name, root.attributes["run_id"]}


def test_commands_that_are_no_run_are_recorded_under_an_id_of_their_own(case: Any, tools: Any) -> None:
    case.run()
    lake = str(case.folder / "lake")
    built = case.call(
        [tools.wrapper, sys.executable, str(tools.root / "scripts/build_lake_from_results.py"), "--lake-dir", lake,
         "--results-dir", str(case.results)],
        "x",
    )  # fmt: skip
    assert built.code == 0, built.stderr
    [folder] = (case.results / ".telemetry").iterdir()
    spans = tools.spans_of([json.loads(line) for line in (folder / "traces.jsonl").read_text().splitlines()])
    [build] = [span for span in spans if span.name == "lake_build"]
    assert build.attributes["runs"] == 1
    assert build.resource["run_id"] == folder.name


def test_every_edge_is_there(tools: Any) -> None:
    program = (
        "import importlib, operator\nfrom peak_trade.obs.edges import EDGES, PLACES\n"
        "for item in (*EDGES, *PLACES):\n"
        "    operator.attrgetter(item.function)(importlib.import_module(item.module))\n"
        "print(len(EDGES))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=tools.limit_s)
    assert int(done.stdout) >= 14, done.stderr
