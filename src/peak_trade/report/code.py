"""The code of a run as it was sealed, with the lines in which it is not that of the run before it; what was asked, too.

The strategy's own file comes first and whole, within a budget; what else was loaded is folded away, what differs first.
Of a run beside this one nothing is believed that the ledger has not sealed, and nothing in it can end this page.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from peak_trade.errors import InputError, RunError
from peak_trade.evidence.code import FOLDER
from peak_trade.report import earlier
from peak_trade.report.beside import link
from peak_trade.report.highlight import highlighted, readable, shown, unseen
from peak_trade.report.markup import counted, in_toml, table, text
from peak_trade.report.run import RunFiles
from peak_trade.text import cut
from peak_trade.trust.difference import Input, Sealed, inputs, read
from peak_trade.trust.difference.code import Hunk, hunks, lines

__all__ = ["code", "there"]

_LONGEST = 1 << 20  # bytes of a file that is kept
_LINES, _CHARACTERS = 2_000, 200_000  # of the strategy's file, and of all others together
_GONE, _LONG = 50, 500  # lines of one place that are not there any more, and characters of one
_PLACES, _FILES = 20, 100  # that are named one by one
_VALUE = 200  # characters of a setting, or of what is said of it
_ASKED = ("parameters", "strategy", "data", "trading", "size", "costs", "seed", "rules", "figures")
"""The kinds of inputs (`difference.inputs`) that stand beside the code: not versions, nor what nothing hangs on."""
# what reading on raises where something that decoded is of another type than any of ours
_OTHER_TYPES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)


class _Before(NamedTuple):
    """The run before: how it is called here; the sha256 of each file, by its name now, and its text where it differs.

    `gone` are the names of files that are not there any more, `asked` what was asked otherwise.
    """

    called: str
    files: Mapping[str, tuple[str, str | None]]
    gone: Sequence[str]
    asked: Sequence[Input]


class _File(NamedTuple):
    """A file of code as it was sealed, the lines that it had before, and the places in which the two differ.

    `state` is `same`, `new` or `differs`; empty where there is nothing to hold it against.
    """

    name: str
    sha256: str
    size: int
    text: str
    state: str
    old: Sequence[str]
    places: Sequence[Hunk]

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many lines were added, changed and removed."""
        pairs = [(one.a1 - one.a0, one.b1 - one.b0) for one in self.places]
        added, removed = (sum(max(sign * (b - a), 0) for a, b in pairs) for sign in (1, -1))
        return added, sum(min(pair) for pair in pairs), removed


def there(run: RunFiles) -> bool:
    """Whether any code is sealed with the run: older runs and imported ones have none."""
    return run.manifest is not None and any(name.startswith(f"{FOLDER}/") for name in run.manifest.files)


def code(run: RunFiles) -> str:
    """The strategy's code and what else was loaded, marked where they differ from the run before, and what was asked.

    Raises RunError where a file of code is not what was sealed.
    """
    sealed = read(run.path)
    names = [name for name in sealed.code_files if f"{FOLDER}/{name}" in sealed.manifest.files]
    main = _main(sealed, names)
    told, held = _against(run, sealed, main)
    files = [_file(sealed, name, held) for name in names]
    files.sort(key=lambda one: (one.name != main, one.state in ("", "same"), one.name))
    if held is not None:
        told = _told(files, held)
    first, *others = files
    return (
        f"{told}<h3><code>{text(first.name)}</code></h3>{_shown(first, 0, _LINES, _CHARACTERS)}"
        f"{_folded(others, sealed)}"
    )


def _main(sealed: Sealed, names: Sequence[str]) -> str:
    """Return the name of the strategy's file: by its digest, else as config or command name it, else the first."""
    made, asked = sealed.made.of("strategy"), sealed.config.get("strategy", {})
    same = sorted(name for name in names if made and sealed.code_files[name] == made.digest.get("sha256"))
    command = sealed.config.get("record", {}).get("command")
    said = [str(word) for word in command] if isinstance(command, list) else []
    said += [str(made.about.get("file"))] if made else []
    said += [str(asked.get("entrypoint") or "").partition(":")[0], f"{asked.get('name')}.py"]
    said += [f"{word.replace('.', '/')}.py" for word in said]  # a module
    paths = [f"/{PurePosixPath(word).as_posix()}" for word in said if word]
    named = [name for path in paths for name in same or names if path.endswith(f"/{name}") or f"/{name}".endswith(path)]
    return next(iter([*named, *same, *sorted(names)]))


# --- against the run before ---------------------------------------------------------------------------------------


