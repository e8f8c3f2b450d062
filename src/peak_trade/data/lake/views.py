"""Questions that people really ask of the lake, as views and as macros with arguments.

SELECT * FROM best_runs;        SELECT * FROM trades_around('2024-03-01');
"""

from __future__ import annotations

from typing import NamedTuple

from peak_trade.data.lake.chances import LUCK
from peak_trade.evidence import settings

__all__ = ["QUESTIONS", "Question", "as_markdown"]


class Question(NamedTuple):
    """A saved question: `arguments` are those of a macro, each with its default; a view has none."""

    name: str
    asks: str
    sql: str
    arguments: tuple[tuple[str, str | None], ...] = ()

    @property
    def call(self) -> str:
        """How it is asked."""
        if not self.arguments:
            return self.name
        shown = [name if default is None else f"{name} := {default}" for name, default in self.arguments]
        return f"{self.name}({', '.join(shown)})"

    @property
    def definition(self) -> str:
        """The statement that makes it."""
        if not self.arguments:
            return f"CREATE VIEW {self.name} AS {self.sql}"
        return f"CREATE MACRO {self.call} AS TABLE {self.sql}"


COMPLETED = ("sealed", "ruined")
_DATA = "symbol, timeframe, source, data_digest"
_RESULT = f"strategy, strategy_digest, {_DATA}, settings, equity_digest, trades_digest"
"""What two runs share whose result is the same one, made twice."""
_RESULTS = f"""
        (SELECT *, greatest(1, count(*) FILTER (kind IS DISTINCT FROM 'swept') OVER result) AS runs,
                row_number() OVER (result ORDER BY status NOT IN {COMPLETED}, started_at, run_id) AS nth
         FROM runs LEFT JOIN (
            SELECT run_id, string_agg(key || '=' || value, ', ' ORDER BY key) AS settings FROM params
            WHERE split_part(key, '.', 1) IN ('execution', 'sizing', 'stops', 'stats') OR NOT contains(key, '.')
            GROUP BY run_id) USING (run_id)
         WHERE equity_digest IS NOT NULL WINDOW result AS (PARTITION BY {_RESULT}))"""
"""The runs with a result, and `runs`, how often that was made; `nth` is 1 in the first of them that is there."""

_LEFT_OUT = tuple(key for key, value in settings.defaults().items() if value in (None, "", {}))  # where nothing is set
_DIFFERS = f"""
        (WITH own AS (  -- what the bars were is held against the same symbol and timeframe alone
            SELECT run_id, strategy, key, value, CASE WHEN starts_with(key, 'data.') THEN series ELSE '' END AS series
            FROM params JOIN (SELECT *, symbol || ' ' || timeframe AS series FROM runs) USING (run_id)
            WHERE split_part(key, '.', 1) NOT IN ('tracking', 'lake')
              AND key NOT IN ('run.name', 'data.symbol', 'data.timeframe', 'strategy.name', 'strategy.entrypoint')),
         groups AS (
            SELECT strategy, series, count(DISTINCT run_id) AS total FROM own GROUP BY strategy, series),
         keys AS (
            SELECT strategy, series, key, count(*) AS had, count(DISTINCT value) AS different
            FROM own GROUP BY strategy, series, key)
         SELECT run_id, string_agg(key || '=' || value, ', ' ORDER BY contains(key, '.'), key) AS differs
         FROM own JOIN keys USING (strategy, series, key) JOIN groups USING (strategy, series)
         WHERE different > 1 OR (had < total AND key IN {_LEFT_OUT})
         GROUP BY run_id)"""
"""By which keys of its config each run differs from others of its strategy: of another value, or not set by all."""

