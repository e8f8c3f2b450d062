"""What the environment asks of telemetry: where to, under which name, how much of it."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from peak_trade import places
from peak_trade.errors import InputError
from peak_trade.obs.launch import makes_run, option

__all__ = ["Endpoint", "Settings", "endpoint_of", "environment"]

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIMEOUT_S = 0.75  # below 0.8 nothing is tried twice, so that a collector that is down costs nothing
_GRPC = 4317  # the port that OTLP has for gRPC; 4318 is that for HTTP


class Endpoint(NamedTuple):
    """Where a collector listens: `protocol` is `grpc` or `http`, `url` the form that exporters read."""

    protocol: str
    url: str


def endpoint_of(text: str, name: str = "PEAK_OTEL_EXPORTER_OTLP_ENDPOINT") -> Endpoint:
    """Return the endpoint that a text means: gRPC for `grpc://`, `grpcs://` and port 4317 without a path, else HTTP.

    Raises InputError where it names no host.

    >>> endpoint_of("http://localhost:4317")
    Endpoint(protocol='grpc', url='http://localhost:4317')
    >>> endpoint_of("grpcs://otel.example")
    Endpoint(protocol='grpc', url='https://otel.example:4317')
    >>> endpoint_of("localhost:4318"), endpoint_of("https://otel.example/otlp/v1/traces/")
    (Endpoint(protocol='http', url='http://localhost:4318'), Endpoint(protocol='http', url='https://otel.example/otlp'))
    """
    split = urlsplit(text.strip() if "://" in text else f"http://{text.strip()}")
    if split.scheme not in ("grpc", "grpcs", "http", "https") or not split.hostname or " " in split.netloc:
        raise InputError(
            f"{name}={text} is no endpoint",
            hint="as http://localhost:4318, or grpc://localhost",
        )
    path = re.sub(r"/v1/(traces|logs|metrics)$", "", split.path.rstrip("/"))
    secure = "https" if split.scheme in ("grpcs", "https") else "http"
    if split.scheme.startswith("grpc") or (split.port == _GRPC and not path):
        return Endpoint("grpc", f"{secure}://{split.netloc}" + ("" if split.port else f":{_GRPC}"))
    return Endpoint("http", f"{secure}://{split.netloc}{path}")


class Settings(NamedTuple):
    """What a process was asked for.

    `run_id` is that of the run, or the process's own where it makes none; `given` what was asked for, as it stands.
    `part` names a process that another one started to do a part of its work. `files` are the declarative
    configurations, put together. `complaint` says which setting was passed over.
    """

    run_id: str
    given: str
    results: Path
    part: str
    makes_run: bool
    endpoint: Endpoint | None
    files: list[Path]
    traceparent: str
    ratio: float
    timeout_s: float
    service: str
    complaint: str

    @classmethod
    def read(cls, env: Mapping[str, str], argv: Sequence[str]) -> Settings:
        """Read the environment and the command line. Raises InputError for an endpoint that is none."""
        words = list(argv)
        asked = option(words, "--run-id") or env.get("PEAK_RUN_ID", "")
        given = env.get("PEAK_OTEL_RESULTS") or option(words, "--results-dir") or env.get("PEAK_RESULTS_DIR")
        to = env.get("PEAK_OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
        endpoint = endpoint_of(to) if to else _standard_endpoint(env)
        ratio, complaint = _number(env, "PEAK_OTEL_SAMPLE_RATIO", 1.0, least=0.0, most=1.0)
        timeout_s, other = _number(env, "PEAK_OTEL_TIMEOUT_S", TIMEOUT_S, least=0.05, most=600.0)
        folder = places.shipped("ops/observability")
        files = (
            [folder / {"grpc": "otel-otlp-grpc.yaml", "http": "otel-otlp.yaml"}[endpoint.protocol]] if endpoint else []
        )
        if own := env.get("OTEL_CONFIG_FILE"):
            files = [Path(own)]
        elif not endpoint or env.get("PEAK_OTEL_FILE") == "1":
            files.append(folder / "otel-file.yaml")
        return cls(
            run_id=named if UUID4.fullmatch(named := asked.strip().lower()) else str(uuid.uuid4()),
            given=asked,
            results=places.results(given).absolute(),
            part=env.get("PEAK_OTEL_PART", ""),
            makes_run=makes_run(words),
            endpoint=endpoint,
            files=files,
            traceparent=env.get("TRACEPARENT", ""),
            ratio=ratio,
            timeout_s=timeout_s,
            service=env.get("OTEL_SERVICE_NAME") or env.get("PEAK_OTEL_SERVICE_NAME") or "peak-trade",
            complaint=complaint or other,
        )

    def hand_on(self) -> None:
        """Have the run take the id that is recorded, where it was given none."""
        if self.makes_run and not self.given:
            os.environ["PEAK_RUN_ID"] = self.run_id

    @property
    def home(self) -> Path:
        """Where the files are written until it is known where they belong."""
        return self.results / ".telemetry" / self.run_id


def _standard_endpoint(env: Mapping[str, str]) -> Endpoint | None:
    """Return the endpoint that OpenTelemetry's own variables name; the protocol is part of them, not of the address."""
    text = env.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    if not text:
        return None
    protocol = env.get("OTEL_EXPORTER_OTLP_PROTOCOL", "").strip()
    found = endpoint_of(text, "OTEL_EXPORTER_OTLP_ENDPOINT")
    return found._replace(protocol=protocol.partition("/")[0]) if protocol in ("grpc", "http/protobuf") else found


def _number(env: Mapping[str, str], name: str, default: float, *, least: float, most: float) -> tuple[float, str]:
    """Return a number of the environment, or its default and the complaint that it is none."""
    text = env.get(name, "").strip()
    with suppress(ValueError):
        if least <= (number := float(text or default)) <= most:
            return number, ""
    return default, f"{name}={text} is no number from {least:g} to {most:g}, {default:g} is used"


@contextmanager
def environment(**values: str | None) -> Iterator[None]:
    """Set environment variables (None: unset) for the time of a block."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
