"""Card tables in ClickHouse: written once before their first use, read back whole.

A row's `price_version` is worth something only while its cards can be found again, so a version is
stored before anything is priced with it, and `price_versions` lists only complete ones.
"""

# ruff: noqa: S608 -- the database name is validated by the settings; every value is a parameter
from __future__ import annotations

import pyarrow as pa

from tokentide_jobs.core.price.card_rows import CARD_COLUMNS, CardRow, from_rows, to_rows
from tokentide_jobs.core.price.cards import CardTable
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
    store.insert("price_cards", pa.Table.from_pylist(rows, _SCHEMA), f"price_cards/{version}")
    summary = {
        "price_version": [version],
        "cards": pa.array([len(rows)], pa.uint32()),
        "models": pa.array([sum(len(p.models) for p in cards.providers)], pa.uint32()),
        "overrides": pa.array([len(cards.overrides)], pa.uint32()),
        "worker": [worker],
    }
    store.insert("price_versions", pa.table(summary), f"price_versions/{version}")
    return True


def stored_versions(store: ClickHouse) -> list[str]:
    """Return the complete versions, the latest first."""
    rows = store.rows(
        "SELECT price_version FROM "
        f"(SELECT price_version, min(written_at) AS first FROM `{store.database}`.price_versions "
        "GROUP BY price_version) ORDER BY first DESC, price_version"
    )
    return [str(row[0]) for row in rows]


def load_cards(store: ClickHouse, price_version: str) -> CardTable:
    """Read the card table of a version.

    Raises:
        SinkMisconfigured: The version is not stored: an intent or row names cards that are gone.
        InvariantViolation: Its rows are damaged.
    """
    found = store.arrow(
        f"SELECT {', '.join(CARD_COLUMNS)} FROM `{store.database}`.price_cards "
        "WHERE price_version = {version:String} ORDER BY position LIMIT 1 BY position",
        {"version": price_version},
    )
    if found.num_rows == 0:
        known = ", ".join(stored_versions(store)[:5]) or "none"
        raise SinkMisconfigured(
            f"price version {price_version!r} is not in {store.database}.price_cards "
            f"(stored: {known}): restore its rows from a backup",
            None,
        )
    columns = [found.column(name).to_pylist() for name in CARD_COLUMNS]
    rows: list[CardRow] = []
    for values in zip(*columns, strict=True):
        texts = (value.decode() if isinstance(value, bytes) else value for value in values)
        rows.append(CardRow(**dict(zip(CARD_COLUMNS, texts, strict=True))))  # type: ignore[typeddict-item]
    return from_rows(rows)
