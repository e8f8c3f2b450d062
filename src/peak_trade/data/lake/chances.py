"""The deflated Sharpe ratio in SQL, which has no normal distribution of its own.

`just luck` works it out from a run's returns; here it is made of the columns of `runs` and the lines of the ledger, so
that all runs are asked at once. Both give the same figure to nine digits, which a test holds.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["LUCK", "cdf", "quantile"]


def _polynomial(coefficients: Sequence[float], of: str) -> str:
    """Return a polynomial by Horner's rule, the highest power first."""
    text = repr(coefficients[0])
    for coefficient in coefficients[1:]:
        text = f"({text}) * {of} + {coefficient!r}"
    return f"({text})"


def cdf(z: str) -> str:
    """Return the normal distribution function of an expression, to 15 digits between -7 and 7; 0 or 1 beyond.

    Source: J. Hart, "Computer Approximations", 1968, by way of G. West, "Better Approximations to Cumulative Normal
    Functions", Wilmott Magazine, 2005.
    """
    above = (3.52624965998911e-02, 0.700383064443688, 6.37396220353165, 33.912866078383, 112.079291497871,
             221.213596169931, 220.206867912376)  # fmt: skip
    below = (8.83883476483184e-02, 1.75566716318264, 16.064177579207, 86.7807322029461, 296.564248779674,
             637.333633378831, 793.826512519948, 440.413735824752)  # fmt: skip
    size = f"abs({z})"
    tail = f"exp(-({z}) * ({z}) / 2) * {_polynomial(above, size)} / {_polynomial(below, size)}"
    return f"(CASE WHEN ({z}) > 7 THEN 1.0 WHEN ({z}) < -7 THEN 0.0 WHEN ({z}) > 0 THEN 1 - {tail} ELSE {tail} END)"


def quantile(q: str) -> str:
    """Return what a standard normal is above with the probability of an expression, one half at most; nine digits.

    Source: P. Acklam, "An algorithm for computing the inverse normal cumulative distribution function", 2003.
    """
    middle = (-3.969683028665376e01, 2.209460984245205e02, -2.759285104469687e02, 1.383577518672690e02,
              -3.066479806614716e01, 2.506628277459239e00)  # fmt: skip
    under = (-5.447609879822406e01, 1.615858368580409e02, -1.556989798598866e02, 6.680131188771972e01,
             -1.328068155288572e01, 1.0)  # fmt: skip
    end = (-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e00, -2.549732539343734e00,
           4.374664141464968e00, 2.938163982698783e00)  # fmt: skip
    beneath = (7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e00, 3.754408661907416e00, 1.0)
    off, square, far = f"(0.5 - ({q}))", f"((0.5 - ({q})) * (0.5 - ({q})))", f"sqrt(-2 * ln({q}))"
    near = f"{off} * {_polynomial(middle, square)} / {_polynomial(under, square)}"
    return f"(CASE WHEN ({q}) < 0.02425 THEN -{_polynomial(end, far)} / {_polynomial(beneath, far)} ELSE {near} END)"


_EULER = 0.5772156649015329
_EXPECTED = f"{1 - _EULER!r} * {quantile('1.0 / tried')} + {_EULER!r} * {quantile('1 / (tried * exp(1))')}"
_SERIES = "symbol, timeframe, data_digest"


def _number(path: str, low: float, high: float, *, whole: bool = False) -> str:
    """Return a number in a line's fields, 0 where it is left out, NULL where it is none or out of bounds."""
    types = "'UBIGINT', 'BIGINT'" + ("" if whole else ", 'DOUBLE'")
    value = f"TRY_CAST(({path})->>'$' AS {'BIGINT' if whole else 'DOUBLE'})"
    fits = f"json_type({path}) IN ({types}) AND {value} BETWEEN {low} AND {high}"
    return f"CASE WHEN ({path}) IS NULL THEN 0 WHEN {fits} THEN {value} END"


_RATIOS = "(fields->'ratios')"
_MOST, _LARGEST = 1 << 53, 1e6  # as `trust.luck.family` has them: what is no trials there is none here

