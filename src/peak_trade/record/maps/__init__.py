"""What files of other engines look like: a declaration for each table, a short function for each document."""

from peak_trade.record.maps.form import NEEDS, OURS, Map
from peak_trade.record.maps.tables import TABLES

__all__ = ["NEEDS", "OURS", "TABLES", "Map"]
