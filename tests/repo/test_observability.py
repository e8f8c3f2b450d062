"""The dashboards' stack is sound before anybody starts it, and its queries name what the code emits."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

UNITS = {"s": "seconds", "ms": "milliseconds", "By": "bytes", "1": ""}
PER = {"s": "second", "m": "minute", "h": "hour"}


def in_prometheus(name: str, unit: str, kind: str) -> set[str]:
    """Return the names of the series that Prometheus makes of an OTLP metric, by its default translation.

    As its library does (github.com/prometheus/otlptranslator v1.0.0, metric_namer.go); a histogram becomes three.
    """
    words = re.findall(r"[A-Za-z0-9:]+", name)
    main, _, per = unit.partition("/")
    main = "" if "{" in main else UNITS.get(main, main)
    per = "" if "{" in per or not per else f"per_{PER.get(per, per)}"
    words += [suffix for suffix in (main, per) if suffix and suffix not in words]
    if kind == "counter":
        words = [*(word for word in words if word != "total"), "total"]
    full = "_".join(words)
    return {f"{full}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {full}


@pytest.mark.parametrize(
    ("metric", "series"),
    [  # the first two stand in the library's own tests
        (("requests", "1/s", "gauge"), {"requests_per_second"}),
        (("throughput", "By/s", "gauge"), {"throughput_bytes_per_second"}),
        (("requests.total", "1", "counter"), {"requests_total"}),
        (("peak_trade.runs", "{run}", "counter"), {"peak_trade_runs_total"}),
        (
            ("a.time", "ms", "histogram"),
            {"a_time_milliseconds_bucket", "a_time_milliseconds_sum", "a_time_milliseconds_count"},
        ),
    ],
)
def test_names_are_translated_as_prometheus_does(metric: tuple[str, str, str], series: set[str]) -> None:
    assert in_prometheus(*metric) == series


@pytest.fixture(scope="module")
def folder(root: Path) -> Path:
    return root / "ops" / "observability"


@pytest.fixture(scope="module")
def asked(run: Any, folder: Path) -> set[tuple[str, str]]:
    """What the dashboards' queries name: its kind and its name."""
    listed = run("python", "scripts/ci/query_names.py", *map(str, sorted((folder / "dashboards").glob("*.json"))))
    assert listed.returncode == 0
    return {(kind, name) for kind, _, name in (line.partition("\t") for line in listed.stdout.splitlines())}


class Emitted(NamedTuple):
    """What a run emits: names of spans and attributes, metrics as (name, unit, kind), and what a log record has."""

    spans: set[str]
    attributes: set[str]
    resource: set[str]
    metrics: set[tuple[str, str, str]]
    metric_attributes: set[str]
    log_fields: set[str]


def keys(*bearers: dict[str, Any]) -> set[str]:
    return {attribute["key"] for bearer in bearers for attribute in bearer.get("attributes", [])}


