"""What SQL must not reach it does not reach, wherever in a SELECT it is asked for and however a statement is disguised.

The tables say what is forbidden, and where it can be put; a case is one of each. `just test` draws some, `just test -m
hostile` runs all. The control of each: DuckDB without our walls carries it out.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peak_trade.data.lake import build, query
from peak_trade.errors import PeakError
from peak_trade.evidence.results import Results

SECRET = "the-secret-of-the-file"

# {secret} is a text outside the lake, {table}, {lines} {parquet} the same as CSV, JSON, Parquet; {out} is new
RELATIONS = {
    "a text": "read_text('{secret}')",
    "a text by its type": "(SELECT content FROM read_text(['{secret}']))",
    "bytes": "read_blob('{secret}')",
    "CSV": "read_csv('{table}')",
    "CSV by an older name": "read_csv_auto('{table}')",
    "CSV with its columns": "read_csv('{table}', columns = {'word': 'VARCHAR'}, header = true)",
    "JSON": "read_json('{lines}')",
    "JSON lines": "read_ndjson('{lines}')",
    "JSON as it stands": "read_json_objects('{lines}')",
    "Parquet": "read_parquet('{parquet}')",
    "Parquet by another name": "parquet_scan('{parquet}')",
    "a file's metadata": "parquet_metadata('{parquet}')",
    "a file's schema": "parquet_schema('{parquet}')",
    "a file's dialect": "sniff_csv('{table}')",
    "names of files": "glob('{folder}/*')",
    "a file by its name": "'{table}'",
    "a file by its name, quoted": '"{table}"',
    "settings": "duckdb_settings()",
    "secrets": "duckdb_secrets()",
    "the catalogue": "sqlite_master",
    "the catalogue of a schema": "main.sqlite_master",
    "SQL in a text": "query('FROM read_text(''{secret}'')')",
    "a table by a text": "query_table('{table}')",
}
PLACES = {  # where in a SELECT a relation {x} can stand
    "selected": "SELECT * FROM {x}",
    "named first": "FROM {x}",
    "under another name": "SELECT s.* FROM {x} AS s",
    "in a subquery": "SELECT * FROM (SELECT * FROM {x}) AS s",
    "in a subquery of a subquery": "SELECT * FROM (SELECT * FROM (FROM {x} LIMIT 3) AS t) AS s",
    "as a value": "SELECT (SELECT count(*) FROM {x})",
    "asked whether it is there": "SELECT count(*) FROM runs WHERE EXISTS (SELECT 1 FROM {x})",
    "compared with": "SELECT count(*) FROM runs WHERE 1 IN (SELECT count(*) FROM {x})",
    "compared with any": "SELECT 1 > ANY (SELECT count(*) FROM {x})",
    "in a WITH": "WITH a AS (SELECT * FROM {x}) SELECT * FROM a",
    "in a WITH that is carried out once": "WITH a AS MATERIALIZED (SELECT * FROM {x}) SELECT * FROM a",
    "in a WITH of a WITH": "WITH a AS (WITH b AS (SELECT * FROM {x}) SELECT * FROM b) SELECT * FROM a",
    "in a recursion": "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT t.n + 1 FROM t, "
    "(SELECT count(*) AS c FROM {x}) AS s WHERE t.n < 2) SELECT * FROM t",
    "added": "SELECT 1 AS n UNION ALL SELECT count(*) FROM {x}",
    "taken away": "SELECT 1 AS n EXCEPT SELECT count(*) FROM {x}",
    "joined": "SELECT count(*) FROM runs JOIN {x} ON true",
    "crossed": "SELECT count(*) FROM runs, {x}",
    "in what is joined by": "SELECT count(*) FROM runs AS a JOIN runs AS b ON 0 < (SELECT count(*) FROM {x})",
    "for each row": "SELECT * FROM runs, LATERAL (SELECT count(*) FROM {x}) AS s",
    "in the order": "SELECT run_id FROM runs ORDER BY (SELECT count(*) FROM {x})",
    "in the limit": "SELECT run_id FROM runs LIMIT (SELECT count(*) FROM {x})",
    "in the groups": "SELECT count(*) FROM runs GROUP BY (SELECT count(*) FROM {x})",
    "after the groups": "SELECT count(*) FROM runs HAVING 0 < (SELECT count(*) FROM {x})",
    "after the windows": "SELECT run_id FROM runs QUALIFY row_number() OVER () > (SELECT count(*) FROM {x})",
    "in a filter": "SELECT count(*) FILTER (WHERE 0 < (SELECT count(*) FROM {x})) FROM runs",
    "in a case": "SELECT CASE WHEN true THEN (SELECT count(*) FROM {x}) END",
    "in a list": "SELECT [(SELECT count(*) FROM {x})]",
    "in a struct": "SELECT {'a': (SELECT count(*) FROM {x})}",
    "as an argument": "SELECT greatest(1, (SELECT count(*) FROM {x}))",
    "as an array": "SELECT ARRAY(SELECT 1 FROM {x})",
    "as a row of values": "VALUES ((SELECT count(*) FROM {x}))",
    "turned about": "PIVOT (SELECT 1 AS a, 2 AS b FROM {x}) ON a IN (1) USING sum(b)",
    "summarised": "SUMMARIZE SELECT * FROM {x}",
    "described": "DESCRIBE SELECT * FROM {x}",
}
SCOPES = {  # a name that a WITH gives is known in its own SELECT: what is asked elsewhere is the catalogue's
    "beside it": "SELECT * FROM (WITH {x} AS (SELECT 1) SELECT * FROM {x}) AS a, {x}",
    "after it": "SELECT 1 FROM (WITH {x} AS (SELECT 1) SELECT 1) AS a UNION ALL SELECT count(*) FROM {x}",
    "around it": "SELECT (WITH {x} AS (SELECT 1) SELECT count(*) FROM {x}) FROM {x}",
    "in its own definition": "WITH {x} AS (SELECT * FROM {x}) SELECT * FROM {x}",
    "in a definition before it": "WITH a AS (SELECT * FROM {x}), {x} AS (SELECT 1) SELECT * FROM a",
    "in a WITH that another SELECT has": "SELECT (WITH {x} AS (SELECT 1) SELECT 1), (SELECT count(*) FROM {x})",
    "in another spelling": "SELECT * FROM (WITH a AS (SELECT 1), {x} AS (SELECT 1) SELECT * FROM a) AS b, {x} AS c",
}
NAMES = ("sqlite_master", "duckdb_tables", "duckdb_columns", "duckdb_views", "pragma_database_list", '"{table}"')
STATEMENTS = {
    "COPY … TO": "COPY (SELECT 1) TO '{out}'",
    "COPY of a table": "COPY runs TO '{out}' (FORMAT parquet)",
    "COPY … FROM": "COPY own FROM '{table}'",
    "EXPORT": "EXPORT DATABASE '{out}'",
    "ATTACH": "ATTACH '{out}' AS other",
    "CREATE TABLE": "CREATE TABLE mine AS SELECT 1",
    "CREATE VIEW": "CREATE VIEW mine AS SELECT 1",
    "CREATE MACRO": "CREATE MACRO f() AS 1",
    "CREATE SEQUENCE": "CREATE SEQUENCE s",
    "CREATE SCHEMA": "CREATE SCHEMA s",
    "CREATE TYPE": "CREATE TYPE mood AS ENUM ('happy')",
    "DROP": "DROP TABLE own",
    "ALTER": "ALTER TABLE own RENAME TO gone",
    "INSERT": "INSERT INTO own SELECT 'x'",
    "UPDATE": "UPDATE own SET word = 'x'",
    "DELETE": "DELETE FROM own",
    "TRUNCATE": "TRUNCATE own",
    "SET": "SET threads = 1",
    "RESET": "RESET threads",
    "PRAGMA": "PRAGMA database_list",
    "CALL": "CALL pragma_version()",
    "CHECKPOINT": "CHECKPOINT",
    "VACUUM": "VACUUM",
    "BEGIN": "BEGIN TRANSACTION",
    "PREPARE": "PREPARE p AS SELECT 1",
    "USE": "USE memory",
    "COMMENT": "COMMENT ON TABLE own IS 'x'",
}
DISGUISES = {
    "as it is": "{x}",
    "after a SELECT": "SELECT 1; {x}",
    "before a SELECT": "{x}; SELECT 1",
    "after a remark": "-- SELECT 1\n/* SELECT */ {x}",
    "after a remark in a remark": "/* /* */ SELECT */ {x}",
    "after white space of all kinds": " \t\r\n\v\f {x}",
    "after an empty statement": ";;{x}",
}  # fmt: skip


@pytest.fixture(scope="module")
def place(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs and their lake, and beside it the secret in every format; nobody may change any of it."""
    folder = tmp_path_factory.mktemp("escapes") / "place"
    shutil.copytree(template, folder)
    build.build(Results(folder / "results"), folder / "lake", root=folder)
    (folder / "secret.txt").write_text(SECRET)
    (folder / "secret.csv").write_text(f"word\n{SECRET}\n")
    (folder / "secret.json").write_text(f'{{"word": "{SECRET}"}}\n')
    with _bare(folder) as connection:
        connection.execute(f"COPY (SELECT '{SECRET}' AS word) TO '{folder / 'secret.parquet'}' (FORMAT parquet)")
    return folder


