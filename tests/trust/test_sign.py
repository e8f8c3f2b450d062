"""Runs and the ledger's head are signed by real keys of OpenSSH, and what is not as it was signed is found."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peak_trade.errors import InputError, RunError
from peak_trade.evidence.results import Results
from peak_trade.ops import removal, retention
from peak_trade.report import head, origin
from peak_trade.report.run import RunFiles
from peak_trade.shown import listing
from peak_trade.trust import handover, sign, verify
from peak_trade.trust.given import verdicts as given_verdicts
from peak_trade.trust.handed import Handed, handed, package
from peak_trade.trust.proofs import check, dsse, keys, told
from peak_trade.trust.proofs.check import Trusted

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
ENVELOPE = "manifest.dsse.json"


@pytest.fixture
def path(evidence: Any) -> Path:
    """The directory of a run, with its results folder around it."""
    found = evidence.path("own")
    assert isinstance(found, Path)
    return found


def signed(path: Path, *by: Path) -> list[sign.Signed]:
    return [sign.run(Handed(path, Results(path.parent)), key) for key in by]


def judged(path: Path, allowed: Path | None = None, **more: Any) -> verify.Verdict:
    return verify.verify(path, trusted=Trusted(allowed, **more))


def events(path: Path) -> list[str]:
    history = Results(path.parent).reading().of(path.name)
    return [entry.event for entry in history.entries]


def edit(path: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(path.read_bytes())
    change(content)
    path.write_text(json.dumps(content), "utf-8")


# --- a run --------------------------------------------------------------------------------------------------------


def test_a_signature_names_its_maker_where_the_key_is_allowed(path: Path, ssh_keys: Any) -> None:
    [done] = signed(path, ssh_keys.alice)
    told = subprocess.run(["ssh-keygen", "-lf", f"{ssh_keys.alice}.pub"], capture_output=True, text=True, check=True)
    assert (done.of, done.file, done.key, done.new) == (path.name, str(path / ENVELOPE), told.stdout.split()[1], True)
    known, stranger, unknown = judged(path, ssh_keys.alone), judged(path, ssh_keys.folder / "bob.pub"), judged(path)
    assert {verdict.state for verdict in (known, stranger, unknown)} == {"intact"}
    assert [str(verdict.proofs[0]) for verdict in (known, stranger, unknown)] == [
        f"manifest.json: signed by alice@desk ({done.key})",
        f"manifest.json: signed by {done.key}, none of the allowed signers",
        f"manifest.json: signed by {done.key} (no allowed signers are named)",
    ]
    assert known.as_text().splitlines()[1] == f"  manifest.json: signed by alice@desk ({done.key})"
    assert known.to_json_object()["proofs"] == [
        {
            "of": "manifest.json",
            "what": "signed by",
            "by": "alice@desk",
            "key": done.key,
            "trusted": True,
            "before": None,
        }
    ]


def test_the_envelope_is_checked_without_our_code(path: Path, ssh_keys: Any, tmp_path: Path) -> None:
    """As the page of signing has it: DSSE's encoding by hand, the signature with OpenSSH's own lines around it."""
    signed(path, ssh_keys.alice)
    envelope = json.loads((path / ENVELOPE).read_bytes())
    payload = (path / "manifest.json").read_bytes()
    assert b64decode(envelope["payload"]) == payload
    message = b"DSSEv1 28 application/vnd.in-toto+json %d " % len(payload) + payload
    lines = "".join(f"{envelope['signatures'][0]['sig'][at : at + 70]}\n" for at in range(0, 1000, 70)).strip()
    signature = tmp_path / "signature"
    signature.write_text(f"-----BEGIN SSH SIGNATURE-----\n{lines}\n-----END SSH SIGNATURE-----\n", "utf-8")
    asked = ["-f", ssh_keys.alone, "-I", "alice@desk", "-n", "peak-trade", "-s", signature]
    checked = [
        subprocess.run(["ssh-keygen", "-Y", "verify", *asked], input=one, capture_output=True, check=False).returncode
        for one in (message, message + b" ")
    ]
    assert checked == [0, 255]


def test_who_has_signed_signs_no_second_time_and_others_add_theirs(path: Path, ssh_keys: Any) -> None:
    before = events(path)
    done = signed(path, ssh_keys.alice, ssh_keys.alice, ssh_keys.bob, ssh_keys.alice)
    assert [one.new for one in done] == [True, False, True, False]
    assert events(path) == [*before, "signed", "signed"]
    found = judged(path, ssh_keys.alone)
    assert [(proof.trusted, proof.key) for proof in found.proofs] == [(True, done[0].key), (False, done[2].key)]
    assert (
        found.state == "intact"
        and verify.check_ledger(Results(path.parent), Results(path.parent).reading(), every=True).findings == []
    )


def test_a_signature_whose_line_was_not_written_gets_it_the_next_time(
    path: Path, ssh_keys: Any, tmp_path: Path
) -> None:
    before = (path.parent / "ledger.jsonl").read_bytes()
    signed(path, ssh_keys.alice)
    (path.parent / "ledger.jsonl").write_bytes(before)
    assert [one.new for one in signed(path, ssh_keys.alice)] == [False]
    assert events(path)[-1] == "signed" and judged(path).state == "intact"


def test_a_signature_that_was_taken_away_is_missed_and_can_be_made_again(path: Path, ssh_keys: Any) -> None:
    [done] = signed(path, ssh_keys.alice)
    (path / ENVELOPE).unlink()
    [finding] = judged(path).findings
    line = len((path.parent / "ledger.jsonl").read_bytes().splitlines())
    assert str(finding) == (
        f"{ENVELOPE}: expected a signature by {done.key}, as the ledger's line {line} has it, found none"
    )
    signed(path, ssh_keys.bob)
    assert judged(path).count == 1, "the control: another's is no substitute"
    signed(path, ssh_keys.alice)
    assert judged(path).state == "intact"


def test_a_run_that_nobody_allowed_has_signed_is_broken_where_that_is_asked_for(path: Path, ssh_keys: Any) -> None:
    expected = f"{ENVELOPE}: expected a signature by one of the allowed signers, found none"
    assert [str(one) for one in judged(path, ssh_keys.alone, signed=True).findings] == [expected]
    signed(path, ssh_keys.bob)
    assert [str(one) for one in judged(path, ssh_keys.alone, signed=True).findings] == [expected]
    signed(path, ssh_keys.alice)
    assert judged(path, ssh_keys.alone, signed=True).state == "intact"


def test_a_copy_that_was_handed_over_is_signed_where_it_lies(evidence: Any, path: Path, ssh_keys: Any) -> None:
    """By its reviewer, say: no ledger of theirs tells of it, and ours does not miss it in the copy."""
    results = Results(path.parent)
    copied = Path(shutil.copytree(path, evidence.root / "elsewhere" / path.name))
    signed(path, ssh_keys.alice)
    lines = len(evidence.ledger())
    with handed(str(copied), results) as given:
        assert sign.run(given, ssh_keys.bob).file == str(copied / ENVELOPE)
    assert len(evidence.ledger()) == lines
    [one] = given_verdicts([str(copied)], results, root=None, trusted=Trusted(ssh_keys.alone))
    assert (one.findings, [proof.trusted for proof in one.proofs]) == ([], [False])
    alone = verify.verify(copied, trusted=Trusted(ssh_keys.alone, signed=True))
    assert [finding.expected for finding in alone.findings] == ["a signature by one of the allowed signers"]


def test_a_signature_goes_along_in_an_archive_and_into_another_ledger(
    evidence: Any, path: Path, ssh_keys: Any, tmp_path: Path
) -> None:
    results, other = Results(path.parent), Results(tmp_path / "other")
    signed(path, ssh_keys.alice)
    with package(path.name, results) as found:
        archive = handover.export(found.runs, results, tmp_path / "runs.zip").archive
    trusted = Trusted(ssh_keys.alone, signed=True)
    packed, copied = given_verdicts([str(archive)], other, root=None, trusted=trusted)
    handover.receive(str(archive), other)
    taken = verify.verify(other.path / path.name, trusted=trusted)
    assert (packed.findings, copied.findings, taken.findings) == ([], [], [])
    assert [[proof.by for proof in one.proofs] for one in (copied, taken)] == [["alice@desk"], ["alice@desk"]]
    assert sign.run(Handed(other.path / path.name, other), ssh_keys.bob).new
    assert [entry.event for entry in other.reading().entries] == ["received", "signed"]
    with handed(str(archive), other) as given, pytest.raises(InputError, match="is an archive, which is not signed"):
        sign.run(given, ssh_keys.bob)


def test_what_is_broken_is_not_signed(evidence: Any, path: Path, ssh_keys: Any) -> None:
    evidence.edit_json("own", "stats.json", lambda stats: stats.update(sharpe=9.0))
    with pytest.raises(RunError, match=f"run {path.name} is broken: stats.json: expected sha256"):
        signed(path, ssh_keys.alice)
    assert not (path / ENVELOPE).exists() and "signed" not in events(path)


def test_an_envelope_of_something_else_is_left_as_it_is(evidence: Any, path: Path, ssh_keys: Any) -> None:
    other = evidence.path("builtin")
    signed(other, ssh_keys.alice)
    shutil.copy(other / ENVELOPE, path)
    assert [str(one) for one in judged(path).findings] == [
        f"{ENVELOPE}: expected signatures of this run's manifest.json, found another manifest, or none"
    ]
    with pytest.raises(RunError, match="is there, and of something else"):
        signed(path, ssh_keys.bob)
    assert (path / ENVELOPE).read_bytes() == (other / ENVELOPE).read_bytes()


def test_a_signature_of_ones_own_that_is_wrong_is_made_anew(path: Path, ssh_keys: Any) -> None:
    signed(path, ssh_keys.alice, ssh_keys.bob)
    edit(path / ENVELOPE, flipped)
    assert judged(path).state == "broken"
    assert [one.new for one in signed(path, ssh_keys.alice, ssh_keys.bob)] == [True, False]
    assert judged(path).state == "intact" and len(judged(path).proofs) == 2


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_keys_of_other_kinds_sign_too(kind: str, path: Path, authority: Any, tmp_path: Path) -> None:
    signed(path, authority.ssh_key(tmp_path / "keys", "carol", kind))
    assert judged(path).state == "intact" and len(judged(path).proofs) == 1


def test_a_failed_run_is_signed_too(evidence: Any, ssh_keys: Any) -> None:
    signed(evidence.path("failed"), ssh_keys.alice)
    assert [proof.trusted for proof in judged(evidence.path("failed"), ssh_keys.alone).proofs] == [True]


def test_show_and_report_say_who_signed_and_by_what_the_ledger_is_anchored(
    evidence: Any, path: Path, ssh_keys: Any
) -> None:
    results = Results(path.parent)
    page = head.head(RunFiles(path), "now")
    assert "Signed" not in page and told.signed(path) == [] and told.anchored(results, path.name) == ""
    (made,) = signed(path, ssh_keys.alice)
    sign.head(results, ssh_keys.alice)
    assert told.signed(path) == [made.key]
    assert told.anchored(results, path.name).startswith(f"{made.key} on 2")
    assert " Signed and its ledger anchored." in head.head(RunFiles(path), "now")
    listed = origin.provenance(RunFiles(path))
    assert f"by {made.key}<" in listed and f"by {told.anchored(results, path.name)}, with the ledger" in listed


def test_a_signed_run_is_listed_and_removed_as_any_other(evidence: Any, path: Path, ssh_keys: Any) -> None:
    results = Results(path.parent)
    before = {row.run_id: (row.status, row.sharpe) for row in listing.rows(results)}
    signed(path, ssh_keys.alice)
    assert {row.run_id: (row.status, row.sharpe) for row in listing.rows(results)} == before
    removal.apply(results, retention.Policy(keep=0, days=0))
    assert results.runs() == [] and results.reading().of(path.name).state == "removed"
    assert verdict_on_ledger(results).state == "intact"


# --- what a forger does to an envelope ------------------------------------------------------------------------------


def other_payload(envelope: Any) -> None:
    envelope["payload"] = b64encode(b64decode(envelope["payload"]).replace(b"sealed", b"signed")).decode()


def other_type(envelope: Any) -> None:
    envelope["payloadType"] = "application/vnd.peak-trade.ledger-line+json"


def flipped(envelope: Any) -> None:
    content = bytearray(b64decode(envelope["signatures"][0]["sig"]))
    content[-3] ^= 1
    envelope["signatures"][0]["sig"] = b64encode(content).decode()


def other_key(envelope: Any) -> None:
    content = bytearray(b64decode(envelope["signatures"][0]["sig"]))
    content[40] ^= 1  # within the public key
    envelope["signatures"][0]["sig"] = b64encode(content).decode()


FORGED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "another payload": (other_payload, "another manifest, or none"),
    "another type": (other_type, "another manifest, or none"),
    "a flipped bit": (flipped, "Signature verification failed: incorrect signature"),
    "another key": (other_key, "a signature by SHA256:"),
    "no signature": (lambda one: one.update(signatures=[]), "has 0 signatures, not 1 to 32"),
    "33 signatures": (lambda one: one.update(signatures=one["signatures"] * 33), "has 33 signatures, not 1 to 32"),
    "no base64": (lambda one: one["signatures"][0].update(sig="!"), "holds a text that is no base64"),
    "not ours": (lambda one: one["signatures"][0].update(sig="AAAA"), "no signature by OpenSSH"),
    "cut off": (lambda one: one["signatures"][0].update(sig=one["signatures"][0]["sig"][:24]), "that is cut off"),
    "a key without end": (
        lambda one: one["signatures"][0].update(sig=b64encode(b"SSHSIG\0\0\0\1\xff\xff\xff\xffabc").decode()),
        "that is cut off",
    ),
    "a number for a text": (lambda one: one.update(payload=7), "is no DSSE envelope"),
}


@pytest.mark.parametrize("forged", FORGED)
def test_an_envelope_that_was_changed_is_a_finding(forged: str, path: Path, ssh_keys: Any) -> None:
    signed(path, ssh_keys.alice)
    assert judged(path, ssh_keys.alone).state == "intact", "the control"
    change, expected = FORGED[forged]
    edit(path / ENVELOPE, change)
    found = judged(path, ssh_keys.alone)
    assert expected in " ".join(str(one) for one in found.findings)
    assert not any(proof.trusted for proof in found.proofs)


@pytest.mark.parametrize("name", ["keyid", "an unknown field"])
def test_what_is_no_part_of_a_signature_proves_nothing_and_harms_nothing(name: str, path: Path, ssh_keys: Any) -> None:
    [done] = signed(path, ssh_keys.alice)
    edit(path / ENVELOPE, lambda one: one["signatures"][0].update({name: "SHA256:of somebody else"}))
    assert [proof.key for proof in judged(path, ssh_keys.alone).proofs] == [done.key]


def test_a_signature_for_git_is_none_for_us(path: Path, ssh_keys: Any) -> None:
    """The same key and the same bytes, for another purpose."""
    payload = (path / "manifest.json").read_bytes()
    message = dsse.encoding(payload, dsse.STATEMENT)

    def made(namespace: str) -> bytes:
        asked = ["ssh-keygen", "-Y", "sign", "-f", str(ssh_keys.alice), "-n", namespace]
        lines = subprocess.run(asked, input=message, capture_output=True, check=True).stdout.split(b"\n")
        return b64decode(b"".join(lines[1:-2]))

    assert keys.whose(made("peak-trade"), message, ssh_keys.alone).name == "alice@desk"
    with pytest.raises(RunError, match="ssh-keygen says"):
        keys.whose(made("git"), message, ssh_keys.alone)


def test_a_key_that_is_allowed_for_something_else_or_no_more_is_not_believed(path: Path, ssh_keys: Any) -> None:
    signed(path, ssh_keys.alice)
    public = ssh_keys.alice.with_suffix(".pub").read_text("utf-8")
    allowed = path.parent / "allowed"
    for options, trusted in {
        "": True, 'namespaces="peak-trade"': True, 'namespaces="git"': False, 'valid-before="20200101"': False,
        'valid-after="20990101"': False,
    }.items():  # fmt: skip
        allowed.write_text(f"alice {options} {public}", "utf-8")
        assert [proof.trusted for proof in judged(path, allowed).proofs] == [trusted]


# --- which key ----------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that holds nothing."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("GIT_CONFIG_GLOBAL", "XDG_CONFIG_HOME", keys.KEY, keys.ALLOWED):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


def test_the_key_is_the_one_named_then_gits_then_sshs_own(
    home: Path, ssh_keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(keys.Absent, match="no key to sign with"):
        keys.key_file()
    (home / ".ssh").mkdir()
    shutil.copy(ssh_keys.bob, home / ".ssh" / "id_rsa")
    assert keys.key_file() == home / ".ssh" / "id_rsa"
    (home / ".gitconfig").write_text("[user]\n\tsigningkey = ~/of_git\n", "utf-8")
    assert keys.key_file() == home / ".ssh" / "id_rsa", "git signs by another program"
    (home / ".gitconfig").write_text("[user]\n\tsigningkey = ~/of_git\n[gpg]\n\tformat = ssh\n", "utf-8")
    shutil.copy(ssh_keys.bob, home / "of_git")
    assert keys.key_file() == home / "of_git"
    public = ssh_keys.alice.with_suffix(".pub").read_text("utf-8").strip()
    for text in (public, f"key::{public}"):  # git takes the key itself, too
        config = f'[user]\n\tsigningkey = "{text}"\n[gpg]\n\tformat = ssh\n'
        (home / ".gitconfig").write_text(config, "utf-8")
        assert keys.key_file() == home / ".ssh" / "id_rsa"
    monkeypatch.setenv(keys.KEY, str(ssh_keys.bob))
    assert keys.key_file() == ssh_keys.bob
    assert keys.key_file(str(ssh_keys.alice)) == ssh_keys.alice
    with pytest.raises(InputError, match="there is no key /nowhere"):
        keys.key_file("/nowhere")


def test_the_allowed_signers_are_those_named_then_gits(
    home: Path, ssh_keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert keys.allowed_file() is None
    (home / ".gitconfig").write_text('[gpg "ssh"]\n\tallowedSignersFile = ~/allowed\n', "utf-8")
    assert keys.allowed_file() is None, "a file that is not there"
    (home / "allowed").touch()
    assert keys.allowed_file() == home / "allowed"
    monkeypatch.setenv(keys.ALLOWED, str(ssh_keys.alone))
    assert keys.allowed_file() == ssh_keys.alone
    with pytest.raises(InputError, match="there is no file of allowed signers"):
        keys.allowed_file("/nowhere")


def test_what_a_key_does_not_sign_is_said_in_a_sentence(path: Path, authority: Any, tmp_path: Path) -> None:
    locked = authority.ssh_key(tmp_path / "keys", "locked", passphrase="long enough")
    for key in (locked, SCRIPTS / "sign_run.py"):
        done = subprocess.run(
            [sys.executable, SCRIPTS / "sign_run.py", path.name, "--results-dir", path.parent, "--key", key],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, start_new_session=True, check=False,
            env=os.environ | {"SSH_ASKPASS": "/nowhere"},
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"error: ssh-keygen does not sign with {key.name}: ")
        assert done.stderr.count("\n") == 2 and "hint: ssh-add -l" in done.stderr
    assert not (path / ENVELOPE).exists()


# --- the ledger's head --------------------------------------------------------------------------------------------


def verdict_on_ledger(results: Results, **trusted: Any) -> verify.Verdict:
    return next(iter(verify.verify_all(results, [], root=None, trusted=Trusted(**trusted))))


def test_the_head_is_signed_once_for_a_line(evidence: Any, ssh_keys: Any) -> None:
    results = Results(evidence.results)
    count = len(evidence.ledger())
    done = [sign.head(results, ssh_keys.alice) for _ in range(3)]
    assert [(one.of, one.new) for one in done] == [
        (f"ledger.jsonl line {count}", True), (f"ledger.jsonl line {count}", False),
        (f"ledger.jsonl line {count}", False),
    ]  # fmt: skip
    assert len(evidence.ledger()) == count + 1
    envelope = json.loads(Path(done[0].file).read_bytes())
    assert b64decode(envelope["payload"]) == evidence.ledger()[count - 1]
    found = verdict_on_ledger(results, allowed=ssh_keys.alone)
    assert (found.state, [str(proof) for proof in found.proofs]) == (
        "intact", [f"ledger.jsonl line {count}: signed by alice@desk ({done[0].key})"],
    )  # fmt: skip
    sign.run(Handed(evidence.path("own"), results), ssh_keys.alice)
    assert sign.head(results, ssh_keys.alice).of == f"ledger.jsonl line {count + 2}", "what was signed since counts"


def test_a_history_that_was_written_anew_is_found_by_the_head_that_was_signed(evidence: Any, ssh_keys: Any) -> None:
    """Whoever holds every file can make a ledger that is whole; the signature of what it was before they can't."""
    results = Results(evidence.results)
    sign.head(results, ssh_keys.alice)
    lines = evidence.ledger()[:-1]  # the line that tells of the signature goes too

    def forge(edit: Callable[[Any], None]) -> None:
        previous, made = "0" * 64, []
        for line in lines:
            entry = json.loads(line) | {"prev": previous}
            edit(entry)
            made.append(json.dumps(entry, separators=(",", ":")).encode())
            previous = hashlib.sha256(made[-1]).hexdigest()
        evidence.write_ledger(made)

    forge(lambda entry: None)
    assert verdict_on_ledger(results).state == "intact", "the control: made anew as it was"
    forge(lambda entry: entry.update(time=entry["time"].replace("2026", "2020")))
    found = verdict_on_ledger(results)
    assert [one.file.partition("/")[0] for one in found.findings] == ["anchors"]
    assert "expected a line of this ledger with sha256" in str(found.findings[0])
    shutil.rmtree(evidence.results / "anchors")
    assert verdict_on_ledger(results).state == "intact", "what an unkeyed chain can't show"