@pytest.fixture(scope="module")
def emitted(need: Any, run: Any, tmp_path_factory: pytest.TempPathFactory) -> Emitted:
    """What a real run with telemetry leaves in its files."""
    need("observability")
    results = tmp_path_factory.mktemp("results")
    script = (
        "scripts/run_strategy_from_config.py",
        "--config",
        "config/my_strategy.toml",
        "--results-dir",
        str(results),
    )
    settings = {"PEAK_OTEL_ENABLED": "1", "PEAK_OTEL_EXPORTER_OTLP_ENDPOINT": "", "PEAK_OTEL_SAMPLE_RATIO": ""}
    done = run("scripts/utils/with_telemetry.sh", "python", *script, **settings)
    assert done.returncode == 0, done.stderr
    telemetry = results / done.stdout.strip() / "telemetry"

    def read(file: str, resources: str, scopes: str, items: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        for line in (telemetry / file).read_text(encoding="utf-8").splitlines():
            for one in json.loads(line)[resources]:
                yield from ((one["resource"], item) for scope in one[scopes] for item in scope[items])

    spans = [*read("traces.jsonl", "resourceSpans", "scopeSpans", "spans")]
    metrics = [metric for _, metric in read("metrics.jsonl", "resourceMetrics", "scopeMetrics", "metrics")]
    logs = [record for _, record in read("logs.jsonl", "resourceLogs", "scopeLogs", "logRecords")]
    points = [
        point
        for metric in metrics
        for kind in ("sum", "histogram")
        for point in metric.get(kind, {}).get("dataPoints", [])
    ]
    return Emitted(
        spans={span["name"] for _, span in spans},
        attributes=keys(*(span for _, span in spans)),
        resource=keys(*(resource for resource, _ in spans)),
        metrics={(m["name"], m["unit"], "histogram" if "histogram" in m else "counter") for m in metrics},
        metric_attributes=keys(*points),
        log_fields=keys(*logs) | {re.sub("([A-Z])", r"_\1", field).lower() for record in logs for field in record},
    )


@pytest.fixture(scope="module")
def named(emitted: Emitted, folder: Path) -> set[tuple[str, str]]:
    """What the code emits, as each of the stores names it."""
    promoted = yaml.safe_load((folder / "prometheus.yaml").read_bytes())["otlp"]["promote_resource_attributes"]
    of_kind = {
        "span": emitted.spans,
        "attribute": emitted.attributes | emitted.resource,
        "metric": {name for metric in emitted.metrics for name in in_prometheus(*metric)},
        "label": emitted.metric_attributes | {name.replace(".", "_") for name in emitted.resource & set(promoted)},
        "log label": emitted.log_fields | {name.replace(".", "_") for name in emitted.resource},
    }
    return {(kind, name) for kind, names in of_kind.items() for name in names}


def test_queries_name_only_what_the_code_emits(asked: set[tuple[str, str]], named: set[tuple[str, str]]) -> None:
    assert len(asked) > 10
    assert asked - named == set()


def test_every_metric_is_on_a_dashboard(asked: set[tuple[str, str]], emitted: Emitted) -> None:
    shown = {name for kind, name in asked if kind == "metric"}
    assert len(emitted.metrics) > 1
    assert [metric for metric in emitted.metrics if not in_prometheus(*metric) & shown] == []


@pytest.mark.parametrize(
    ("panel", "name"),
    [
        ({"type": "prometheus", "expr": 'sum by (sort) (trades_total{a="{x}", b!~"y"})'}, "metric trades_total"),
        ({"type": "prometheus", "expr": 'sum by (sort) (trades_total{a="{x}", b!~"y"})'}, "label a"),
        ({"type": "prometheus", "expr": 'sum by (sort) (trades_total{a="{x}", b!~"y"})'}, "label b"),
        ({"type": "prometheus", "expr": 'sum by (sort) (trades_total{a="{x}", b!~"y"})'}, "label sort"),
        ({"type": "tempo", "query": '{ span.fee > 0.5 && name = "fills" } | select(.side)'}, "attribute fee"),
        ({"type": "tempo", "query": '{ span.fee > 0.5 && name = "fills" } | select(.side)'}, "attribute side"),
        ({"type": "tempo", "query": '{ span.fee > 0.5 && name = "fills" } | select(.side)'}, "span fills"),
        ({"type": "loki", "expr": '{app="x"} |= "a=b" | level="warn"'}, "log label app"),
        ({"type": "loki", "expr": '{app="x"} |= "a=b" | level="warn"'}, "log label level"),
    ],
)
def test_a_name_is_seen_wherever_a_query_has_it(panel: dict[str, str], name: str, tmp_path: Path, run: Any) -> None:
    source = {"type": panel["type"]}
    (tmp_path / "a.json").write_text(
        json.dumps({"panels": [{"datasource": source, "targets": [panel]}], "templating": {"list": []}}), "utf-8"
    )
    listed = run("python", "scripts/ci/query_names.py", str(tmp_path / "a.json")).stdout.replace("\t", " ").splitlines()
    assert name in listed


# --- the check that `just lint` runs, and that it can fail --------------------------------------------------------

Change = Callable[[Path], None]


def in_compose(old: str, new: str) -> Change:
    def change(folder: Path) -> None:
        path = folder / "docker-compose.yml"
        text = path.read_text(encoding="utf-8")
        assert len(re.findall(old, text)) >= 1
        path.write_text(re.sub(old, new, text, count=1), "utf-8")

    return change


def in_dashboard(change: Callable[[dict[str, Any]], Any]) -> Change:
    def changed(folder: Path) -> None:
        path = folder / "dashboards" / "runs.json"
        content = json.loads(path.read_bytes())
        change(content)
        path.write_text(json.dumps(content), "utf-8")

    return changed


def first(content: dict[str, Any]) -> dict[str, Any]:
    """Return the first panel that asks for something."""
    panel: dict[str, Any] = next(panel for panel in content["panels"] if panel["type"] != "row")
    return panel


SHAPES: dict[str, tuple[Change, str]] = {
    "an unknown key": (in_compose("security_opt", "security_options"), "'security_options' was unexpected"),
    "no version": (in_compose(r":0\.\d+\.\d+@sha256:\w+", ":latest"), "otel-lgtm:latest' does not match"),
    "a port of all": (
        in_compose(r"127\.0\.0\.1:(\$\{PEAK_GRAFANA)", r"\1"),
        "'${PEAK_GRAFANA_PORT:-3000}:3000' does not",
    ),
    "a fixed port": (in_compose(r"\$\{PEAK_OTLP_GRPC_PORT:-4317\}", "4317"), "'127.0.0.1:4317:4317' does not match"),
    "a mount to write": (
        in_compose(r"(prometheus\.yaml):ro", r"\1"),
        "'./prometheus.yaml:/otel-lgtm/prometheus.yaml' ",
    ),
    "no limit": (in_compose("mem_limit: 2g", "cpus: 2"), "'mem_limit' is a required property"),
    "no health check": (in_compose("retries: 6", ""), "'retries' is a required property"),
    "no title": (in_dashboard(lambda content: first(content).pop("title")), "'title' is a required property"),
    "no query": (in_dashboard(lambda content: first(content).update(targets=[])), "targets"),
    "no data source": (in_dashboard(lambda content: first(content).pop("datasource")), "'datasource' is a required"),
    "another one": (
        in_dashboard(lambda content: content["panels"][2]["datasource"].update(uid="mimir")),
        "'uid': 'mimir'",
    ),
    "an editable one": (in_dashboard(lambda content: content.update(editable=True)), "editable: False was expected"),
}
CONTENTS: dict[str, tuple[Change, str]] = {
    "a missing file": (in_compose(r"\./prometheus\.yaml", "./prom.yaml"), "mounts ./prom.yaml, which is not there"),
    "no such volume": (in_compose("- data:/data", "- store:/data"), "mounts store, which is not there"),
    "one id twice": (in_dashboard(lambda content: first(content).update(id=1)), "runs.json: id 1 is given twice"),
    "one uid twice": (
        lambda folder: shutil.copy(folder / "dashboards" / "runs.json", folder / "dashboards" / "more.json") and None,
        "uid peak-trade-runs is given twice",
    ),
}


@pytest.fixture(scope="module")
def findings(run: Any, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[str]]]:
    """What the check says of two copies: one with all faults of shape, one with all of content."""
    found = {}
    for name, faults in (("shape", SHAPES), ("content", CONTENTS)):
        copy = shutil.copytree(folder, tmp_path_factory.mktemp(name) / "observability")
        for change, _ in faults.values():
            change(copy)
        checked = run("python", "scripts/ci/check_observability.py", str(copy))
        assert checked.returncode == 1
        found[name] = checked.stderr.splitlines()
    return found


