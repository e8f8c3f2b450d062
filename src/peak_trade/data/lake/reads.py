"""The second wall: DuckDB's own parser must find one SELECT that only reads, and only what the lake has."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from peak_trade.data.lake.views import QUESTIONS
from peak_trade.errors import InputError, did_you_mean

__all__ = ["LONGEST", "symbols", "the_select", "tree_of"]

_QUERY_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
LONGEST = 1_000_000  # bytes of a question
# Table functions that work things out from what they are given, and two that list what DuckDB always has. All others
# read files, settings, state or the catalogue, which holds the absolute paths of the lake's files, or change something;
# or are macros, as `histogram` is, whose tables have their names in no node of the tree.
_TABLE_FUNCTIONS = frozenset(
    {
        "generate_series", "json_each", "json_tree", "range", "repeat", "repeat_row", "summary", "unnest",
        "duckdb_keywords", "duckdb_types",
    }
)  # fmt: skip
_REFUSED_FUNCTION = re.compile(
    r"getenv|current_setting|write_log|nextval|currval|setval|setseed|.*sleep.*|read_.*|.*_scan|glob|query|query_table"
    r"|json_execute_.*|pragma_.*|which_secret|.*_external_resource.*|copy_.*|__internal_.*"
    r"|current_query|getvariable|get_block_size|pg_get_viewdef|pg_get_constraintdef"  # the first tells the output
)
# What SHOW can list, as the tree has it: "tables", "databases" …
_SHOWN = frozenset({"", "__show_tables_expanded", '"databases"', '"schemas"', '"tables"', '"variables"'})
_SEES_ITS_OWN = {"RECURSIVE_CTE_NODE": "right", "CTE_NODE": "child"}  # the latter before DuckDB 1.4, for MATERIALIZED
_SCHEMAS = frozenset({"information_schema", "main", "memory"})
_INFORMATION = frozenset(
    {"columns", "schemata", "tables"}
)  # names alone: its `views` have the paths of the lake's files


def the_select(duckdb: Any, text: str) -> str:
    """Return a text that is one SELECT, without its semicolon; InputError for all else, DuckDB's own for no SQL."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InputError("the question is not UTF-8") from None
    if size > LONGEST:
        raise InputError(f"the question is longer than {LONGEST:,} bytes", hint="ask for less at a time")
    statements = duckdb.extract_statements(text)
    if not statements:
        raise InputError("there is no SQL", hint='just lake-query "SELECT * FROM runs LIMIT 10"')
    if len(statements) > 1 or statements[0].type.name == "MULTI":
        raise InputError("only one statement at a time can be asked", hint="a PIVOT needs its IN list here")
    kind = statements[0].type.name
    if kind != "SELECT":
        hint = "--explain shows the plan of a SELECT" if kind == "EXPLAIN" else "the lake is read with SELECT"
        raise InputError(f"{kind} is not allowed: only what reads is", hint=hint)
    return str(statements[0].query).strip().rstrip(";").rstrip()


def tree_of(duckdb: Any, asked: str, tables: Collection[str]) -> list[dict[str, Any]]:
    """Return every node of a SELECT's tree; InputError where one writes, or asks for what is not of the lake."""
    try:
        tree = json.loads(duckdb.execute("SELECT json_serialize_sql(?::VARCHAR)", [asked]).fetchall()[0][0])
    except RecursionError:
        raise InputError("this SELECT is nested too deeply to be checked", hint="name its parts by WITH") from None
    if tree.get("error") or len(tree["statements"]) != 1:
        raise InputError(f"this SELECT can't be checked: {tree.get('error_message', 'it is more than one')}")
    found = []
    macros = {name for name, question in QUESTIONS.items() if question.arguments}
    for node, ctes in _scoped(tree):
        found.append(node)
        kind = str(node.get("type", ""))
        if kind.endswith("_NODE") and kind not in _QUERY_NODES:
            raise InputError(f"{kind.split('_')[0]} is not allowed: only what reads is")
        if kind == "TABLE_FUNCTION":
            name = str(node["function"]["function_name"]).lower()
            if name not in _TABLE_FUNCTIONS | macros:
                raise InputError(
                    f"the table function {name} is not allowed", hint=did_you_mean(name, {*tables, *macros})
                )
        elif "function_name" in node and _REFUSED_FUNCTION.fullmatch(str(node["function_name"]).lower()):
            raise InputError(f"the function {node['function_name']} is not allowed: only what reads the lake is")
        elif kind == "BASE_TABLE" or (kind == "SHOW_REF" and node.get("table_name", "") not in _SHOWN):
            _check_table(node, () if _may_be_a_setting(node) else ctes, tables)
    return found


