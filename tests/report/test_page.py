"""How the report finds its run, and what it does with a name that it does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from peak_trade.errors import InputError
from peak_trade.report import open_page


def test_a_run_is_found_by_its_id_its_start_its_path_or_as_the_last(runs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = runs["usual"]
    others = runs["idle"]
    monkeypatch.chdir(runs.root)
    for which in (path.name, path.name[:13], str(path), f"results/{path.name}", f"results/{path.name}/"):
        assert open_page(which, results=runs.results).run.run_id == path.name
    assert open_page("last", results=runs.results).run.path in {path, others, *runs.results.iterdir()}


def test_a_path_is_followed_wherever_it_leads(runs: Any, tmp_path: Path) -> None:
    assert open_page(str(runs["usual"]), results=tmp_path).run.path == runs["usual"]


def test_an_unknown_run_is_refused(runs: Any) -> None:
    with pytest.raises(InputError, match="no run 'zzz'") as caught:
        open_page("zzz", results=runs.results)
    assert caught.value.hint == "just runs lists them"


def test_an_ambiguous_run_is_refused_with_all_that_match(tmp_path: Path) -> None:
    names = ["11111111-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "11111111-bbbb-4bbb-8bbb-bbbbbbbbbbbb"]
    for name in names:
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match="2 runs") as caught:
        open_page(11111111, results=tmp_path)  # as Quarto passes a run_id that is all digits
    assert all(name in caught.value.message for name in names)


def test_a_section_that_does_not_exist_is_refused_with_the_nearest(runs: Any) -> None:
    with pytest.raises(InputError, match="no section 'equty'") as caught:
        open_page(runs["usual"], results=runs.results).section("equty")
    assert caught.value.hint == "did you mean `equity`?"


def test_the_links_at_the_top_lead_to_the_sections(runs: Any, page: Any) -> None:
    import re

    for kind in ("usual", "failed"):
        shown = page(runs[kind])
        links = re.findall(r'<a href="#([\w-]+)">', shown.html.partition("<nav")[2].partition("</nav>")[0])
        assert links == shown.sections
        assert set(re.findall(r'<a href="#([\w-]+)">', shown.html)) == set(links)
