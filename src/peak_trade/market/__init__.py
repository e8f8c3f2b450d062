"""Bars and where they come from; and the columns of the trades that are made over them.

May import config and the leaves. In reading order: `bars`, `timestamps`, `timeframe`, `calendar` (with
`holidays`, `exchanges`, `sessions`, `rate`, `gaps`, `usual` and `fitting`), `contract`, `files` (one
file of bars), `benchmark` (closes of something else, aligned with bars by time), `ohlcv` (files to checked bars),
`benchmark_file`, `fingerprint`, `trades`.
"""
