"""What people read at a terminal: `listing` of runs, and the `waterfall` of a run's spans with `telemetry`, its source.

May import evidence and what is below it; report and lake read their rows here too.
"""
