"""How much of a result is luck: pure functions, of one track record or of all the trials that it was chosen from.

A run imports none of them. In reading order:

- `track`: what one track record shows, such as `probabilistic`, `minimum_length` and `annual_factor`;
- `trials`: what the number of trials takes from it, such as `expected_maximum`, `deflated` and `effective_number`;
- `haircut`: p-values held against many trials, `sidak` and `holm`;
- `overfit`: whether choosing the best of trials carries over to other bars, `backtest_overfitting`;
- `resample`: bands from a stationary bootstrap, `block_length` and `bands`.

A Sharpe ratio is per bar, and belongs to a number of bars: never one of a year to a number of days.
Kurtosis is raw in here, 3 for a normal distribution, as in the papers; `stats.kurtosis` is in excess of that.
"""
