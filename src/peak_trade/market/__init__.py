"""Bars and where they come from; and the columns of the trades that are made over them.

May import config and the leaves. In reading order: `bars`, `timestamps`, `calendar`, `contract`, `ohlcv` (files of
bars), `fingerprint`, `trades`.
"""