_ALL = (
    Question(
        "run_differences",
        "what tells the runs of each strategy apart, newest first: parameters and settings that not all have",
        f"""
        SELECT strategy, symbol, timeframe, run_id, name, differs, status, sharpe, total_return, started_at, error
        FROM runs LEFT JOIN {_DIFFERS} USING (run_id) ORDER BY started_at DESC, run_id""",
    ),
    Question(
        "best_runs",
        "the three best results of each strategy on each data, by Sharpe ratio: each once, with how often it ran; none "
        "whose strategy looks ahead",
        f"""
        SELECT strategy, symbol, timeframe, source, left(data_digest, 8) AS data, run_id, name, differs, runs, sharpe,
               total_return, max_drawdown, trades
        FROM {_RESULTS} LEFT JOIN {_DIFFERS} USING (run_id)
        WHERE nth = 1 AND status IN {COMPLETED} AND sharpe IS NOT NULL AND lookahead IS NULL
        QUALIFY row_number() OVER (PARTITION BY strategy, {_DATA} ORDER BY sharpe DESC, run_id) <= 3
        ORDER BY symbol, timeframe, source, data, sharpe DESC, run_id""",
    ),
    Question(
        "luck",
        "how likely each result is luck: its Sharpe ratio, the hurdle that the best of all trials on its bars without "
        "skill would reach, and the deflated Sharpe ratio (docs/ops/luck.md)",
        LUCK,
    ),
    Question(
        "parameter_sensitivity",
        "how the Sharpe ratio moves with each value of each parameter of each strategy on each data, under the same "
        "other sections (`given` names what differs among them): each result once",
        f"""
        WITH completed AS (SELECT * FROM runs WHERE status IN {COMPLETED} AND kind IS DISTINCT FROM 'swept'),
        others AS (
            SELECT r.run_id, r.strategy, r.data_digest, p.key || '=' || p.value AS setting
            FROM params p JOIN completed r USING (run_id)
            WHERE split_part(p.key, '.', 1) IN ('execution', 'sizing', 'stops', 'stats') OR p.key = 'run.seed'),
        totals AS (SELECT strategy, data_digest, count(*) AS total FROM completed GROUP BY strategy, data_digest),
        shared AS (
            SELECT o.strategy, o.data_digest, o.setting FROM others o JOIN totals t USING (strategy, data_digest)
            GROUP BY o.strategy, o.data_digest, o.setting, t.total HAVING count(*) = t.total),
        given AS (
            SELECT run_id, string_agg(setting, ', ' ORDER BY setting) AS given
            FROM others ANTI JOIN shared USING (strategy, data_digest, setting) GROUP BY run_id),
        settings AS (
            SELECT run_id, string_agg(key || '=' || value, ', ' ORDER BY key) AS settings
            FROM params WHERE NOT contains(key, '.') GROUP BY run_id),
        results AS (
            SELECT r.strategy, r.strategy_digest, r.symbol, r.timeframe, r.source, r.data_digest, r.equity_digest,
                   coalesce(g.given, '') AS given, s.settings, any_value(r.sharpe) AS sharpe, count(*) AS runs,
                   min(r.run_id) AS run_id
            FROM completed r LEFT JOIN given g USING (run_id) LEFT JOIN settings s USING (run_id) GROUP BY ALL)
        SELECT r.strategy, r.symbol, r.timeframe, r.source, left(r.data_digest, 8) AS data, r.given, p.key, p.value,
               count(*) AS results, sum(r.runs)::BIGINT AS runs, median(r.sharpe) AS median_sharpe,
               min(r.sharpe) AS least_sharpe, max(r.sharpe) AS most_sharpe
        FROM results r JOIN params p USING (run_id) WHERE NOT contains(p.key, '.')
        GROUP BY r.strategy, r.symbol, r.timeframe, r.source, r.data_digest, r.given, p.key, p.value, p.number
        ORDER BY r.symbol, r.timeframe, r.source, data, r.strategy, r.given, p.key, p.number, p.value""",
    ),
    Question(
        "sweeps",
        "the sweeps, newest first: how many trials each has, how many failed, what was kept, and how the Sharpe "
        "ratios of its different results spread",
        """
        SELECT s.run_id, s.name, s.strategy, s.symbol, s.timeframe, s.source, s.status, s.trials,
               count(*) FILTER (t.status = 'failed') AS failed, count(t.duplicate_of) AS duplicates,
               count(t.kept) AS kept, s.sharpe AS chosen_sharpe,
               max(t.sharpe) FILTER (t.duplicate_of IS NULL) AS most_sharpe,
               median(t.sharpe) FILTER (t.duplicate_of IS NULL) AS median_sharpe,
               min(t.sharpe) FILTER (t.duplicate_of IS NULL) AS least_sharpe,
               sum(t.duration_s) AS seconds, s.started_at
        FROM runs s LEFT JOIN trials t USING (run_id) WHERE s.kind = 'swept' GROUP BY ALL
        ORDER BY s.started_at DESC, s.run_id""",
    ),
    Question(
        "best_trials",
        "the best trials of a sweep, by the start of the run_id of its parent: each result once, by Sharpe ratio, with "
        "how many trials came to it",
        """
        SELECT t.index, t.chosen, t.kept, t.fold, t.part, t.params, t.settings, t.sharpe, t.total_return,
               t.max_drawdown, t.trades, coalesce(d.times, 0) + 1 AS times
        FROM trials t LEFT JOIN (
            SELECT run_id, duplicate_of AS index, count(*) AS times FROM trials GROUP BY ALL) d USING (run_id, index)
        WHERE starts_with(t.run_id, parent) AND t.status = 'done' AND t.duplicate_of IS NULL
        ORDER BY t.sharpe DESC NULLS LAST, t.index LIMIT most::INTEGER""",
        (("parent", None), ("most", "20")),
    ),
    Question(
        "trial_sensitivity",
        "how the Sharpe ratio of a sweep's trials moves with each value of each key that was varied, by the start of "
        "the run_id of its parent: each result once",
        """
        WITH own AS (
            SELECT index, part, sharpe, unnest(map_entries(params::JSON::MAP(VARCHAR, JSON))) AS one FROM trials
            WHERE starts_with(run_id, parent) AND status = 'done' AND duplicate_of IS NULL
            UNION ALL
            SELECT index, part, sharpe, unnest(map_entries(settings::JSON::MAP(VARCHAR, JSON))) FROM trials
            WHERE starts_with(run_id, parent) AND status = 'done' AND duplicate_of IS NULL)
        SELECT key, value, part, count(*) AS results, median(sharpe) AS median_sharpe, min(sharpe) AS least_sharpe,
               max(sharpe) AS most_sharpe
        FROM (SELECT one.key AS key, one.value->>'$' AS value, part, sharpe FROM own)
        GROUP BY key, value, part ORDER BY key, TRY_CAST(value AS DOUBLE), value, part""",
        (("parent", None),),
    ),
    Question(
        "runs_by_commit",
        "what each commit ran, newest first: `results` counts each result once, `data` the bars they are of",
        """
        SELECT "commit", dirty, count(*) AS runs, count(*) FILTER (status = 'failed') AS failed,
               count(DISTINCT (strategy, data_digest, equity_digest, trades_digest))
                   FILTER (equity_digest IS NOT NULL) AS results,
               count(DISTINCT data_digest) AS data, min(started_at) AS first_run, max(started_at) AS last_run
        FROM runs GROUP BY ALL ORDER BY last_run DESC""",
    ),
    Question(
        "runs_of_commit",
        "the runs of a commit, by the start of its digest",
        """
        SELECT run_id, status, dirty, strategy, symbol, started_at, sharpe, total_return
        FROM runs WHERE starts_with("commit", digest) ORDER BY started_at""",
        (("digest", None),),
    ),
    Question(
        "equity_side_by_side",
        "the equity of several runs as growth of 1, by the starts of their run_ids with commas between",
        """
        SELECT e.timestamp, left(e.run_id, 8) AS run, e.equity,
               e.equity / first_value(e.equity) OVER (PARTITION BY e.run_id ORDER BY e.timestamp) AS growth, e.drawdown
        FROM equity e
        WHERE e.run_id IN (
            SELECT r.run_id FROM runs r, unnest(string_split(run_ids, ',')) AS asked(start)
            WHERE starts_with(r.run_id, trim(asked.start)))
        ORDER BY e.timestamp, run""",
        (("run_ids", None),),
    ),
    Question(
        "trades_around",
        "the trades that were open within some days of a date, those of a result that ran several times once",
        f"""
        SELECT t.run_id, r.runs, r.strategy, t.symbol, r.timeframe, r.source, t.side, t.entry_time, t.exit_time, t.pnl,
               t."return", t.exit_reason
        FROM trades t JOIN {_RESULTS} r USING (run_id)
        WHERE r.nth = 1 AND t.entry_time < day::TIMESTAMPTZ + to_days(1 + days::INTEGER)
          AND t.exit_time >= day::TIMESTAMPTZ - to_days(days::INTEGER)
        ORDER BY t.entry_time, t.run_id, t.trade_id""",
        (("day", None), ("days", "1")),
    ),
    Question(
        "symbols",
        "what bars there are, a row for each series",
        """
        SELECT symbol, timeframe, source, max_by(calendar, timestamp) AS calendar, min(timestamp) AS first,
               max(timestamp) AS last, count(*) AS bars, count(*) FILTER (revision > 0) AS revised
        FROM ohlcv GROUP BY symbol, timeframe, source ORDER BY symbol, timeframe, source""",
    ),
    Question(
        "gaps",
        "steps from bar to bar that are longer than usual; `just lake-check` counts them against the calendar",
        """
        SELECT symbol, timeframe, source, timestamp AS after, step, usual
        FROM (SELECT *, median(step) OVER (PARTITION BY symbol, timeframe, source) AS usual
              FROM (SELECT symbol, timeframe, source, timestamp,
                           lead(timestamp) OVER (PARTITION BY symbol, timeframe, source ORDER BY timestamp)
                           - timestamp AS step
                    FROM ohlcv) WHERE step IS NOT NULL)
        WHERE step > usual ORDER BY step DESC, symbol, after""",
    ),
    Question(
        "evidence_cost",
        "what the evidence of runs has cost, by day, strategy and series, with the bars that it is of",
        """
        SELECT r.started_at::DATE AS day, r.strategy, r.symbol, r.timeframe, r.source, median(r.bars) AS median_bars,
               count(*) AS runs, median(c.ms) AS median_ms, max(c.ms) AS most_ms, sum(c.bytes) AS bytes
        FROM receipts c JOIN runs r USING (run_id) WHERE c.part = 'evidence'
        GROUP BY day, r.strategy, r.symbol, r.timeframe, r.source ORDER BY ALL""",
    ),
    Question(
        "skipped",
        "which optional parts runs have gone without, and why",
        """
        SELECT part, reason, count(DISTINCT c.run_id) AS runs, max(r.started_at) AS last_run
        FROM receipts c JOIN runs r USING (run_id) WHERE c.outcome = 'skipped' GROUP BY ALL ORDER BY runs DESC, part""",
    ),
    Question(
        "data_findings",
        "what was found of the bars that runs used, by kind, most bars first",
        """
        SELECT c.outcome AS found, r.symbol, r.timeframe, r.source, left(r.data_digest, 8) AS data, c.count, c.reason,
               count(DISTINCT c.run_id) AS runs
        FROM receipts c JOIN runs r USING (run_id) WHERE c.part = 'data'
        GROUP BY ALL ORDER BY c.count DESC, r.symbol, found, c.reason""",
    ),
    Question(
        "slowest_steps",
        "what each step of each strategy's runs on each series takes, by the spans of telemetry, slowest first",
        """
        SELECT r.strategy, r.symbol, r.timeframe, r.source, s.name AS step, count(*) AS spans,
               median(s.duration_ms) AS median_ms, quantile_cont(s.duration_ms, 0.95) AS p95_ms,
               max(s.duration_ms) AS most_ms, count(*) FILTER (s.status = 'error') AS errors
        FROM spans s JOIN runs r USING (run_id)
        GROUP BY ALL ORDER BY median_ms DESC, r.strategy, r.symbol, step""",
    ),
    Question(
        "errors",
        "what went wrong, newest first: spans that failed, warnings and errors that were logged",
        """
        SELECT start AS time, run_id, 'span' AS kind, status AS level, name AS what, message FROM spans
        WHERE status = 'error'
        UNION ALL BY NAME
        SELECT time, run_id, 'log' AS kind, level, logger AS what,
               concat_ws(': ', message, nullif(exception, '')) AS message FROM logs
        WHERE level IN ('warning', 'error', 'critical')
        ORDER BY time DESC, run_id, what""",
    ),
)
QUESTIONS = {question.name: question for question in _ALL}


def as_markdown() -> str:
    """Return the questions as a Markdown table, for docs/ops/lake.md."""
    rows = [f"| `{question.call}` | {question.asks} |" for question in QUESTIONS.values()]
    return "\n".join(["| question | what it asks |", "|---|---|", *rows])
