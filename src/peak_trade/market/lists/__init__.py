"""Lists of trades made elsewhere: by a broker, an exchange, or another engine.

`maps` declares which columns mean what, one row of a table for each source; `reading` takes a file to `Listed`;
`fills` makes trades of lists that have single buys and sells. Nothing is executed or unpickled.
"""

from peak_trade.market.lists.maps import MAPS, Map
from peak_trade.market.lists.reading import Listed, read_list

__all__ = ["MAPS", "Listed", "Map", "read_list"]
