"""The lake, where the runbook names it: `data.lake`. Bars live in `market`."""
