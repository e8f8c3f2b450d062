"""`just audit` finds what is planted, lets pass what is clean, and says when it could not look."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

# Put together here, so that this file holds none.
PLANTED = {
    "aws.ini": ("AWS Access Key", "aws_access_key_id = AKIA" + "Q3EGPIMFC7ZT2WYX"),
    "deploy.pem": ("Private Key", "-----BEGIN RSA " + "PRIVATE KEY-----"),
    "github.py": ("GitHub Token", "TOKEN = 'ghp_" + "k3Jx8Qm2Zt7Vb5Nc9Rw4Ly6Hd1Fg0Sp2Ae8U'"),
    "slack.yaml": ("Slack Token", "hook: xoxb-" + "263594206564-2343594206574-Fgqddmhgrabcdefghijklmno"),
    "jwt.txt": (
        "JSON Web Token",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + "eyJzdWIiOiJwZWFrIn0.c2lnbmF0dXJlLW9mLXBlYWs",
    ),
    "config.toml": ("Secret Keyword", 'api_key = "h7Fq2' + 'kLw9Zr4"'),
    "store.env": ("Basic Auth Credentials", "STORE=postgresql://peak:h7Fq2" + "kLw9@db.example/runs"),
}
CLEAN = 'digest = "sha256:7b3f1a9c0d2e4f5a6b7c8d9e0f1a2b3c"\nrun_id = "0b7f9a52-3c1d-4e8f-9a6b-1c2d3e4f5a6b"\n'
CLEAN += 'api_key = "${PEAK_API_KEY}"\npassword = environment["PASSWORD"]\ntoken = "{token}"\n'


@pytest.fixture
def checkout(tmp_path: Path, run: Any) -> Path:
    """A repository that tracks nothing secret."""
    (tmp_path / "scripts" / "ci").mkdir(parents=True)
    (tmp_path / "clean.toml").write_text(CLEAN, "utf-8")
    run("git", "init", "--quiet", cwd=tmp_path)
    run("git", "add", ".", cwd=tmp_path)
    return tmp_path


def plant(checkout: Path, run: Any, *names: str) -> None:
    for name in names:
        (checkout / name).write_text(PLANTED[name][1] + "\n", "utf-8")
    run("git", "add", ".", cwd=checkout)


def test_secrets_of_every_kind_are_found_by_file_line_and_kind(checkout: Path, run: Any) -> None:
    plant(checkout, run, *PLANTED)
    looked = run("python", "scripts/ci/audit_secrets.py", "--root", str(checkout))
    *found, error, _ = looked.stderr.splitlines()
    assert set(found) >= {f"{name}:1: {kind}" for name, (kind, _) in PLANTED.items()}
    assert [line for line in found if line.startswith("clean.toml")] == []
    assert error == "error: tracked files hold what looks like secrets"
    assert looked.returncode == 1
    assert not any(secret in looked.stderr for _, secret in PLANTED.values())


def test_what_is_accepted_passes_and_the_next_one_does_not(checkout: Path, run: Any) -> None:
    plant(checkout, run, "aws.ini")
    assert run("python", "scripts/ci/audit_secrets.py", "--root", str(checkout), "--accept").returncode == 0
    assert run("python", "scripts/ci/audit_secrets.py", "--root", str(checkout)).returncode == 0
    plant(checkout, run, "github.py")
    assert "github.py:1: GitHub Token" in run("python", "scripts/ci/audit_secrets.py", "--root", str(checkout)).stderr


def test_this_tree_holds_no_secret(run: Any) -> None:
    looked = run("python", "scripts/ci/audit_secrets.py")
    assert (looked.returncode, looked.stderr) == (0, "ok secrets: none in the tracked files\n")


# --- pins ---------------------------------------------------------------------------------------------------------

VULNERABLE = {("leaky", "1.0"): ["GHSA-aaaa-bbbb-cccc", "PYSEC-2026-1"]}


@pytest.fixture
def database() -> Iterator[tuple[str, list[Any]]]:
    """A database of vulnerabilities that answers as OSV's documentation says, and what it was asked."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            asked.extend(queries)
            found = [VULNERABLE.get((query["package"]["name"], query["version"])) for query in queries]
            results = [
                {"vulns": [{"id": id_, "modified": "2026-01-01T00:00:00Z"} for id_ in ids]} if ids else {}
                for ids in found
            ]
            self.send_response(200 if self.path == "/v1/querybatch" else 404)
            self.end_headers()
            self.wfile.write(json.dumps({"results": results}).encode())

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


