"""What people read at a terminal: `listing` of runs, and the `waterfall` of a run's spans, which stand
in `telemetry` as lines of `otlp` and make a `tree`; `unseen` is what a walk-forward came to.

May import evidence and what is below it; report and lake read their rows here too.
"""
