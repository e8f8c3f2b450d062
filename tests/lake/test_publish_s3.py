"""On an S3, of moto on loopback: the same tables, safe between two at once, and nothing of the keys is said."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from peak_trade.data.lake import build, commit, compact, ingest, publish, schema
from peak_trade.errors import RunError
from peak_trade.evidence.results import Results

pytestmark = pytest.mark.needs("share")

SECRET = "moto-has-no-secrets-but-this-one"
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "publish_lake.py"


def serve(*options: str) -> tuple[subprocess.Popen[str], str]:
    server = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("store.py"), *options], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout
    return server, f"http://127.0.0.1:{int(server.stdout.readline())}"


@pytest.fixture(scope="module")
def stores() -> Iterator[Callable[..., str]]:
    """A function that starts a store, or has, and gives its address; all end with the module."""
    running: dict[tuple[str, ...], tuple[subprocess.Popen[str], str]] = {}

    def address(*options: str) -> str:
        if options not in running:
            running[options] = serve(*options)
        return running[options][1]

    yield address
    for server, _ in running.values():
        server.kill()
        server.communicate()


def speaks_to(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": address,
        "AWS_ALLOW_HTTP": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)


BUCKETS = iter(range(1000))


def bucket(address: str) -> str:
    name = f"lake-{os.getpid()}-{next(BUCKETS)}"
    urllib.request.urlopen(urllib.request.Request(f"{address}/{name}", method="PUT"), timeout=10).close()
    return name


@pytest.fixture
def uri(stores: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> str:
    """An address in a new bucket, and the variables that lead there."""
    speaks_to(monkeypatch, stores())
    return f"s3://{bucket(stores())}/team/lake"


def numbers(lake: Path, name: str) -> list[str]:
    return [column for column, kind in commit.newest(lake).tables[name].columns.items() if kind in ("DOUBLE", "BIGINT")]


def sums(lake: Path, look: Any, name: str) -> dict[str, float]:
    shown = ", ".join(["count(*)", *(f'sum("{column}")' for column in numbers(lake, name))])
    (row,) = look.rows(lake, f"SELECT {shown} FROM {name}")
    return dict(zip(["(rows)", *numbers(lake, name)], (float(value or 0) for value in row), strict=True))


def by_polars(uri: str, lake: Path, name: str) -> dict[str, float]:
    import polars as pl

    frame = pl.read_delta(f"{uri}/{name}")
    return {"(rows)": float(frame.height)} | {column: float(frame[column].sum()) for column in numbers(lake, name)}


def by_datafusion(uri: str, lake: Path, name: str) -> dict[str, float]:
    """As DataFusion says, by the copy of it that deltalake holds: the other has no way to a store."""
    from deltalake import DeltaTable, QueryBuilder

    shown = ", ".join(['count(*) AS "(rows)"', *(f'sum("{c}") AS "{c}"' for c in numbers(lake, name))])
    answer = QueryBuilder().register("asked", DeltaTable(f"{uri}/{name}")).execute(f"SELECT {shown} FROM asked")
    table = answer.read_all()
    return {column: float(table.column(column).to_pylist()[0] or 0) for column in table.column_names}


def is_the_lake(uri: str, lake: Path, look: Any) -> bool:
    return all(by_polars(uri, lake, name) == pytest.approx(sums(lake, look, name)) for name in schema.TABLES)


def test_each_table_has_the_lakes_counts_and_sums(uri: str, lake: Path, look: Any) -> None:
    ingest.ingest_bars(lake, look.bars([10, 11], symbol="BTC/USDT é"), source="names")
    done = publish.publish(lake, uri)
    assert set(done.tables) == set(schema.TABLES) and done.tables["ohlcv"].rows == 22
    for name in schema.TABLES:
        wanted = pytest.approx(sums(lake, look, name), rel=1e-12)
        assert by_polars(uri, lake, name) == wanted, name
        assert by_datafusion(uri, lake, name) == wanted, name

    import polars as pl

    closes = pl.read_delta(f"{uri}/ohlcv").filter(pl.col("symbol") == "BTC/USDT é")["close"]
    assert sorted(closes.to_list()) == [10.0, 11.0]


def objects(address: str, name: str) -> dict[str, str]:
    """Every object of a bucket, and when it was written."""
    import boto3

    store = boto3.client("s3", endpoint_url=address)
    pages = store.get_paginator("list_objects_v2").paginate(Bucket=name)
    return {one["Key"]: f"{one['LastModified']} {one['ETag']}" for page in pages for one in page.get("Contents", [])}


def test_a_second_call_writes_nothing_and_the_next_commit_what_is_new(
    stores: Callable[..., str], uri: str, place: Path, lake: Path, look: Any
) -> None:
    name = uri.split("/")[2]
    publish.publish(lake, uri)
    before = objects(stores(), name)
    assert not publish.publish(lake, uri).changed
    assert objects(stores(), name) == before
    look.run(place / "config.toml", place / "results", "strategy.params.fast=1")
    build.build(Results(place / "results"), lake, root=place)
    compact.compact(lake, grace_s=0)
    done = publish.publish(lake, uri)
    after = objects(stores(), name)
    assert {key: after[key] for key in before} == before  # nothing is written again, nothing is deleted
    new = [key for key in after.keys() - before.keys() if key.endswith(".parquet")]
    assert len(new) == sum(change.added for change in done.tables.values()) > 0
    assert is_the_lake(uri, lake, look)


@pytest.mark.parametrize("count", [2, 8])
def test_several_at_once_write_each_commit_once(
    publisher: Any, published: Any, uri: str, lake: Path, look: Any, count: int
) -> None:
    environment = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    at = time.time() + 0.5
    answers = publisher.ask(*[{"lake": lake, "uri": uri, "at": at, "environment": environment}] * count)
    assert [code for code, _ in answers] == [0] * count
    assert is_the_lake(uri, lake, look)
    assert {published(uri).version(name) for name in schema.TABLES} == {0}


def lost(publisher: Any, published: Any, uri: str, place: Path, lake: Path) -> bool:
    """Whether the older commit of two that are published at once is what stays, of any table."""
    environment = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    at = time.time() + 0.5
    requests = [{"lake": one, "uri": uri, "at": at, "environment": environment} for one in (lake, place / "old")]
    assert [code for code, _ in publisher.ask(*requests)] == [0] * 2
    newest = commit.newest(lake).number
    return any(commit_of(published, uri, name) != newest for name in schema.TABLES)


def commit_of(published: Any, uri: str, name: str) -> int:
    return int(published(uri).table(name).transaction_version("peak_trade.commit"))


@pytest.fixture
def changed(place: Path, lake: Path, look: Any) -> Path:
    """The lake, after one more run; `old` is the one before."""
    shutil.copytree(lake, place / "old")
    look.run(place / "config.toml", place / "results", "strategy.params.fast=1")
    build.build(Results(place / "results"), lake, root=place)
    return lake


def test_of_an_older_and_a_newer_commit_at_once_the_newer_one_stays(
    publisher: Any, published: Any, uri: str, place: Path, changed: Path, look: Any
) -> None:
    for round_ in range(3):
        assert not lost(publisher, published, f"{uri}/{round_}", place, changed)
    assert is_the_lake(f"{uri}/0", changed, look)


def test_control_a_store_that_is_deaf_to_the_condition_loses_a_commit(
    stores: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    publisher: Any,
    published: Any,
    place: Path,
    changed: Path,
) -> None:
    speaks_to(monkeypatch, stores("--deaf"))
    name = bucket(stores("--deaf"))
    assert any(lost(publisher, published, f"s3://{name}/{round_}", place, changed) for round_ in range(20))


def test_the_settings_that_make_it_unsafe_are_without_effect_or_refused(
    uri: str, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")
    with pytest.raises(RunError) as raised:
        publish.publish(lake, uri)
    assert raised.value.hint.startswith("leave AWS_CONDITIONAL_PUT out")
    monkeypatch.delenv("AWS_CONDITIONAL_PUT")
    monkeypatch.setenv("AWS_S3_ALLOW_UNSAFE_RENAME", "true")
    assert publish.publish(lake, uri).changed
    assert not publish.publish(lake, uri).changed


def test_killed_at_any_instant_the_tables_are_whole_and_the_next_call_goes_on(
    uri: str, place: Path, changed: Path, look: Any, published: Any
) -> None:
    words = [sys.executable, SCRIPT, uri, "--lake-dir", changed]
    rows = {
        one.number: {name: sum(part.rows for part in live.parts) for name, live in one.tables.items()}
        for one in (commit.newest(place / "old"), commit.newest(changed))
    }
    for at, after_s in enumerate((0.6, 1.0, 1.4, 1.8)):
        words[2] = f"{uri}/{at}"
        publish.publish(place / "old", words[2])
        with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
            time.sleep(after_s)
            process.send_signal(signal.SIGKILL)
        for name in schema.TABLES:
            table = published(words[2]).table(name)
            assert table.to_pyarrow_table().num_rows == rows[commit_of(published, words[2], name)][name], name
        publish.publish(changed, words[2])
        assert {commit_of(published, words[2], name) for name in schema.TABLES} == {commit.newest(changed).number}
    assert is_the_lake(words[2], changed, look)


def test_nothing_of_the_keys_is_said_or_written(uri: str, stores: Callable[..., str], lake: Path, script: Any) -> None:
    import boto3

    done = script("publish_lake", uri, "--lake-dir", lake, "--json")
    assert done.returncode == 0, done.stderr
    refused = script("publish_lake", uri.replace("lake-", "nobodys-"), "--lake-dir", lake, "--debug")
    assert refused.returncode == 1
    said = done.stdout + done.stderr + refused.stdout + refused.stderr
    assert SECRET.encode() not in said and b"somebody" not in said
    store, name = boto3.client("s3", endpoint_url=stores()), uri.split("/")[2]
    for key in objects(stores(), name):
        content = store.get_object(Bucket=name, Key=key)["Body"].read()
        assert SECRET.encode() not in content and b"somebody" not in content


def test_what_goes_wrong_is_a_sentence_with_what_helps(uri: str, lake: Path, script: Any) -> None:
    done = script("publish_lake", uri.replace("lake-", "nobodys-"), "--lake-dir", lake)
    assert done.returncode == 1 and b"hint: make the bucket first, or mend its name" in done.stderr, done.stderr
    done = script("publish_lake", uri, "--lake-dir", lake, AWS_ALLOW_HTTP="false")
    assert done.returncode == 1 and b"hint: AWS_ALLOW_HTTP=true allows an endpoint without TLS" in done.stderr
    for answer in (done,):
        assert answer.stderr.startswith(b"error: s3://") and answer.stderr.count(b"\n") == 2, answer.stderr