LUCK = f"""
        WITH brought AS (
            SELECT fields->>'symbol' AS symbol, fields->>'timeframe' AS timeframe, fields->>'data' AS data_digest,
                   fields->>'kind' AS kind, fields->>'digest' AS digest, line,
                   {_number("fields->'count'", 0, _MOST, whole=True)} AS trials,
                   {_number("fields->'failed'", 0, _MOST, whole=True)} AS failed,
                   {_number(f"{_RATIOS}->'count'", 0, _MOST, whole=True)} AS known,
                   {_number(f"{_RATIOS}->'mean'", -_LARGEST, _LARGEST)} AS mean,
                   {_number(f"{_RATIOS}->'variance'", 0, _LARGEST**2)} AS variance
            FROM ledger
            WHERE event = 'trials' AND (fields->'count') IS NOT NULL
              AND coalesce(json_type({_RATIOS}), 'OBJECT') = 'OBJECT'
              AND json_type(fields->'kind') = 'VARCHAR' AND json_type(fields->'origin') = 'VARCHAR'
              AND json_type(fields->'digest') = 'VARCHAR'),
        imported AS (
            SELECT {_SERIES},
                   max_by({{'trials': trials, 'known': known, 'mean': mean, 'variance': variance}},
                          (trials, line)) AS told
            FROM brought WHERE failed <= trials AND known <= trials AND mean IS NOT NULL AND variance IS NOT NULL
            GROUP BY {_SERIES}, kind, digest),
        ended AS (
            SELECT run_id, CASE WHEN event LIKE 'received%' THEN TRY_CAST(fields->>'end' AS JSON)
                                ELSE TRY_CAST(fields AS JSON) END AS told
            FROM ledger WHERE event IN ('sealed', 'failed', 'received', 'received_failed')),
        counted AS (  -- a sweep without an end that counts its trials has as many as it said last
            SELECT run_id, told FROM ended
            UNION ALL
            (SELECT run_id, TRY_CAST(fields AS JSON) FROM ledger
             WHERE event = 'tried' AND run_id NOT IN (SELECT run_id FROM ended WHERE (told->'trials') IS NOT NULL)
             QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY line DESC) = 1)),
        told AS (
            SELECT run_id, unnest(from_json(told->'trials_on', '["JSON"]')) AS fields FROM counted
            WHERE json_type(told->'trials') IN ('UBIGINT', 'BIGINT') AND json_type(told->'trials_on') = 'ARRAY'),
        names AS (
            SELECT DISTINCT fields->>'symbol' AS symbol, fields->>'timeframe' AS timeframe,
                   fields->>'data' AS data_digest, fields->>'unnamed' AS unnamed
            FROM (SELECT fields FROM told UNION ALL
                  SELECT told FROM ended WHERE json_type(told->'trials') IS NULL)
            WHERE json_type(fields->'unnamed') = 'VARCHAR' AND fields->>'unnamed' <> '' AND fields->>'symbol' <> ''
              AND fields->>'data' <> ''),
        noted AS (
            SELECT run_id, fields->>'symbol' AS symbol, fields->>'timeframe' AS timeframe,
                   fields->>'data' AS data_digest,
                   {_number("fields->'count'", 0, _MOST, whole=True)} AS trials,
                   {_number("fields->'results'", 0, _MOST, whole=True)} AS results,
                   {_number(f"{_RATIOS}->'count'", 0, _MOST, whole=True)} AS known,
                   {_number(f"{_RATIOS}->'mean'", -_LARGEST, _LARGEST)} AS mean,
                   {_number(f"{_RATIOS}->'variance'", 0, _LARGEST**2)} AS variance
            FROM told WHERE json_type(fields->'data') = 'VARCHAR'),
        engines AS (  -- on bars that nobody named: for each name that others gave them
            SELECT e.run_id, coalesce(n.symbol, e.symbol) AS symbol, e.timeframe,
                   coalesce(n.data_digest, e.data_digest) AS data_digest, e.* EXCLUDE (run_id, {_SERIES})
            FROM noted e LEFT JOIN names n
              ON e.symbol = '' AND e.timeframe = n.timeframe AND e.data_digest = n.unnamed),
        kept AS (  -- runs that are among their parent's trials
            SELECT DISTINCT run_id FROM (
                SELECT run_id, told->>'parent' AS parent FROM ended
                UNION ALL
                SELECT run_id, TRY_CAST(fields AS JSON)->>'parent' FROM ledger WHERE event = 'start')
            WHERE parent IN (SELECT run_id FROM counted WHERE (told->>'kind') = 'swept'
                             AND json_type(told->'trials') IN ('UBIGINT', 'BIGINT'))),
        series AS (SELECT DISTINCT {_SERIES} FROM runs WHERE data_digest IS NOT NULL),
        made AS (
            SELECT s.*, r.run_id FROM series s JOIN runs r USING (symbol, timeframe)
            WHERE (r.data_digest = s.data_digest OR (r.data_digest IS NULL AND r.sharpe IS NULL))
              AND r.run_id NOT IN (SELECT run_id FROM engines) AND r.run_id NOT IN (SELECT run_id FROM kept)),
        ratios AS (
            SELECT DISTINCT {_SERIES}, total_return, sharpe, max_drawdown, trades FROM runs
            WHERE abs(sharpe) < 1e6 AND data_digest IS NOT NULL AND run_id NOT IN (SELECT run_id FROM engines)
              AND run_id NOT IN (SELECT run_id FROM kept)),
        parts AS (
            SELECT {_SERIES}, count(*) AS known, avg(sharpe) AS mean, var_pop(sharpe) AS variance FROM ratios
            GROUP BY {_SERIES}
            UNION ALL
            SELECT {_SERIES}, told.known, told.mean, told.variance FROM imported WHERE told.known > 0
            UNION ALL
            SELECT * EXCLUDE (results)
            FROM (SELECT DISTINCT {_SERIES}, results, known, mean, variance FROM engines WHERE known > 0)),
        means AS (
            SELECT {_SERIES}, sum(known) AS known, sum(known * mean) / sum(known) AS mean FROM parts
            GROUP BY {_SERIES}),
        spreads AS (
            SELECT {_SERIES}, m.known,
                   CASE WHEN m.known > 1
                        THEN sum(p.known * (p.variance + pow(p.mean - m.mean, 2))) / (m.known - 1) END AS variance
            FROM parts p JOIN means m USING ({_SERIES}) GROUP BY {_SERIES}, m.known),
        counts AS (SELECT {_SERIES}, count(*) AS runs FROM made GROUP BY {_SERIES}),
        others AS (SELECT {_SERIES}, sum(told.trials) AS elsewhere FROM imported GROUP BY {_SERIES}),
        recorded AS (SELECT {_SERIES}, sum(trials) AS seen FROM engines GROUP BY {_SERIES}),
        families AS (
            SELECT {_SERIES}, coalesce(runs, 0) + coalesce(elsewhere, 0) + coalesce(seen, 0) AS trials, variance
            FROM series LEFT JOIN counts USING ({_SERIES}) LEFT JOIN others USING ({_SERIES})
            LEFT JOIN recorded USING ({_SERIES}) LEFT JOIN spreads USING ({_SERIES})),
        called AS (
            SELECT r.run_id, coalesce(min(n).symbol, r.symbol) AS symbol,
                   r.timeframe, coalesce(min(n).data_digest, r.data_digest) AS data_digest
            FROM runs r LEFT JOIN names n
              ON r.symbol = '' AND r.timeframe = n.timeframe AND r.data_digest = n.unnamed
            GROUP BY r.run_id, r.symbol, r.timeframe, r.data_digest),
        held AS (
            SELECT r.*, f.trials AS tried,
                   sqrt(coalesce(f.variance, r.periods_per_year / (r.bars - 2))) AS spread,
                   CASE WHEN tried > 1 THEN {_EXPECTED} ELSE 0 END AS expected
            FROM runs r JOIN called c USING (run_id)
            JOIN families f ON (f.symbol, f.timeframe, f.data_digest) = (c.symbol, c.timeframe, c.data_digest)
            WHERE r.sharpe IS NOT NULL AND r.skew IS NOT NULL AND r.periods_per_year > 0 AND r.bars > 3),
        measured AS (
            SELECT *, spread * expected AS hurdle,
                   1 - skew * sharpe / sqrt(periods_per_year)
                     + (kurtosis + 2) / 4 * sharpe * sharpe / periods_per_year AS squared_error
            FROM held),
        scored AS (
            SELECT *, (sharpe - hurdle) * sqrt((bars - 2) / (squared_error * periods_per_year)) AS score
            FROM measured WHERE squared_error > 0)
        SELECT strategy, symbol, timeframe, source, left(data_digest, 8) AS data, run_id, tried AS trials, sharpe,
               hurdle, probabilistic_sharpe, {cdf("score")} AS deflated_sharpe
        FROM scored ORDER BY deflated_sharpe DESC, run_id"""
"""What each run's Sharpe ratio is worth among all the trials on its bars: N as the lake knows it."""
