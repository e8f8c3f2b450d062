"""What freqtrade writes: a result of a backtest in several versions, and the epochs of a hyperopt."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any


def trade(
    pair: str, opened: int, closed: int, bought: float, sold: float, amount: float, **more: Any
) -> dict[str, Any]:
    """Return a trade as of 2024: its profit is what is left of the price's move after a fee of 0.1 % on either side."""
    short = more.get("is_short", False)
    gross = (bought - sold if short else sold - bought) * amount
    profit = gross - 0.001 * amount * (bought + sold)
    return {
        "pair": pair, "stake_amount": bought * amount, "max_stake_amount": bought * amount, "amount": amount,
        "open_date": "2024-01-01 00:00:00+00:00", "close_date": "2024-01-01 05:00:00+00:00", "open_rate": bought,
        "close_rate": sold, "fee_open": 0.001, "fee_close": 0.001, "trade_duration": 300,
        "profit_ratio": profit / (bought * amount), "profit_abs": profit, "exit_reason": "exit_signal",
        "initial_stop_loss_abs": 90.0, "initial_stop_loss_ratio": -0.1, "stop_loss_abs": 90.0,
        "stop_loss_ratio": -0.1, "min_rate": 99.0, "max_rate": 111.0, "is_open": False, "enter_tag": "",
        "leverage": 1.0, "is_short": short, "open_timestamp": opened, "close_timestamp": closed,
        "orders": [{"amount": amount, "safe_price": bought, "ft_order_side": "buy", "cost": 1.0}],
        "funding_fees": 0.0, "weekday": 0,
    } | more  # fmt: skip


HOUR = 3_600_000
START = 1_704_067_200_000  # 2024-01-01


def strategy(**more: Any) -> dict[str, Any]:
    """Return one strategy's part of a result."""
    return {
        "trades": [
            trade("BTC/USDT", START, START + 5 * HOUR, 100.0, 110.0, 2.0),
            trade("ETH/USDT", START + HOUR, START + 3 * HOUR, 50.0, 49.0, 4.0, exit_reason="stop_loss"),
            trade("ETH/USDT", START + 6 * HOUR, START + 9 * HOUR, 50.0, 45.0, 4.0, is_short=True, exit_reason="roi"),
            trade("BTC/USDT", START + 7 * HOUR, START + 9 * HOUR, 110.0, 110.0, 1.0, exit_reason="force_exit"),
        ],
        "timeframe": "1h", "stake_currency": "USDT", "starting_balance": 1000.0, "final_balance": 1034.974,
        "total_trades": 4, "sharpe": 1.23, "profit_total": 0.034974, "max_drawdown_account": 0.01,
        "backtest_start": "2024-01-01 00:00:00", "locks": [],
    } | more  # fmt: skip


def result(**strategies: dict[str, Any]) -> dict[str, Any]:
    """Return a result of one strategy, or of those that are named."""
    named = strategies or {"Awesome": strategy()}
    return {"metadata": {name: {"run_id": "1"} for name in named}, "strategy": named, "strategy_comparison": []}


def packed(tree: dict[str, Any], *, params: dict[str, Any] | None = None) -> bytes:
    """Return a zip as freqtrade writes it since 2025: result, config, code, and parameters."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("backtest-result-2024-01-02_00-00-00_config.json", json.dumps({"stake_currency": "USDT"}))
        archive.writestr("backtest-result-2024-01-02_00-00-00.json", json.dumps(tree))
        archive.writestr("backtest-result-2024-01-02_00-00-00_Awesome.py", "raise SystemExit('never run')")
        archive.writestr("backtest-result-2024-01-02_00-00-00_market_change.feather", b"ARROW1")
        if params is not None:
            told = {"strategy_name": "Awesome", "params": params, "ft_stratparam_v": 1}
            archive.writestr("backtest-result-2024-01-02_00-00-00_Awesome.json", json.dumps(told))
    return stream.getvalue()


def of_2021() -> dict[str, Any]:
    """Return a result as of 2021: `sell_reason`, no shorts, `profit_percent`."""
    old = []
    for one in strategy()["trades"][:2]:
        one = dict(one)
        one["sell_reason"] = {"exit_signal": "sell_signal"}.get(one.pop("exit_reason"), "stop_loss")
        for key in ("is_short", "leverage", "funding_fees", "orders", "weekday", "max_stake_amount"):
            del one[key]
        old.append(one)
    return {"strategy": {"Awesome": strategy(trades=old)}, "strategy_comparison": []}


def epochs() -> str:
    """Return three epochs of a hyperopt, a line each; the second has the lowest loss."""
    lines = []
    for number, (loss, fast) in enumerate(((-1.0, 10), (-3.5, 12), (2.0, 99)), 1):
        metrics = {"total_trades": 10 * number, "profit_total": -loss / 100, "starting_balance": 1000,
                   "strategy_name": "Awesome", "sharpe": -loss}  # fmt: skip
        lines.append({
            "loss": loss, "params_dict": {"fast": fast, "roi_t1": 30}, "params_details": {"buy": {"fast": fast}},
            "results_metrics": metrics, "results_explanation": "…", "total_profit": -loss, "current_epoch": number,
            "is_initial_point": number == 1, "is_random": False, "is_best": number == 2,
        })  # fmt: skip
    return "".join(json.dumps(line) + "\n" for line in lines)