def _against(run: RunFiles, sealed: Sealed, main: str) -> tuple[str, _Before | None]:
    """Return the run before, or None and why there is none to hold the code against."""
    called = "the run before it"
    try:
        one = earlier.before(run)
        if one is not None:
            called = f"run {link(run, one.run_id)} of {text(one.day)}, the one of this strategy before it"
            return "", _before(earlier.opened(run, one), sealed, main, called)
    except (RunError, InputError, *_OTHER_TYPES) as error:  # what lies beside the run may be a stranger's
        return f'<p class="note">What differs from {called}, can’t be told: {text(error)}.</p>', None
    return '<p class="note">No run of this strategy came before it here: its code is held against none.</p>', None


def _before(old: Sealed, new: Sealed, main: str, called: str) -> _Before:
    """Return what a run before had; RunError where a file that is another there can't be read, or was not sealed."""
    before, after = old.code_files, new.code_files
    if not before:
        raise RunError("its code was not sealed with it")
    names, gone = {name: name for name in after if name in before}, sorted(before.keys() - after.keys())
    if main not in before and gone:  # the strategy's file has another name
        names[main] = _main(old, gone)
        gone.remove(names[main])
    files = {}
    for name, was in names.items():
        sealed = before[was] != after[name] and f"{FOLDER}/{was}" in old.manifest.files
        files[name] = before[was], readable(was, _content(old, was)) if sealed else None
    return _Before(called, files, gone, [one for one in inputs(old, new, code=False) if one.kind in _ASKED])


def _file(sealed: Sealed, name: str, held: _Before | None) -> _File:
    content, sha256 = _content(sealed, name), sealed.code_files[name]
    now = readable(name, content)
    was, words = held.files.get(name, ("", None)) if held else ("", None)
    state = "" if held is None else "new" if not was else "same" if was == sha256 else "differs"
    old = [] if words is None else lines(words)
    return _File(name, sha256, len(content), now, state, old, [] if words is None else hunks(old, lines(now)))


def _content(sealed: Sealed, name: str) -> bytes:
    """Return a file of code; RunError where it is longer than any that is kept, or not what was sealed."""
    content = sealed.code(name)
    if len(content) > _LONGEST:
        raise RunError(f"{FOLDER}/{name} has {len(content):,} bytes, more than any code that is kept")
    return content


def _told(files: Sequence[_File], held: _Before) -> str:
    """Say in how many lines the code differs from the run before, in which files, and what was asked otherwise."""
    differ = [one for one in files if one.state == "differs"]
    new = [one.name for one in files if one.state == "new"]
    counts = [sum(one.counts[of] for one in differ) for of in range(3)]
    rows = [_asked(one) for one in held.asked]
    if differ:
        parts = [f"{n:,} {word}" for n, word in zip(counts, ("added", "changed", "removed"), strict=True) if n]
        total = sum(counts)
        words = f"<strong>{counted(total, 'line')} {'differs' if total == 1 else 'differ'}</strong> from {held.called}"
        words += f": {', '.join(parts)}" if parts else ": the files are not the same bytes"
        words += _named(" in", [one.name for one in differ])
    elif new or held.gone:
        words = f"What was loaded is not what it was in {held.called}."
    else:
        words = f"The code is the same as in {held.called}{'' if rows else ', and so is what was asked of it'}."
    words += _named(" New:", new) + _named(" Not there any more:", held.gone)
    if not rows:
        return f"<p>{words}</p>"
    return (
        f"<p>{words}</p><h3>What was asked otherwise than before</h3>"
        f"{table(['Name', 'Before', 'Now'], rows, label='What was asked otherwise than before', name='otherwise')}"
    )


def _named(words: str, names: Sequence[str]) -> str:
    listed = ", ".join(f"<code>{text(name)}</code>" for name in names[:_PLACES])
    more = f" and {len(names) - _PLACES:,} more" if len(names) > _PLACES else ""
    return f"{words} {listed}{more}." if names else ""


def _asked(one: Input) -> list[str]:
    """Return the row of what was asked otherwise."""
    command = one.name == "record.command"
    words = [shlex.join(map(str, value)) if command and isinstance(value, list) else value for value in (one.a, one.b)]
    before, now = ("–" if value is None else text(cut(in_toml(value), _VALUE)) for value in words)
    if before == now:  # the same days, with other values
        now += f" <small>{text(cut('; '.join(one.details), _VALUE))}</small>"
    return [f"<code>{text(one.name.removeprefix('strategy.params.'))}</code>", before, now]


# --- as it is shown -----------------------------------------------------------------------------------------------


