"""What enters a run and what leaves it.

In: `bars`, from files (`ohlcv`), their contract (`contract`), calendar (`calendar`) and fingerprint. Out: `trades`.
"""
