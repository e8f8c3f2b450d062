"""The run directory and the ledger: the only writers of `results/`, and the readers that check them.

Reading order: `files` (bytes on disk), `ledger`, `tables` (equity and trades as files), `provenance`, `manifest`,
`run_dir` (one run's directory from working name to seal), `verify`.
"""
