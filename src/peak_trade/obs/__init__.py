"""Telemetry, seen from outside: no module of the program imports this package, and it alone imports OpenTelemetry.

May import what it wraps, where it is called; nothing of it at its start, which every command pays for.

In reading order: `start/sitecustomize` is what Python runs before the program, where `with_telemetry.sh` asked for it;
`entry` starts telemetry, or says why not; `settings` is what the environment asks for; `session` a process under
telemetry, from there to its exit; `pipes` carry spans, logs and metrics to a file or a collector; `edges` is the table
of what becomes a span, and `hooks` puts it in place when the program imports a module; `instrumentor` is the same for
OpenTelemetry's own command.
"""
