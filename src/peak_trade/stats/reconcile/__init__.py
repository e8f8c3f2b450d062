"""An engine's own figures beside ours, and the convention that explains each difference.

In reading order: `ways` (the conventions, each a named choice), `measures` (a figure worked out in one way), `names`
(which engine calls which figure what), `reconcile` (what explains what).
"""

from __future__ import annotations

from peak_trade.stats.reconcile.names import as_markdown
from peak_trade.stats.reconcile.reconcile import EDITION, NAME, reconcile

__all__ = ["EDITION", "NAME", "as_markdown", "reconcile"]