def test_a_ledger_that_is_not_whole_is_not_signed(evidence: Any, ssh_keys: Any) -> None:
    lines = evidence.ledger()
    evidence.write_ledger([lines[0], *lines[2:]])
    with pytest.raises(RunError, match="the ledger is not whole at line 2"):
        sign.head(Results(evidence.results), ssh_keys.alice)
    assert not (evidence.results / "anchors").exists()


def test_there_is_no_head_of_nothing(tmp_path: Path, ssh_keys: Any) -> None:
    with pytest.raises(InputError, match="no line in"):
        sign.head(Results(tmp_path), ssh_keys.alice)


# --- the script ---------------------------------------------------------------------------------------------------


def call(script: str, *words: object, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / f"{script}.py"), *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, env=os.environ | env, stdin=subprocess.DEVNULL, check=False
    )


def test_the_script_prints_the_envelope(path: Path, ssh_keys: Any) -> None:
    where = ("--results-dir", path.parent, "--key", ssh_keys.alice)
    first, again, head = (
        call("sign_run", path.name[:8], *where),
        call("sign_run", path, *where),
        call("sign_run", "--head", *where, "--json"),
    )
    assert (first.returncode, first.stdout) == (0, f"{path / ENVELOPE}\n")
    assert first.stderr.startswith(f"{path.name} is signed by SHA256:")
    assert (again.stdout, again.stderr.split(" by ")[0]) == (first.stdout, f"{path.name} had been signed")
    [one] = json.loads(head.stdout)
    assert (one["new"], Path(one["file"]).parent.name) == (True, "anchors")
    checked = call(
        "verify_runs", path.name, "--results-dir", path.parent, "--allowed-signers", ssh_keys.alone, "--signed",
        "--no-data",
    )  # fmt: skip
    assert (checked.returncode, checked.stdout.count("signed by alice@desk (SHA256:")) == (0, 2)


