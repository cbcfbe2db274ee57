"""Card tables by price version: this worker's own, and those of intents it has to finish.

An adopted batch is priced with the cards of its intent, whatever this worker's prices file has.
"""

from __future__ import annotations

import threading

from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.io.clickhouse.card_store import load_cards
from tokentide_jobs.io.clickhouse.client import ClickHouse

__all__ = ["CardCache"]


class CardCache:
    """Looks card tables up, and remembers them. Safe to share by threads.

    Args:
        store: Where foreign versions are found.
        own: The table in force here.
    """

    def __init__(self, store: ClickHouse, own: CardTable) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._tables = {own.price_version: own}

    def of_version(self, price_version: str) -> CardTable:
        """Return the table of that version.

        Raises:
            RetriableSinkError: ClickHouse does not answer.
            SinkMisconfigured: ClickHouse does not know the version.
        """
        with self._lock:
            known = self._tables.get(price_version)
        if known is None:
            known = load_cards(self._store, price_version)
            with self._lock:
                self._tables[price_version] = known
        return known