def _bare(folder: Path) -> Any:
    """DuckDB without our walls; it has a table of the name that is asked for, and one to write to."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("CREATE TABLE runs AS SELECT 'x' AS run_id; CREATE TABLE own (word VARCHAR)")
    return connection


@pytest.fixture(scope="module")
def lake(place: Path) -> Iterator[Any]:
    """One connection: a refusal leaves it as it was."""
    with query.connect(place / "lake", questions=()) as connection:
        yield connection


def filled(pattern: str, what: str, place: Path, out: Path) -> str:
    text = pattern.replace("{x}", what)
    words = {"secret": "secret.txt", "table": "secret.csv", "lines": "secret.json", "parquet": "secret.parquet"}
    for name, file in words.items():
        text = text.replace(f"{{{name}}}", str(place / file))
    return text.replace("{folder}", str(place)).replace("{out}", str(out))


def refused(lake: Any, text: str) -> None:
    for way in (lake.sql, lake.execute, lake.table, lake.describe, lake.explain):
        with pytest.raises(PeakError) as raised:
            way(text)
        assert SECRET not in f"{raised.value.message} {raised.value.hint}"
        assert not raised.value.message.startswith("internal")


ESCAPES = [
    *[pytest.param(place, what, id=f"{named} {where}") for named, what in RELATIONS.items()
      for where, place in PLACES.items()],
    *[pytest.param(scope, name, id=f"{name} {where}") for name in NAMES for where, scope in SCOPES.items()],
]  # fmt: skip


@pytest.mark.hostile(share=60)
@pytest.mark.parametrize(("pattern", "what"), ESCAPES)
def test_what_is_not_the_lakes_is_refused_wherever_it_is_asked_for(
    lake: Any, place: Path, look: Any, tmp_path: Path, pattern: str, what: str
) -> None:
    refused(lake, filled(pattern, what, place, tmp_path / "out"))
    assert look.rows(place / "lake", "SELECT count(*) FROM runs") == [(4,)]


@pytest.mark.hostile(share=30)
@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("statement", STATEMENTS)
def test_what_is_no_select_is_refused_however_it_is_disguised(
    lake: Any, place: Path, look: Any, tmp_path: Path, statement: str, disguise: str
) -> None:
    before = look.photograph(place)
    refused(lake, filled(DISGUISES[disguise], STATEMENTS[statement], place, tmp_path / "out"))
    assert look.photograph(place) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.hostile
def test_control_without_our_walls_each_escape_is_carried_out(place: Path, tmp_path: Path) -> None:
    """Else a mistake in the tables above, which DuckDB refuses for its spelling, would pass for a wall."""
    import duckdb

    unwritten, connection = [], _bare(place)
    for case in ESCAPES:
        pattern, what = map(str, case.values)
        try:
            connection.execute(filled(pattern, what, place, tmp_path / "out")).fetchall()
        except duckdb.InternalError:  # as a file's metadata in a recursion, which no SELECT of ours gets as far as
            connection = _bare(place)
        except duckdb.Error as error:
            unwritten.append(f"{case.id}: {error}")
    assert SECRET in str(connection.execute(f"FROM read_text('{place / 'secret.txt'}')").fetchall())
    assert unwritten == []


@pytest.mark.hostile
def test_control_without_our_walls_each_statement_is_carried_out(place: Path, tmp_path: Path) -> None:
    import duckdb

    unwritten, plain = [], "as it is"
    for statement, disguise in [*((s, plain) for s in STATEMENTS), *(("COPY … TO", d) for d in DISGUISES)]:
        with _bare(place) as connection:
            text = filled(DISGUISES[disguise], STATEMENTS[statement], place, tmp_path / f"{statement} {disguise}")
            try:
                connection.execute(text)
            except duckdb.Error as error:
                unwritten.append(f"{statement} {disguise}: {error}")
    assert unwritten == []
    assert len(list(tmp_path.glob("COPY … TO *"))) == len(DISGUISES)


@pytest.mark.hostile
@pytest.mark.parametrize("where", PLACES)
def test_control_the_lakes_own_tables_are_answered_in_each_place(lake: Any, where: str) -> None:
    assert lake.execute(PLACES[where].replace("{x}", "stats")) is not None
