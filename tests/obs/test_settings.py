"""What the environment asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from peak_trade.errors import InputError
from peak_trade.obs.settings import Settings, endpoint_of


@pytest.mark.parametrize(
    ("text", "protocol", "url"),
    [
        ("http://localhost:4317", "grpc", "http://localhost:4317"),
        ("https://otel.example:4317/", "grpc", "https://otel.example:4317"),
        ("localhost:4317", "grpc", "http://localhost:4317"),
        ("grpc://otel.example:9000", "grpc", "http://otel.example:9000"),
        ("grpcs://otel.example", "grpc", "https://otel.example:4317"),
        ("http://localhost:4318", "http", "http://localhost:4318"),
        ("http://localhost:4317/otlp", "http", "http://localhost:4317/otlp"),
        ("localhost:4318", "http", "http://localhost:4318"),
        ("https://otel.example", "http", "https://otel.example"),
        ("http://127.0.0.1:5000/v1/traces", "http", "http://127.0.0.1:5000"),
        ("http://[::1]:4318/", "http", "http://[::1]:4318"),
    ],
)
def test_scheme_and_port_choose_the_protocol(text: str, protocol: str, url: str) -> None:
    assert endpoint_of(text) == (protocol, url)


@pytest.mark.parametrize("text", ["ftp://host", "http://", "://", "http://a b:4318"])
def test_what_names_no_host_is_no_endpoint(text: str) -> None:
    with pytest.raises(InputError, match="is no endpoint"):
        endpoint_of(text)


@pytest.mark.parametrize("argv", [["--results-dir", "there"], ["--results-dir=there"]])
def test_files_go_where_the_run_goes(argv: list[str], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.read({"PEAK_RESULTS_DIR": "elsewhere"}, ["python", "x.py", *argv])
    assert settings.home == tmp_path / "there" / ".telemetry" / settings.run_id


def test_an_id_is_spelled_as_the_run_spells_it() -> None:
    given = "6F0C1A52-58B4-4D7E-9D0B-8F3F5C3B9A01"
    assert Settings.read({"PEAK_RUN_ID": given}, []).run_id == given.lower()
    assert Settings.read({}, ["x", f"--run-id={given}"]).run_id == given.lower()


def test_what_is_no_id_is_not_a_name_of_a_folder() -> None:
    settings = Settings.read({"PEAK_RUN_ID": "../../etc"}, [])
    assert settings.home.parent.name == ".telemetry"
    assert len(settings.run_id) == 36


@pytest.mark.parametrize(
    ("env", "files"),
    [
        ({}, ["otel-file.yaml"]),
        ({"PEAK_OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"}, ["otel-otlp.yaml"]),
        ({"PEAK_OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4317"}, ["otel-otlp-grpc.yaml"]),
        ({"PEAK_OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318", "PEAK_OTEL_FILE": "1"},
         ["otel-otlp.yaml", "otel-file.yaml"]),
        ({"OTEL_CONFIG_FILE": "/etc/mine.yaml", "PEAK_OTEL_FILE": "1"}, ["mine.yaml"]),
    ],
)  # fmt: skip
def test_the_settings_of_the_sdk_are_chosen_by_the_endpoint(env: dict[str, str], files: list[str]) -> None:
    assert [path.name for path in Settings.read(env, []).files] == files


@pytest.mark.parametrize("ratio", ["-0.1", "1.5", "nan", "much"])
def test_a_ratio_that_is_none_is_complained_of(ratio: str) -> None:
    settings = Settings.read({"PEAK_OTEL_SAMPLE_RATIO": ratio}, [])
    assert (settings.ratio, ratio in settings.complaint) == (1.0, True)


@pytest.mark.parametrize(
    ("env", "endpoint"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel.example:4318"}, ("http", "http://otel.example:4318")),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel.example:9000", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
         ("grpc", "http://otel.example:9000")),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318", "PEAK_OTEL_EXPORTER_OTLP_ENDPOINT": "grpc://b"},
         ("grpc", "http://b:4317")),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, None),
    ],
)  # fmt: skip
def test_the_standard_endpoint_is_taken_where_ours_names_none(env: dict[str, str], endpoint: Any) -> None:
    assert Settings.read(env, []).endpoint == endpoint
