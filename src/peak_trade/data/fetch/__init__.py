"""Bars from exchanges, by ccxt: asked page by page, kept as a Parquet file that says where it came from.

In reading order:

- `order`: what is asked for, as a person says it.
- `client`: one exchange. It answers a page of bars or raises; what may pass is asked again.
- `grid`: the times at which bars are due, and which of them are held.
- `kept`: the file, the note beside it, and what an interrupted fetch leaves.
- `fetch`: all of it together.

Needs the extra `market`; ccxt is imported where an exchange is opened, pyarrow where a file is read or written.
"""
