"""What doctest leaves alone where an extra is missing: the modules that can't be imported without it."""

from importlib.util import find_spec

_TELEMETRY = ("distro", "edges", "farewell", "pipes")
collect_ignore = [] if find_spec("opentelemetry") else [f"peak_trade/obs/{name}.py" for name in _TELEMETRY]
