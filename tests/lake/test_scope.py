"""A table is asked for by the names that its place in the question sees, and by no other."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import duckdb
import pytest

from peak_trade.data.lake import reads
from peak_trade.errors import InputError

SECRET = "CREATE VIEW runs AS SELECT 1 AS n, 'the-words-of-the-catalogue' AS words"
ATTACKS = [
    "SELECT (WITH {table} AS (SELECT 1) SELECT count(*) FROM {table}) AS a, * FROM {table}",
    "SELECT * FROM {table} WHERE 1 IN (WITH {table} AS (SELECT 1) FROM {table})",
    "SELECT * FROM (WITH {table} AS (SELECT 1 AS a) FROM {table}) AS s, {table} AS c",
    "(WITH {table} AS (SELECT 1 AS a) SELECT a::VARCHAR FROM {table}) UNION ALL (SELECT c::VARCHAR FROM {table} AS c)",
    "WITH {table} AS (SELECT * FROM {table}) SELECT * FROM {table}",
    "WITH {table} AS MATERIALIZED (SELECT * FROM {table}) SELECT * FROM {table}",
    "WITH RECURSIVE {table} AS (SELECT * FROM {table}) SELECT * FROM {table}",
    "WITH a AS (SELECT * FROM {table}), {table} AS (SELECT 1) SELECT * FROM a",
    "WITH a AS (WITH {table} AS (SELECT 1) FROM {table}), b AS (SELECT * FROM {table}) SELECT * FROM b",
    "WITH RECURSIVE {table}(n) AS (SELECT c::VARCHAR FROM {table} AS c UNION ALL "
    "SELECT n FROM {table} WHERE false) SELECT * FROM {table}",
    "SELECT (WITH {table} AS (SELECT 1) SELECT count(*) FROM {table}) AS a, * FROM (SUMMARIZE {table})",
    "SELECT max((WITH {table} AS (SELECT 1) SELECT count(*) FROM {table})) AS a, s.* FROM {table} AS s "
    "GROUP BY ALL ORDER BY ALL",
    "SELECT * FROM {table} ORDER BY (WITH {table} AS (SELECT 1 AS a) SELECT max(a) FROM {table})",
    "WITH {table} AS (SELECT 1) SELECT * FROM {schema}.{table}",
]
CATALOGUE = [
    ("main", "sqlite_master"),
    ("main", "SQLite_Schema"),
    ("main", "duckdb_views"),
    ("pg_catalog", "pg_views"),
    ("main", "duckdb_settings"),  # where there is no such table the question is refused all the same
]


def connected() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(SECRET)
    return connection


@pytest.mark.parametrize(("schema", "table"), CATALOGUE)
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_name_given_elsewhere_in_the_question_opens_no_catalogue_table(attack: str, schema: str, table: str) -> None:
    asked = attack.format(schema=schema, table=table)
    with connected() as connection, pytest.raises(InputError, match="there is no (table|schema)"):
        reads.tree_of(connection, asked, ["runs"])


@pytest.mark.parametrize("attack", ATTACKS)
def test_control_duckdb_answers_these_questions_with_its_catalogue(attack: str) -> None:
    with connected() as connection:
        answer = connection.execute(attack.format(schema="main", table="sqlite_master")).fetchall()
    assert "the-words-of-the-catalogue" in str(answer) or "runs" in str(answer)


BY_NAME = [
    "FROM histogram({table}, sql)",
    "FROM histogram('{table}', sql)",
    "FROM histogram_values({table}, sql)",
    "FROM histogram(col_name := sql, source := '{table}')",
    "FROM runs, histogram('sqlite_' || 'master', sql)",
]


@pytest.mark.parametrize("attack", BY_NAME)
def test_no_macro_of_duckdbs_opens_a_table_by_its_name(attack: str) -> None:
    asked = attack.format(table="sqlite_master")
    with connected() as connection:
        assert "the-words-of-the-catalogue" in str(connection.execute(asked).fetchall())  # the control
        with pytest.raises(InputError, match="the table function histogram"):
            reads.tree_of(connection, asked, ["runs"])


def test_no_function_that_may_be_asked_is_a_macro_which_may_name_tables_of_its_own() -> None:
    kinds = "SELECT DISTINCT function_type FROM duckdb_functions() WHERE database_name = 'system' AND function_name = ?"
    with connected() as connection:
        found = {
            name: {kind for (kind,) in connection.execute(kinds, [name]).fetchall()}
            for name in (*reads._TABLE_FUNCTIONS, "histogram")
        }
    assert [name for name, of in found.items() if "table_macro" in of] == ["histogram"]  # the control, refused
    assert "histogram" not in reads._TABLE_FUNCTIONS


@pytest.mark.parametrize("name", ["threads", "allowed_paths", "home_directory", "sqlite_master", "pg_catalog.pg_class"])
def test_show_tells_no_setting_and_no_table_of_the_catalogue(name: str) -> None:
    with connected() as connection:
        assert connection.execute(f"SHOW {name}").fetchall()  # the control: DuckDB does tell it
        for asked in (f"SHOW {name}", f"SELECT * FROM (SHOW {name})"):
            with pytest.raises(InputError, match="there is no"):
                reads.tree_of(connection, asked, ["runs"])


@pytest.mark.parametrize("name", ["threads", "secret_directory", "home_directory", "allowed_paths", "Threads"])
@pytest.mark.parametrize(
    "attack",
    [
        "WITH {x} AS (SELECT 1) SELECT * FROM (SHOW {x})",
        "WITH {x} AS MATERIALIZED (SELECT 1) SELECT * FROM (SHOW {x})",
        "WITH {x} AS (SELECT 1) SELECT (SELECT max(s::VARCHAR) FROM (SHOW {x}) AS s), * FROM {x}",
        "SELECT * FROM (WITH {x} AS (SELECT 1) SELECT * FROM (SELECT * FROM (SHOW {x})))",
    ],
)
def test_show_tells_no_setting_that_a_with_has_named(attack: str, name: str) -> None:
    asked = attack.format(x=name)
    with connected() as connection:
        [setting] = connection.execute("SELECT current_setting(?)", [name.lower()]).fetchall()[0]
        assert str(setting) in str(connection.execute(asked).fetchall())  # the control: DuckDB does tell it
        with pytest.raises(InputError, match=f"there is no table {name}"):
            reads.tree_of(connection, asked, ["runs"])
        for harmless in ("DESCRIBE", "SUMMARIZE"):  # these look for tables alone
            reads.tree_of(connection, asked.replace("SHOW", harmless), ["runs"])


CATALOGUES = [
    "SELECT sql FROM duckdb_views()",
    "SELECT sql FROM DuckDB_Views()",
    "SELECT view_definition FROM information_schema.views",
    'SELECT view_definition FROM system.information_schema."VIEWS"',
    "SELECT pg_get_viewdef({oid})",
    "SELECT pg_catalog.pg_get_viewdef({oid})",
    'SELECT current_query() AS "the-words-of-the-catalogue"',
    'SELECT main.current_query() AS "the-words-of-the-catalogue"',
    'SELECT pg_catalog.current_query() AS "the-words-of-the-catalogue"',
]
OTHERS = ["duckdb_tables()", "duckdb_columns()", "duckdb_functions()", "information_schema.check_constraints"]


@pytest.mark.parametrize("asked", [*CATALOGUES, *(f"SELECT * FROM {other}" for other in OTHERS)])
def test_no_function_and_no_view_tells_how_a_table_is_read(asked: str) -> None:
    with connected() as connection:
        [oid] = connection.execute("SELECT view_oid FROM duckdb_views() WHERE view_name = 'runs'").fetchall()[0]
        question = asked.format(oid=oid)
        answer = str(connection.execute(question).fetchall())
        assert asked not in CATALOGUES or "the-words-of-the-catalogue" in answer  # the control: DuckDB does tell it
        with pytest.raises(InputError, match="not allowed|there is no table"):
            reads.tree_of(connection, question, ["runs"])


def test_what_remains_of_the_catalogue_holds_no_word_of_it() -> None:
    remains = ["duckdb_keywords()", "duckdb_types()", *map("information_schema.{}".format, reads._INFORMATION)]
    remains += ["(SHOW TABLES)", "(SHOW ALL TABLES)", "(SHOW DATABASES)", "(SHOW runs)"]
    with connected() as connection:
        for what in remains:
            asked = f"SELECT * FROM {what}"
            reads.tree_of(connection, asked, ["runs"])
            assert "the-words-of-the-catalogue" not in str(connection.execute(asked).fetchall())


@pytest.mark.parametrize(
    "asked",
    [
        "WITH a AS (SELECT 1 AS x), b AS (SELECT * FROM a) SELECT * FROM b JOIN a USING (x)",
        "WITH A AS (SELECT 1) SELECT * FROM a",
        "WITH a AS (SELECT 1 AS x) SELECT (SELECT max(x) FROM a), (SELECT count(*) FROM (SELECT * FROM a)) FROM a",
        "WITH a AS (SELECT 1 AS x) (FROM a) UNION ALL (FROM a) ORDER BY (SELECT max(x) FROM a)",
        "WITH a AS (SELECT 1 AS x), b AS (WITH c AS (FROM a) FROM c) SELECT * FROM b",
        "WITH a AS MATERIALIZED (SELECT 1 AS x), b AS MATERIALIZED (SELECT * FROM a) SELECT * FROM b",
        "WITH runs AS (SELECT * FROM runs WHERE n > 0) SELECT * FROM runs",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL (WITH s AS (SELECT n + 1 FROM t WHERE n < 5) FROM s)) FROM t",
        "WITH RECURSIVE t(n) USING KEY (n) AS (SELECT 1 UNION SELECT n + 1 FROM t WHERE n < 3) SELECT * FROM t",
        "WITH a AS (SELECT 1 AS k) PIVOT a ON k IN (1) USING count(*)",
        "WITH a AS (SELECT 1 AS k) SELECT * FROM range(3) AS r(i), LATERAL (SELECT r.i + k FROM a) AS l",
        "SHOW TABLES", "SHOW ALL TABLES", "SHOW DATABASES", "SHOW runs", "DESCRIBE runs", "SUMMARIZE runs",
        "SELECT table_name FROM information_schema.tables",
    ],
)  # fmt: skip
def test_a_name_that_its_place_sees_is_answered(asked: str) -> None:
    with connected() as connection:
        reads.tree_of(connection, asked, ["runs"])
        connection.execute(asked).fetchall()


NAMES = ("runs", "secret", "x")
SHAPES = (
    "SELECT n FROM ({a}) JOIN ({b}) USING (n)",
    "SELECT (SELECT max(n) FROM ({a})) + n AS n FROM ({b})",
    "({a}) UNION ALL ({b})",
    "SELECT n FROM ({a}) WHERE n IN ({b})",
    "SELECT n FROM ({a}) ORDER BY (SELECT min(n) FROM ({b}))",
    "SELECT n FROM ({a}), LATERAL (SELECT m.n FROM ({b}) AS m(n)) AS l(k)",
)


def question(draw: random.Random, depth: int) -> str:
    """Return a SELECT of tables and common table expressions of the same few names, one within the other."""
    if depth == 0 or draw.random() < 0.2:
        return f"SELECT n FROM {draw.choice(NAMES)}"
    inner = [question(draw, depth - 1) for _ in range(6)]
    if draw.random() < 0.5:
        return draw.choice(SHAPES).format(a=inner[0], b=inner[1])
    recursive = draw.random() < 0.4
    named = []
    for name in draw.sample(NAMES, draw.randint(1, 3)):
        how = draw.choice(["", "MATERIALIZED ", "NOT MATERIALIZED "])
        two = f" UNION ALL ({inner.pop()})" if recursive and len(inner) > 2 and draw.random() < 0.5 else ""
        named.append(f"{name}(n) AS (({inner.pop()}){two})" if two else f"{name}(n) AS {how}({inner.pop()})")
        inner += [question(draw, depth - 1) for _ in range(2)]
    return f"WITH {'RECURSIVE ' * recursive}{', '.join(named)} SELECT n FROM ({inner.pop()})"


def all_names(connection: Any, asked: str) -> bool:
    """The check as it was: a name that is given anywhere is good everywhere."""
    return all(f"FROM {name}" not in asked or f"{name}(n) AS" in asked for name in NAMES[1:])


def test_what_is_let_through_asks_for_no_table_that_the_lake_has_not() -> None:
    """DuckDB is the judge: it knows the table `runs` alone, and says so of every other name that it looks up."""
    draw, found = random.Random(11), Counter[str]()
    with connected() as connection:
        for _ in range(800):
            asked = question(draw, 2)
            try:
                connection.execute(f"EXPLAIN {asked}")
                looked_up = False
            except duckdb.CatalogException:
                looked_up = True
            except duckdb.BinderException:
                continue  # a circle, which DuckDB refuses whatever we say
            try:
                reads.tree_of(connection, asked, ["runs"])
                found["let through"] += 1
                assert not looked_up, asked
            except InputError:
                found["refused"] += 1
            found["the check as it was"] += looked_up and all_names(connection, asked)
    assert found["let through"] > 50 and found["refused"] > 50
    assert found["the check as it was"] > 20  # the control: by names alone these would get through


@pytest.mark.parametrize("depth", [400, 3_000])
def test_a_question_that_is_nested_too_deeply_is_a_sentence(depth: int) -> None:
    with connected() as connection, pytest.raises(InputError, match="nested too deeply") as raised:
        reads.tree_of(connection, "SELECT * FROM (" * depth + "SELECT 1" + ")" * depth, [])
    assert "WITH" in raised.value.hint
