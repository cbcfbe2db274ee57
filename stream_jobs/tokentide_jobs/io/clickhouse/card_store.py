"""Card tables in ClickHouse: written once before their first use, read back whole.

A row's `price_version` is worth something only while its cards can be found again, so a version is
stored before anything is priced with it, and `price_versions` lists only complete ones.
"""

from __future__ import annotations

import pyarrow as pa

from tokentide_jobs.core.price.card_rows import CARD_COLUMNS, CardRow, from_rows, to_rows
from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.core.tables import PRICE_CARDS, PRICE_VERSIONS
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.error_codes import SinkMisconfigured

__all__ = ["load_cards", "stored_versions", "write_cards"]

_UNSIGNED = ("position", "entry", "card", "source_line")
_SIGNED = (
    "valid_from_us",
    "valid_to_us",
    "daily_from_us",
    "daily_to_us",
    "above_input_tokens",
    "rate_pico_usd",
)
_SCHEMA = pa.schema(
    pa.field(
        name,
        pa.uint32() if name in _UNSIGNED else pa.int64() if name in _SIGNED else pa.string(),
    )
    for name in CARD_COLUMNS
)


def write_cards(store: ClickHouse, cards: CardTable, worker: str) -> bool:
    """Store a card table unless its version is stored already.

    Args:
        store: Where to.
        cards: The table.
        worker: `host:pid`, for `price_versions`.

    Returns:
        Whether it was written now. Raises as `ClickHouse.insert` does; call again to finish.
    """
    version = cards.price_version
    if version in stored_versions(store):
        return False
    rows = to_rows(cards)
    store.insert(PRICE_CARDS, pa.Table.from_pylist(rows, _SCHEMA), f"{PRICE_CARDS}/{version}")
    summary = {
        "price_version": [version],
        "cards": pa.array([len(rows)], pa.uint32()),
        "models": pa.array([sum(len(p.models) for p in cards.providers)], pa.uint32()),
        "overrides": pa.array([len(cards.overrides)], pa.uint32()),
        "worker": [worker],
    }
    store.insert(PRICE_VERSIONS, pa.table(summary), f"{PRICE_VERSIONS}/{version}")
    return True


def stored_versions(store: ClickHouse) -> list[str]:
    """Return the complete versions, the latest first."""
    return [row["price_version"] for row in store.select("prices/versions")]


def load_cards(store: ClickHouse, price_version: str) -> CardTable:
    """Read the card table of a version.

    Raises:
        SinkMisconfigured: The version is not stored: an intent or row names cards that are gone.
        InvariantViolation: Its rows are damaged.
    """
    found = store.select_arrow("prices/cards", {"price_version": price_version})
    if found.num_rows == 0:
        known = ", ".join(stored_versions(store)[:5]) or "none"
        raise SinkMisconfigured(
            f"price version {price_version!r} is not in {store.database}.{PRICE_CARDS} "
            f"(stored: {known}): restore its rows from a backup",
            None,
        )
    columns = [found.column(name).to_pylist() for name in CARD_COLUMNS]
    rows: list[CardRow] = []
    for values in zip(*columns, strict=True):
        texts = (value.decode() if isinstance(value, bytes) else value for value in values)
        rows.append(CardRow(**dict(zip(CARD_COLUMNS, texts, strict=True))))  # type: ignore[typeddict-item]
    return from_rows(rows)
