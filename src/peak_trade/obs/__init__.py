"""Telemetry, seen from outside: no module of the program imports this package, and it alone imports OpenTelemetry.

May import what it wraps, where it is called; nothing of it at its start, which every command pays for.

In reading order: `launch` runs a program through `opentelemetry-instrument`, where `with_telemetry.sh` or the program
itself asked for it; `distro` is what that command loads of us; `entry` starts telemetry, or says why not; `settings` is
what the environment asks for; `session` a process under telemetry; `pipes` carry spans, logs and metrics to a file or a
collector, and `said` hears what OpenTelemetry says of that; `edges` is the table of what becomes a span, and `hooks`
puts it in place when the program imports a module.
"""
