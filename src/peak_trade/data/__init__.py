"""Bars on their way in and out: `lake`, where the runbook names it, `fetch` from exchanges, and `difference`.

What bars are, and how files of them are read, is in `market`.
"""
