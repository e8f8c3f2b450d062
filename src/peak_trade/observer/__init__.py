"""What is noted inside a recorded command: it runs in other people's processes, in other people's Pythons.

So it is the standard library alone, in syntax that Python 3.9 reads, and its modules know each other by relative names:
a recorded process loads this folder as `peak_observer`, whether or not peak_trade is installed there. Nothing in it may
raise into the command, print, or change what the command does; what breaks is noted as a `warning` frame, once.

May import nothing. In reading order: `spool` (where it is noted), `note` (that, guarded), `wrapping` (around a call),
`hooks` (engines, when they are imported), `events` (files, code, network, programs), `start` (of a process, to which
`site` brings it).
"""

__all__: "list[str]" = []
