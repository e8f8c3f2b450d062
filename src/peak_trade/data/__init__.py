"""What enters a run: bars (`ohlcv`), their contract (`contract`) and calendar (`calendar`); what leaves it: `trades`."""
