"""TradingView's list of trades in each of its forms: two rows a trade, the money in the header."""

from __future__ import annotations

FIRST = """Trade #,Type,Signal,Date/Time,Price,Contracts,Profit,Profit %,Cum. Profit,Cum. Profit %,Run-up,Run-up %,\
Drawdown,Drawdown %
1,Entry Long,Long,2024-01-03 15:00,100,2,19.6,9.8,19.6,1.96,30,15,5,2.5
1,Exit Long,Close,2024-01-05 09:00,110,2,19.6,9.8,19.6,1.96,30,15,5,2.5
2,Entry Short,Short,2024-01-05 09:00,110,1,-10.23,-9.3,9.37,0.94,1,1,12,11
2,Exit Short,Close,2024-01-08 21:00,120,1,-10.23,-9.3,9.37,0.94,1,1,12,11
"""
SECOND = """Trade #,Type,Signal,Date/Time,Price USDT,Contracts,Profit USDT,Profit %,Cumulative profit USDT,\
Cumulative profit %,Run-up USDT,Run-up %,Drawdown USDT,Drawdown %
1,Entry long,Long,2024-01-03 15:00,100,2,,,,,,,,
1,Exit long,Close,2024-01-05 09:00,110,2,19.6,9.8,19.6,1.96,30,15,5,2.5
2,Entry short,Short,2024-01-05 09:00,110,1,,,,,,,,
2,Exit short,Close,2024-01-08 21:00,120,1,-10.23,-9.3,9.37,0.94,1,1,12,11
"""
THIRD = """Trade #,Type,Date and time,Signal,Price USDT,Position size (qty),Position size (value),Net P&L USDT,\
Net P&L %,Favorable excursion USDT,Favorable excursion %,Adverse excursion USDT,Adverse excursion %,\
Cumulative P&L USDT,Cumulative P&L %
2,Exit short,2024-01-08 21:00,Close,120,1,110,-10.23,-9.3,1,1,-12,-11,9.37,0.94
2,Entry short,2024-01-05 09:00,Short,110,1,110,-10.23,-9.3,1,1,-12,-11,9.37,0.94
1,Exit long,2024-01-05 09:00,Close,110,2,200,19.6,9.8,30,15,-5,-2.5,19.6,1.96
1,Entry long,2024-01-03 15:00,Long,100,2,200,19.6,9.8,30,15,-5,-2.5,19.6,1.96
"""
LATEST = """Trade number,Type,Date and time,Signal,Price USD,Size (qty),Size (value),Net PnL USD,Return %,\
Commission USD,Cumulative PnL USD,Cumulative PnL %,Duration (bars)
1,Exit long,2024-01-05 09:00,Close,110,2,200,19.58,9.79,0.42,19.58,1.96,42
1,Entry long,2024-01-03 15:00,Long,100,2,200,19.58,9.79,0.42,19.58,1.96,42
2,Exit short,2024-01-08 21:00,Close,120,1,110,-10.23,-9.3,0.23,9.35,0.94,84
2,Entry short,2024-01-05 09:00,Short,110,1,110,-10.23,-9.3,0.23,9.35,0.94,84
"""
GERMAN = """Trade #;Type;Signal;Date/Time;Price EUR;Contracts;Profit EUR
1;Entry long;Long;2024-01-03 15:00;1.100,50;2;—
1;Exit long;Close;2024-01-05 09:00;1.110,50;2;(20,25)
"""