def test_the_stack_passes_its_check(run: Any) -> None:
    checked = run("python", "scripts/ci/check_observability.py")
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("fault", [*SHAPES, *CONTENTS])
def test_a_fault_is_named(fault: str, findings: dict[str, list[str]]) -> None:
    lines, (_, named) = (
        (findings["shape"], SHAPES[fault]) if fault in SHAPES else (findings["content"], CONTENTS[fault])
    )
    assert [line for line in lines if named in line] != []


def test_a_compose_file_that_is_no_yaml_does_not_pass(run: Any, folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "observability")
    (copy / "docker-compose.yml").write_text("a: [\n", "utf-8")
    assert run("python", "scripts/ci/check_observability.py", str(copy)).returncode == 1


def test_grafana_finds_the_dashboards_where_they_are_mounted(folder: Path) -> None:
    (service,) = yaml.safe_load((folder / "docker-compose.yml").read_bytes())["services"].values()
    mounts = {source: target for source, _, target in (mount.partition(":") for mount in service["volumes"])}
    (provider,) = yaml.safe_load((folder / "dashboards.yaml").read_bytes())["providers"]
    path = mounts["./dashboards"].removesuffix(":ro")
    assert provider["options"]["path"] == path
    home = service["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (folder / "dashboards" / home.removeprefix(f"{path}/")).is_file()


def test_nobody_is_an_administrator_without_a_password(folder: Path) -> None:
    (service,) = yaml.safe_load((folder / "docker-compose.yml").read_bytes())["services"].values()
    assert service["environment"]["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