@pytest.fixture
def pinned(tmp_path: Path) -> Path:
    (tmp_path / "constraints.txt").write_text(
        "# by hand\nleaky==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:00\ntight[extra]==2.5.post1\n",
        "utf-8",
    )
    (tmp_path / "pyproject.toml").write_text("[tool]\n", "utf-8")
    return tmp_path


def test_a_pin_with_a_known_vulnerability_is_named(pinned: Path, database: tuple[str, list[Any]], run: Any) -> None:
    url, asked = database
    audited = run("python", "scripts/ci/audit_pins.py", "--root", str(pinned), "--service", url)
    assert audited.returncode == 1
    assert audited.stderr == (
        "leaky 1.0: https://osv.dev/vulnerability/GHSA-aaaa-bbbb-cccc\n"
        "leaky 1.0: https://osv.dev/vulnerability/PYSEC-2026-1\n"
        "error: pins have known vulnerabilities\nhint: just update-pins --upgrade\n"
    )
    assert asked == [
        {"package": {"name": "leaky", "ecosystem": "PyPI"}, "version": "1.0"},
        {"package": {"name": "tight", "ecosystem": "PyPI"}, "version": "2.5.post1"},
    ]


def test_what_is_accepted_with_a_reason_passes(pinned: Path, database: tuple[str, list[Any]], run: Any) -> None:
    (pinned / "pyproject.toml").write_text(
        '[tool.peak_trade.audit]\nGHSA-aaaa-bbbb-cccc = "we never call it"\nPYSEC-2026-1 = "the same"\n', "utf-8"
    )
    audited = run("python", "scripts/ci/audit_pins.py", "--root", str(pinned), "--service", database[0])
    assert (audited.returncode, audited.stderr) == (0, "ok pins: 2 without a known vulnerability\n")


def test_a_database_out_of_reach_is_a_warning_and_an_error_where_nothing_may_be_skipped(pinned: Path, run: Any) -> None:
    command = ("python", "scripts/ci/audit_pins.py", "--root", str(pinned), "--service", "http://127.0.0.1:1")
    skipped, strict = run(*command, PEAK_STRICT=""), run(*command, PEAK_STRICT="1")
    assert skipped.stderr.startswith("warn: the pins were not audited: ")
    assert skipped.returncode == 0
    assert strict.stderr.startswith("error: the pins were not audited: ")
    assert strict.returncode == 1


def test_an_answer_that_is_none_is_a_warning(pinned: Path, database: tuple[str, list[Any]], run: Any) -> None:
    audited = run(
        "python", "scripts/ci/audit_pins.py", "--root", str(pinned), "--service", f"{database[0]}/wrong", PEAK_STRICT=""
    )
    assert audited.stderr.startswith("warn: the pins were not audited: ")
    assert audited.returncode == 0


def test_every_pin_of_this_project_is_asked_for(root: Path, database: tuple[str, list[Any]], run: Any) -> None:
    url, asked = database
    assert run("python", "scripts/ci/audit_pins.py", "--service", url).returncode == 0
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert len(asked) == sum(line[:1].isalnum() for line in lines) > 100


# --- workflows, and all three ------------------------------------------------------------------------------------


def test_a_workflow_that_runs_what_a_stranger_writes_is_found(tmp_path: Path, run: Any) -> None:
    workflow = tmp_path / ".github" / "workflows" / "weak.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text(
        "on: issues\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n"
        "      - run: echo ${{ github.event.issue.title }}\n",
        "utf-8",
    )
    looked = run("zizmor", "--offline", "--no-progress", "--quiet", str(tmp_path / ".github"))
    assert "template-injection" in looked.stdout
    assert looked.returncode != 0


@pytest.mark.parametrize("failing", ["audit_pins.py", "audit_secrets.py", ".github"])
def test_all_three_are_looked_at_and_any_of_them_fails_the_audit(
    failing: str, root: Path, tmp_path: Path, run: Any
) -> None:
    for tool in ("python", "zizmor"):
        (tmp_path / tool).write_text(f'#!/bin/sh\ncase "$*" in *{failing}) exit 1 ;; esac\n', "utf-8")
        (tmp_path / tool).chmod(0o755)
    audited = run(str(root / "scripts/ci/audit.sh"), PATH=f"{tmp_path}:/usr/bin:/bin")
    assert [line for line in audited.stderr.splitlines() if line.startswith("$")] == [
        "$ python scripts/ci/audit_pins.py",
        "$ python scripts/ci/audit_secrets.py",
        "$ zizmor --offline --no-progress --quiet .github",
    ]
    assert audited.returncode == 1
    assert failing in audited.stderr.splitlines()[-2]
    assert ("ok workflows: no weak spot in .github" in audited.stderr) == (failing != ".github")
