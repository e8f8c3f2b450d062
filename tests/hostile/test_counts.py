"""What docs/dev/security.md says of the attacks is what pytest collects: how many, and how many in each `just test`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "dev" / "security.md"
ATTACKS = {  # the tests of a row of the page's table, and how often a case of each strikes
    "pages rendered": {"report/test_hostile.py::test_what_a_run_says_is_text_on_its_page": 1},
    "pages of all runs": {"report/test_hostile.py::test_what_the_ledger_says_is_text_on_the_page_of_all_runs": 1},
    "SQL": {
        "lake/test_hostile.py::test_what_is_not_the_lakes_is_refused_wherever_it_is_asked_for": 1,
        "lake/test_hostile.py::test_what_is_no_select_is_refused_however_it_is_disguised": 1,
    },
    "tamperings": {
        f"trust/test_hostile.py::test_{name}": 1
        for name in (
            "other_bytes_are_found",
            "what_stands_in_a_files_place_is_found",
            "what_is_no_file_is_found_where_nothing_is_sealed_too",
            "what_is_no_folder_is_found_where_one_may_be",
            "what_is_no_folder_is_found_where_code_lies",
            "other_bytes_of_what_a_run_carries_are_found",
            "what_stands_in_the_place_of_what_a_run_carries_is_found",
            "an_edited_line_that_a_copy_carries_is_found",
            "an_added_name_is_found",
            "an_edited_manifest_is_found",
            "an_edited_manifest_that_the_ledger_seals_is_judged_in_sentences",
            "an_edited_line_of_the_ledger_is_found",
            "a_line_of_garbage_in_the_ledger_is_found_and_hides_no_run",
            "a_run_ends_once",
        )
    },
    "values in": {"hostile/test_doors.py::test_any_value_in_any_place_is_read_or_refused_in_a_sentence": 12},
    "kills": {
        "runner/test_kill.py::test_a_run_killed_at_any_instant_is_reported_and_recovered": 1,
        "runner/test_removal.py::test_a_clean_up_killed_at_any_instant_leaves_each_run_whole_or_removed": 1,
        "lake/test_kill.py::test_a_lake_whose_writer_was_killed_at_any_instant_is_as_before_or_after": 1,
    },
    "calls": {
        "runner/test_failing_calls.py::test_each_command_says_each_error_in_a_sentence_and_harms_no_run": 3,
    },
    "inputs": {
        "hostile/test_fuzz.py::test_what_a_target_should_read_it_reads": 25,
        "hostile/test_fuzz.py::test_any_bytes_are_read_or_refused_in_a_sentence": 250,
    },
}
LEAST = {"pages rendered": 26, "SQL": 214, "tamperings": 186, "kills": 300, "calls": 77}


def collected(*words: str) -> Counter[str]:
    """Return how many cases of each test pytest finds."""
    files = sorted({f"tests/{test.partition('::')[0]}" for tests in ATTACKS.values() for test in tests})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"]
    own = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_XDIST")}  # no worker
    found = subprocess.run([*command, *words, *files], cwd=ROOT, env=own, capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-2000:]
    lines = [line for line in found.stdout.splitlines() if "::" in line]
    return Counter(line.partition("[")[0].removeprefix("tests/") for line in lines)


def struck(found: Counter[str]) -> dict[str, int]:
    return {attack: sum(found[test] * times for test, times in tests.items()) for attack, tests in ATTACKS.items()}


@pytest.mark.needs("lake")
def test_the_page_says_how_many_attacks_there_are() -> None:
    every, share = collected("-m", "hostile"), collected("-m", "hostile and not thorough")
    assert [test for tests in ATTACKS.values() for test in tests if not every[test]] == []
    rows = re.findall(r"^\| (\D[^|]*) \| ([\d,]+) \| ([\d,]+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    told = {words: (int(cases.replace(",", "")), int(drawn.replace(",", ""))) for words, cases, drawn in rows}
    there = {
        next(words for words in told if words.startswith(attack)): (count, struck(share)[attack])
        for attack, count in struck(every).items()
    }
    assert told == there
    assert {attack: count for attack, count in struck(every).items() if count < LEAST.get(attack, 0)} == {}


def test_a_page_has_as_many_payloads_and_fields_as_it_says() -> None:
    pages = loaded("report/test_hostile.py")
    (told,) = re.findall(r"page has one of (\d+) payloads in (\d+) fields", PAGE.read_text("utf-8"))
    assert tuple(map(int, told)) == (len(pages.PAYLOADS), len(pages.FIELDS))
    assert len(pages.PAYLOADS) >= 13 and pages.LEAST >= 30  # of the fields, each page shows so many


def test_the_page_names_each_target_that_can_be_fuzzed() -> None:
    names = loaded("hostile/test_fuzz.py").NAMES
    (told,) = re.findall(r"on one of (`.*?`) and `run`", PAGE.read_text("utf-8"))
    assert {*re.findall(r"`(\w+)`", told), "run"} == set(names)


def loaded(name: str) -> Any:
    spec = spec_from_file_location("counted", ROOT / "tests" / name)
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