def test_what_was_signed_is_told_where_the_next_is_broken(evidence: Any, path: Path, ssh_keys: Any) -> None:
    other = evidence.path("bare")
    rewrite = other / "stats.json"
    rewrite.chmod(0o644)
    rewrite.write_text("{}")
    done = call("sign_run", path.name, other.name, "--results-dir", path.parent, "--key", ssh_keys.alice)
    assert (done.returncode, done.stdout) == (1, f"{path / ENVELOPE}\n")
    assert f"{path.name} is signed by SHA256:" in done.stderr and "error: " in done.stderr


def test_without_a_key_it_is_skipped_and_said(path: Path, home: Path) -> None:
    where = (path.name, "--results-dir", path.parent)
    skipped, strict = call("sign_run", *where), call("sign_run", *where, PEAK_STRICT="1")
    assert (skipped.returncode, skipped.stdout, strict.returncode) == (0, "", 1)
    assert skipped.stderr.startswith("warn: not signed: no key to sign with\nhint: ssh-keygen -t ed25519")
    assert strict.stderr.startswith("error: no key to sign with\n")


def test_without_openssh_it_is_skipped_and_what_is_there_is_not_checked(path: Path, ssh_keys: Any) -> None:
    signed(path, ssh_keys.alice)
    where = (path.name, "--results-dir", path.parent)
    git = Path(shutil.which("git") or "/usr/bin/git")
    alone = path.parent.parent / "bin"
    alone.mkdir()
    (alone / "git").symlink_to(git)
    skipped = call("sign_run", *where, "--key", ssh_keys.bob, PATH=str(alone))
    assert (skipped.returncode, skipped.stdout) == (0, "")
    assert skipped.stderr == "warn: not signed: ssh-keygen is missing\nhint: install OpenSSH\n"
    checked = call("verify_runs", *where, "--no-data", PATH=str(alone))
    assert checked.returncode == 0
    assert "not checked: manifest.dsse.json: a signature by SHA256:" in checked.stdout


def test_what_is_asked_for_must_make_sense(path: Path) -> None:
    for words, expected in {
        ("sign_run",): "error: either RUN or --head is needed\n",
        ("sign_run", "last", "--head"): "error: either RUN or --head is needed\n",
        (
            "verify_runs",
            "--signed",
        ): "error: --signed needs to know whose signatures to believe: --allowed-signers FILE\n",
    }.items():
        done = call(*words, "--results-dir", path.parent)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(expected)


def test_the_name_is_one_that_may_lie_beside_the_seal() -> None:
    assert check.NAME == ENVELOPE and ENVELOPE in verify.DERIVED