def _shown(one: _File, number: int, most: int, characters: int) -> str:
    """Return a file: what there is to be said of it, and at most so many of its lines in a box that scrolls."""
    plain, now = lines(one.text), highlighted(one.text[:characters], one.name)[:most]
    notes = [f"{counted(len(plain), 'line')}, {one.size:,} bytes, sha256 <code>{one.sha256[:12]}</code>."]
    notes += _places(one, number, len(now))
    if hidden := [f"{at:,}" for at, line in enumerate(plain[: len(now)], 1) if unseen(line)]:
        named = ", ".join(hidden[:_PLACES]) + (" and more" if len(hidden) > _PLACES else "")
        many = "s" if len(hidden) > 1 else ""
        notes.append(f"<strong>Marks that nobody sees stand as escapes: line{many} {named}.</strong>")
    if len(now) < len(plain) or characters < len(one.text):
        notes.append(f"Shown are the first {len(now):,} lines; all are in <code>{FOLDER}/{text(one.name)}</code>.")
    return (
        f'<p class="note">{" ".join(notes)}</p>'
        f'<div class="scroll source" role="region" aria-label="Code of {text(one.name)}" tabindex="0">'
        f"<pre><code>{''.join(_rows(one, now, number))}</code></pre></div>"
    )


def _places(one: _File, number: int, there: int) -> Iterator[str]:
    """Yield where lines differ, as links to those that are shown."""
    links = [
        f'<a href="#code-{number}-{at}">{_where(place)}</a>'
        for at, place in enumerate(one.places[:_PLACES])
        if place.b0 < there or (place.b0 == there and place.a1 > place.a0)
    ]
    if links:
        more = f" and {len(one.places) - len(links):,} more" if len(one.places) > len(links) else ""
        yield f"Differs in {', '.join(links)}{more}; + added, ~ changed, − as it was."


def _where(place: Hunk) -> str:
    if place.b1 > place.b0:
        return place.where
    return f"after line {place.b0:,}" if place.b0 else "at the top"


def _rows(one: _File, now: Sequence[str], number: int) -> Iterator[str]:
    """Yield the lines, each with its number and sign; those that are not there any more before what has their place."""
    at, room = 0, _LINES
    for place, (a0, a1, b0, b1) in enumerate(one.places):
        if b0 > len(now):
            break
        yield from (_row("span", f"{line + 1}  ", now[line]) for line in range(at, b0))
        gone = [shown(cut(line, _LONG)) for line in one.old[a0 : min(a1, a0 + _GONE, a0 + room)]]
        room, rest = room - len(gone), a1 - a0 - len(gone)
        gone += [f"… {counted(rest, 'line')} more"] if rest else []
        rows = [("del", "−", line) for line in gone]
        rows += [
            ("ins", f"{line + 1} {'~' if line - b0 < a1 - a0 else '+'}", now[line])
            for line in range(b0, min(b1, len(now)))
        ]
        yield from (_row(*row, f' id="code-{number}-{place}"' if not nth else "") for nth, row in enumerate(rows))
        at = min(b1, len(now))
    yield from (_row("span", f"{line + 1}  ", now[line]) for line in range(at, len(now)))


def _row(element: str, sign: str, line: str, more: str = "") -> str:
    return f'<{element} class="l" data-n="{sign}"{more}>{line}&#10;</{element}>'


def _folded(files: Sequence[_File], sealed: Sealed) -> str:
    """Return the other files behind their names, while they and what they were have room, and the rest as a table."""
    room, characters, shown_, listed = _LINES, _CHARACTERS, "", []
    for number, one in enumerate(files, 1):
        count = len(lines(one.text))
        rows, wide = max(count, 1) + len(one.old), len(one.text) + sum(map(len, one.old))
        if rows <= room and wide <= characters:
            room, characters = room - rows, characters - wide
            printed = ' class="printed"' if one.state == "differs" else ""
            said = {"": "", "differs": f", {sum(one.counts):,} differ"}.get(one.state, f", {one.state}")
            shown_ += (
                f"<details{printed}><summary><code>{text(one.name)}</code>, {counted(count, 'line')}{said}</summary>"
                f"{_shown(one, number, _LINES, _CHARACTERS)}</details>"
            )
        else:
            listed.append([text(one.name), f"{one.size:,}", f"<code>{one.sha256}</code>", one.state])
    found = sealed.made.of(FOLDER)
    left = found.about.get("leftOut") if found else None
    listed += [
        [
            text(out.get("file")),
            "–",
            f"<code>{text(out.get('sha256', '–'))}</code>",
            f"left out: {text(out.get('reason'))}",
        ]
        for out in (left if isinstance(left, list) else ())
        if isinstance(out, dict)
    ]
    if listed:
        more = f"<p>And {len(listed) - _FILES:,} more.</p>" if len(listed) > _FILES else ""
        shown_ += (
            table(["Not shown", "Bytes", "sha256", ""], listed[:_FILES], label="Code that is not shown", name="digests")
            + more
        )
    return f'<div class="loaded"><h3>What else was loaded</h3>{shown_}</div>' if shown_ else ""
