"""What can be proved with a run directory, each a verb with a verdict: `verify`.

May import everything but its readers report, ops and the lake; takes run directories, never live objects.
"""