def _may_be_a_setting(node: Mapping[str, Any]) -> bool:
    """SHOW looks a name up among the settings before it looks among common table expressions."""
    return node.get("type") == "SHOW_REF" and node.get("show_type") not in ("DESCRIBE", "SUMMARY")


def _check_table(node: Mapping[str, Any], ctes: Collection[str], tables: Collection[str]) -> None:
    name = str(node["table_name"])
    if above := str(node.get("schema_name") or ""):
        ctes = ()  # a name with its schema before it is never that of a common table expression
        if above.lower() not in _SCHEMAS:
            raise InputError(f"there is no schema {above} in the lake", hint=did_you_mean(above, _SCHEMAS))
        if above.lower() == "information_schema":
            if name.lower() in _INFORMATION:
                return
            known = ", ".join(sorted(_INFORMATION))
            raise InputError(f"there is no table {name} in information_schema, which has {known}")
    if name.lower() not in {*ctes, *tables}:
        raise InputError(
            f"there is no table {name} in the lake, which has {', '.join(tables)}", hint=did_you_mean(name, tables)
        )


def symbols(tree: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return the tables that a SELECT names, and the symbols that it holds `symbol` against with = or IN."""
    tables = [str(node["table_name"]).lower() for node in tree if node.get("type") == "BASE_TABLE"]
    wanted: list[str] = []
    for node in tree:
        if node.get("type") in ("COMPARE_EQUAL", "COMPARE_IN"):
            sides = [node.get("left"), node.get("right"), *node.get("children", [])]
            if any(_is_symbol(side) for side in sides):
                wanted += [value for side in sides if isinstance(value := _constant(side), str)]
    return list(dict.fromkeys(tables)), list(dict.fromkeys(wanted))


def _is_symbol(side: Any) -> bool:
    return isinstance(side, dict) and [str(name).lower() for name in side.get("column_names", [])[-1:]] == ["symbol"]


def _constant(side: Any) -> Any:
    if not isinstance(side, dict) or side.get("type") != "VALUE_CONSTANT":
        return None
    return side["literal"].get("text") if "literal" in side else side.get("value", {}).get("value")  # before DuckDB 2


def _scoped(tree: Any) -> Iterator[tuple[dict[str, Any], frozenset[str]]]:
    """Yield every object of a JSON tree, with the names of the common table expressions that it sees."""
    rest: list[tuple[Any, frozenset[str]]] = [(tree, frozenset())]
    while rest:
        node, seen = rest.pop()
        if isinstance(node, dict):
            yield node, seen
            rest += _within(node, seen)
        elif isinstance(node, list):
            rest += ((part, seen) for part in node)


def _within(node: dict[str, Any], seen: frozenset[str]) -> Iterator[tuple[Any, frozenset[str]]]:
    """Yield what is in a node, each with what it sees: an expression is seen by those after it and by its query.

    It does not see itself: that name is a table, where there is one. The second part of a recursive one does.
    """
    named = node.get("cte_map")
    for entry in named.get("map", []) if isinstance(named, dict) else []:
        yield entry.get("value"), seen
        seen |= {str(entry.get("key")).lower()}
    inner = _SEES_ITS_OWN.get(str(node.get("type", "")))
    for key, part in node.items():
        if key == inner:
            yield part, seen | {str(node.get("cte_name")).lower()}
        elif key != "cte_map":
            yield part, seen
