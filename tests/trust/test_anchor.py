"""The ledger's head is anchored in a real repository of git, and by a real authority on this machine."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from peak_trade.errors import InputError, RunError
from peak_trade.evidence.results import Results
from peak_trade.trust import anchor, verify
from peak_trade.trust.proofs import anchors, keys, tags, timestamps
from peak_trade.trust.proofs.check import Trusted

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
stamps = pytest.mark.needs("timestamp")


@pytest.fixture
def results(evidence: Any) -> Results:
    return Results(evidence.results)


def checked(results: Results, **trusted: Any) -> verify.Verdict:
    return next(iter(verify.verify_all(results, [], root=None, trusted=Trusted(**trusted))))


def written_anew(evidence: Any, *, begins: bool = False) -> None:
    """Forge the ledger: another time in its last line but one, or in its first; whole, and without what tells of it."""
    lines = [line for line in evidence.ledger() if b'"event":"anchored"' not in line]
    at = 0 if begins else len(lines) - 2
    entry = json.loads(lines[at])
    lines[at] = json.dumps(entry | {"time": "2020-01-01T00:00:00.000Z"}).encode()
    evidence.write_ledger(lines)
    evidence.rechain()


# --- git ----------------------------------------------------------------------------------------------------------


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def repository(evidence: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository around the results, with one commit that has a version's tag."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    settings = evidence.root / "gitconfig"
    settings.write_text("[user]\n\tname = Tester\n\temail = tester@desk\n", "utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    git(evidence.root, "init", "--quiet")
    git(evidence.root, "commit", "--quiet", "--allow-empty", "--message", "first")
    git(evidence.root, "tag", "--annotate", "--message", "first", "v1")
    root = evidence.root
    assert isinstance(root, Path)
    return root


def test_the_head_is_tagged_once_for_a_line(evidence: Any, results: Results, repository: Path) -> None:
    count, head = len(evidence.ledger()), results.reading().head
    done = [anchor.tag(results, results.path) for _ in range(3)]
    assert [(one.of, one.new) for one in done] == [
        (f"ledger.jsonl line {count}", True), (f"ledger.jsonl line {count}", False),
        (f"ledger.jsonl line {count}", False),
    ]  # fmt: skip
    assert [entry.event for entry in results.reading().entries[count:]] == ["anchored"]
    assert git(repository, "tag", "--list", "peak-trade/*").split() == [done[0].name]
    assert git(repository, "show", "--no-patch", done[0].name).count(head) == 2, "in the tag and in the blob"
    assert git(repository, "cat-file", "-t", f"{done[0].name}^{{}}").strip() == "blob"
    assert git(repository, "describe").strip() == "v1", "the tags of a version are left alone"
    found = checked(results, repository=repository)
    assert (found.state, found.unchecked, [proof.of for proof in found.proofs]) == (
        "intact", [], [f"ledger.jsonl line {count}"],
    )  # fmt: skip
    assert str(found.proofs[0]).startswith(f"ledger.jsonl line {count}: in git as tag {done[0].name} at 20")


def test_a_tag_says_nothing_of_what_the_ledger_says(results: Results, repository: Path) -> None:
    text = git(repository, "cat-file", "-p", anchor.tag(results, repository).name)
    words = {word for line in text.splitlines() for word in line.split()}
    assert words.isdisjoint({"sma_crossover", "TEST", *(path.name for path in results.runs())})


def test_a_history_that_was_written_anew_is_found_by_its_tag(evidence: Any, repository: Path) -> None:
    results = Results(evidence.results)
    name = anchor.tag(results, repository).name
    before = evidence.ledger()
    written_anew(evidence)
    results = Results(evidence.results)
    assert checked(results).state == "intact", "the control: the chain alone does not tell"
    [finding] = checked(results, repository=repository).findings
    assert (finding.file, finding.found) == (f"tag {name}", "none")
    evidence.write_ledger(before)
    assert checked(Results(evidence.results), repository=repository).state == "intact"


def test_tags_of_another_ledger_are_counted(evidence: Any, repository: Path) -> None:
    anchor.tag(Results(evidence.results), repository)
    written_anew(evidence, begins=True)
    found = checked(Results(evidence.results), repository=repository)
    assert (found.state, found.proofs) == ("intact", [])
    assert found.unchecked == [
        "1 tag of a ledger that begins otherwise: of another folder, or this ledger was written anew"
    ]


def test_a_tag_that_is_not_here_is_said(results: Results, repository: Path) -> None:
    name = anchor.tag(results, repository).name
    git(repository, "tag", "--delete", name)
    [said] = checked(results, repository=repository).unchecked
    assert said.endswith(f": tag {name} is not in this repository")
    assert anchor.tag(results, repository).new and checked(results, repository=repository).unchecked == []


@pytest.mark.parametrize(
    "text", ["", "line 1 of a ledger\n", "line x of a ledger\n\nsha256 0\nbegins 0\n", "\x1b[31m" * 1000]
)
def test_tags_of_others_are_none_of_ours(text: str, results: Results, repository: Path) -> None:
    blob = git(repository, "hash-object", "-w", "--", str(repository / "gitconfig")).strip()
    git(repository, "tag", *(("--annotate", "--message", text) if text else ()), "peak-trade/other", blob)
    assert tags.of(repository) == []
    anchor.tag(results, repository)
    assert len(tags.of(repository)) == 1


def test_without_a_name_git_tags_nothing_and_says_what_it_lacks(
    results: Results, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "gitconfig").write_text("[user]\n\tuseConfigOnly = true\n", "utf-8")
    with pytest.raises(tags.NoGit) as caught:
        anchor.tag(results, repository)
    assert "user.email" in caught.value.hint
    assert tags.of(repository) == [] and not any(one.event == "anchored" for one in results.reading().entries)


def test_where_there_is_no_repository_there_is_no_tag(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(results.path.parents[1]))
    with pytest.raises(tags.NoGit, match="not a git repository"):
        anchor.tag(results, results.path)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(tags.NoGit, match="git is missing"):
        anchor.tag(results, results.path)
    assert not any(entry.event == "anchored" for entry in results.reading().entries)


# --- RFC 3161 -----------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(authority: Any, tmp_path: Path) -> Any:
    """An authority, whose address is `url`."""
    return authority.Authority(tmp_path)


@pytest.fixture
def url(authority: Any, clock: Any) -> Iterator[str]:
    with authority.serving(clock) as address:
        yield address


def token(results: Results) -> Path:
    (found,) = (results.path / anchors.FOLDER).glob("*.tsr")
    return found


@stamps
def test_an_authority_vouches_for_the_head_and_is_asked_once(
    evidence: Any, results: Results, clock: Any, url: str
) -> None:
    count = len(evidence.ledger())
    done = [anchor.stamp(results, url, clock.roots) for _ in range(2)]
    assert [(one.of, one.new, Path(one.name)) for one in done] == [
        (f"ledger.jsonl line {count}", True, token(results)), (f"ledger.jsonl line {count}", False, token(results)),
    ]  # fmt: skip
    assert len(clock.asked) == 1 and len(evidence.ledger()) == count + 1
    time = clock.now.isoformat().replace("+00:00", "Z")
    for roots, said in ((clock.roots, ""), (None, " (no root certificates are named)")):
        found = checked(results, roots=roots)
        assert (found.state, [str(proof) for proof in found.proofs]) == (
            "intact", [f"ledger.jsonl line {count}: timestamped by CN=Time of the tests at {time}{said}"],
        )  # fmt: skip


@stamps
def test_the_authority_learns_the_sha256_and_nothing_else(
    evidence: Any, results: Results, authority: Any, clock: Any, url: str
) -> None:
    head = results.reading().head
    anchor.stamp(results, url, clock.roots)
    version, imprint, nonce, certificate = authority.parts(clock.asked[0])
    assert (version, imprint[-32:].hex(), certificate) == (b"\2\1\1", head, b"\1\1\xff")
    assert len(clock.asked[0]) < 90 and nonce[0] == 2


@stamps
@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not here")
def test_openssl_finds_the_same_without_our_code(
    evidence: Any, results: Results, clock: Any, url: str, tmp_path: Path
) -> None:
    anchor.stamp(results, url, clock.roots)
    line = tmp_path / "line"
    for content, code in ((evidence.ledger()[-2], 0), (evidence.ledger()[-2] + b" ", 1)):
        line.write_bytes(content)
        asked = ["openssl", "ts", "-verify", "-data", line, "-in", token(results), "-CAfile", clock.roots]
        assert subprocess.run(asked, capture_output=True, check=False).returncode == code


@stamps
def test_a_timestamp_is_good_long_after_its_certificates_are() -> None:
    """One that was made on 28 November 2026, by certificates that were good for three days more."""
    kept = Path(__file__).with_name("token")
    stamp = timestamps.read((kept / "answer.tsr").read_bytes(), kept / "roots.pem")
    assert (stamp.trusted, stamp.time[:10], stamp.sha256) == (True, "2026-11-28", "0" * 64)


@stamps
def test_a_history_that_was_written_anew_is_found_by_its_timestamp(
    evidence: Any, results: Results, clock: Any, url: str
) -> None:
    anchor.stamp(results, url, clock.roots)
    written_anew(evidence)
    [finding] = checked(Results(evidence.results), roots=clock.roots).findings
    assert (finding.file, finding.found) == (f"anchors/{token(results).name}", "none")


@stamps
def test_a_timestamp_of_another_authority_is_a_finding(
    evidence: Any, results: Results, authority: Any, clock: Any, url: str, tmp_path: Path
) -> None:
    other = authority.Authority(tmp_path, "Time of others")
    anchor.stamp(results, url, clock.roots)
    [finding] = checked(results, roots=other.roots).findings
    assert (finding.expected, finding.found) == ("a timestamp that the roots vouch for", "certificate verify error")
    both = tmp_path / "both.pem"
    both.write_bytes(other.roots.read_bytes() + clock.roots.read_bytes())
    assert checked(results, roots=both).state == "intact"


@stamps
def test_a_timestamp_that_was_changed_is_never_believed_for_another_line(
    evidence: Any, results: Results, clock: Any, url: str
) -> None:
    """Each bit of what is signed, the sha256 and the time among it, and of the signature itself."""
    anchor.stamp(results, url, clock.roots)
    content = token(results).read_bytes()
    sha256, time, _ = results.reading().entries[-2].sha256, clock.now.strftime("%Y%m%d%H%M%SZ").encode(), 0
    signed = [content.index(bytes.fromhex(sha256)), content.index(b"\x18\x0f" + time) + 2]
    places = [*range(signed[0], signed[0] + 32, 5), *range(signed[1], signed[1] + 15, 2), *range(-60, -1, 7)]
    for place in places:
        broken = bytearray(content)
        broken[place] ^= 1
        token(results).write_bytes(broken)
        found = checked(results, roots=clock.roots)
        assert found.state == "broken" and found.proofs == [], place
    token(results).write_bytes(content)
    assert len(checked(results, roots=clock.roots).proofs) == 1, "the control"


@stamps
def test_a_timestamp_that_is_taken_away_is_missed(results: Results, clock: Any, url: str) -> None:
    anchor.stamp(results, url, clock.roots)
    token(results).unlink()
    [finding] = checked(results).findings
    assert finding.expected == f"its anchor by {url} in anchors/"


def refusing(clock: Any) -> None:
    clock.granted = 2


def late(clock: Any) -> None:
    clock.now += timedelta(days=30)


ANSWERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a refusal": (refusing, "no timestamp was granted: not today"),
    "of another line": (
        lambda clock: setattr(clock, "heard", lambda imprint: imprint[:-1] + b"x"),
        "answers what it was not asked",
    ),
    "after its certificate": (late, "gives no timestamp that the roots vouch for: certificate verify error"),
    "nothing": (lambda clock: setattr(clock, "changed", lambda answer: b""), "no timestamp of RFC 3161"),
    "a page": (lambda clock: setattr(clock, "changed", lambda answer: b"<html>"), "no timestamp of RFC 3161"),
    "half of it": (lambda clock: setattr(clock, "changed", lambda answer: answer[:-9]), "no timestamp of RFC 3161"),
    "without end": (lambda clock: setattr(clock, "changed", lambda answer: bytes(1 << 21)), "it is too long"),
}


@stamps
@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_is_no_timestamp_of_the_head_is_not_kept(
    answer: str, evidence: Any, results: Results, clock: Any, url: str
) -> None:
    change, expected = ANSWERS[answer]
    change(clock)
    count = len(evidence.ledger())
    with pytest.raises(RunError, match=expected):
        anchor.stamp(results, url, clock.roots)
    assert not (results.path / anchors.FOLDER).exists() and len(evidence.ledger()) == count


@stamps
def test_an_answer_that_was_given_before_is_refused_by_its_nonce(results: Results, clock: Any, url: str) -> None:
    line = anchors.head(results).content
    first = timestamps.ask(line, url, clock.roots)
    clock.changed = lambda answer: first
    with pytest.raises(RunError, match="answers what it was not asked"):
        timestamps.ask(line, url, clock.roots)


@stamps
@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "nowhere",
        "http:///x",
        "http://[::1",
        "http://127.0.0.1/ a",
        "http://\x1b/",
    ],
)
def test_only_an_address_of_the_web_is_asked(address: str, results: Results) -> None:
    with pytest.raises(InputError, match="is no address of a timestamp authority"):
        anchor.stamp(results, address, None)


@stamps
def test_an_authority_that_does_not_answer_is_said_without_its_password(results: Results) -> None:
    with pytest.raises(RunError, match="gives no timestamp") as caught:
        anchor.stamp(results, "http://me:geheim123@127.0.0.1:9/", None)
    assert "geheim123" not in caught.value.message


@pytest.fixture
def speaker() -> Iterator[Any]:
    """Yield what starts a server that sends these bytes, whatever it is asked, and returns its address."""
    sockets: list[socket.socket] = []

    def start(content: bytes, pause: float = 0.0) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        sockets.append(server)

        def serve() -> None:
            with suppress(OSError), server.accept()[0] as connection:
                heard.append(connection.recv(65536))
                for byte in content if pause else [content]:
                    connection.sendall(bytes([byte]) if isinstance(byte, int) else byte)
                    time.sleep(pause)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):  # what is not read would be a reset at the other end
                    pass

        threading.Thread(target=serve, daemon=True).start()
        return f"http://{{}}127.0.0.1:{server.getsockname()[1]}/"

    heard: list[bytes] = []
    start.heard = heard  # type: ignore[attr-defined] # what it was asked
    yield start
    for one in sockets:
        one.close()


SPOKEN = {
    "garbage": (b"garbage\r\n\r\n", "garbage"),
    "nothing": (b"", "closed connection without response"),
    "chunks that are none": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n", "IncompleteRead"),
    "headers without end": (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500 + b"\r\n", "more than 100 headers"),
    "a line without end": (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", "more than 65536 bytes"),
    "another place": (b"HTTP/1.1 302 no\r\nLocation: file:///etc/passwd\r\n\r\n", "is not allowed"),
    "signs for a terminal": (b"HTTP/1.1 500 \x1b[31mred\r\n\r\n", r"red$"),
}


@stamps
@pytest.mark.parametrize("what", SPOKEN)
def test_a_server_that_speaks_no_http_is_one_sentence(what: str, results: Results, speaker: Any) -> None:
    content, said = SPOKEN[what]
    with pytest.raises(RunError, match=f"gives no timestamp: .*{said}") as caught:
        anchor.stamp(results, speaker(content).format(""), None)
    assert caught.value.hint == "try again, or another one" and not (results.path / anchors.FOLDER).exists()


@stamps
def test_a_server_that_never_ends_is_left(results: Results, speaker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timestamps, "_WAIT_S", 0.5)  # far longer than any of its bytes takes
    began = time.monotonic()
    with pytest.raises(RunError, match=r"no answer within 0\.5 s"):
        anchor.stamp(results, speaker(b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 1000, 0.02).format(""), None)
    assert time.monotonic() - began < 5


@stamps
def test_a_name_in_an_address_is_sent_and_not_told(results: Results, speaker: Any) -> None:
    with pytest.raises(RunError) as caught:
        anchor.stamp(results, speaker(b"garbage").format("geheim%40123@"), None)
    assert "geheim" not in caught.value.message
    (heard,) = speaker.heard
    assert b"Authorization: Basic " + base64.b64encode(b"geheim@123") + b"\r\n" in heard


@stamps
def test_roots_that_are_none_are_refused(results: Results, clock: Any, url: str, tmp_path: Path) -> None:
    anchor.stamp(results, url, clock.roots)
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate", "utf-8")
    with pytest.raises(InputError, match="holds no root certificates"):
        checked(results, roots=wrong)
    with pytest.raises(InputError, match="there is no file of root certificates"):
        timestamps.roots_file("/nowhere")


def test_without_the_extra_nothing_is_asked_and_what_is_there_is_not_checked(
    evidence: Any, results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)  # type: ignore[arg-type] # as where it is not installed
    with pytest.raises(keys.Absent, match="timestamps need the extra timestamp"):
        anchor.stamp(results, "http://127.0.0.1:9/", None)
    (results.path / "anchors").mkdir()
    (results.path / "anchors" / "000001-aa.tsr").write_bytes(b"any")
    found = checked(results)
    assert (found.state, len(found.unchecked)) == ("intact", 1)
    assert found.unchecked[0].startswith("anchors/000001-aa.tsr: timestamps need the extra timestamp")
    assert found.unchecked[0].endswith("; just setup timestamp")


# --- what lies among the anchors ----------------------------------------------------------------------------------


def test_what_is_no_anchor_is_said_and_what_is_no_file_is_a_finding(results: Results, tmp_path: Path) -> None:
    folder = results.path / "anchors"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine", "utf-8")
    (folder / "0-link.dsse.json").symlink_to(tmp_path / "nowhere")
    os.mkfifo(folder / "0-pipe.tsr")
    (folder / "0-wrong.dsse.json").write_text('{"payload": "", "payloadType": "x", "signatures": [{"sig": ""}]}')
    (folder / "0-folder.dsse.json").mkdir()
    found = checked(results)
    assert found.unchecked == ["anchors/notes.txt: no anchor by its name"]
    assert sorted(str(one) for one in found.findings) == [
        "anchors/0-folder.dsse.json: expected a file that can be read, found a folder in place of a file",
        "anchors/0-link.dsse.json: expected a file that can be read, found a symbolic link in place of a file",
        "anchors/0-pipe.tsr: expected a file that can be read, found a named pipe in place of a file",
        "anchors/0-wrong.dsse.json: expected an anchor, found an envelope of x",
    ]
    shutil.rmtree(folder)
    folder.symlink_to(tmp_path)
    assert [one.found for one in checked(results).findings] == ["a symbolic link in place of a folder"]


def test_of_many_anchors_the_newest_are_looked_at(results: Results) -> None:
    (results.path / "anchors").mkdir()
    for number in range(300):
        (results.path / "anchors" / f"{number:06}-a.dsse.json").write_text("none", "utf-8")
    found = checked(results)
    assert found.unchecked == ["anchors: the newest 200 of 300 anchors are looked at"] and found.count == 200
    assert found.findings[0].file == "anchors/000299-a.dsse.json"


# --- the script ---------------------------------------------------------------------------------------------------


def call(*words: object, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / "anchor_ledger.py"), *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, env=os.environ | env, stdin=subprocess.DEVNULL, check=False
    )


@stamps
def test_the_script_prints_the_tag_and_the_token(results: Results, repository: Path, clock: Any, url: str) -> None:
    where = ("--results-dir", results.path)
    done = call(*where, "--tsa", url, "--tsa-roots", clock.roots)
    again = call(*where, "--json", PEAK_TSA=url, PEAK_TSA_ROOTS=str(clock.roots))
    assert (done.returncode, done.stdout.splitlines()) == (0, [tags.of(repository)[0].name, str(token(results))])
    assert [one["new"] for one in json.loads(again.stdout)] == [False, False]
    failed = call(*where, "--tsa", "http://127.0.0.1:9/", "--no-tag")
    assert failed.returncode == 0, "it has that anchor"
    results.ledger.append("start", "11111111-1111-4111-8111-111111111111")
    failed = call(*where, "--tsa", "http://127.0.0.1:9/")
    assert failed.returncode == 1 and failed.stdout.startswith("peak-trade/"), "the tag is made, and said"
    assert failed.stderr.splitlines()[1].startswith("error: http://127.0.0.1:9/ gives no timestamp: ")


def test_what_is_named_must_be_there_and_something_must_be_asked_for(results: Results) -> None:
    where = ("--results-dir", results.path)
    nowhere, nothing = call(*where, "--repository", "/nowhere"), call(*where, "--no-tag")
    assert (nowhere.returncode, nowhere.stderr.splitlines()[0]) == (2, "error: there is no folder /nowhere")
    assert nothing.returncode == 2 and "with --no-tag nothing is left to do" in nothing.stderr


def test_without_git_it_is_skipped_and_said(results: Results) -> None:
    where = ("--results-dir", results.path)
    env = {"GIT_CEILING_DIRECTORIES": str(results.path.parents[1])}
    skipped, strict = call(*where, **env), call(*where, **env, PEAK_STRICT="1")
    assert (skipped.returncode, skipped.stdout, strict.returncode) == (0, "", 1)
    assert skipped.stderr.startswith("warn: no tag: git for-each-ref: fatal: not a git repository")
