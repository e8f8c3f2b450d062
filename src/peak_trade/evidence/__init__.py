"""What writes `results/` and reads it back, and nothing else: the run directory, its seal and the ledger.

May import market and what is below it. In reading order: `files` (bytes on disk), `ledger`, `tables` (equity and trades
as files), `provenance`, `manifest`, `run_dir` (one run's directory from working name to seal).
"""
