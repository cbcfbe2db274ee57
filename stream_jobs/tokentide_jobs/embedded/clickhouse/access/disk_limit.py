"""Refuses what writes while the disk is nearly full; what makes room goes through.

The engine refuses inserts into tables of the MergeTree family by itself. Every other write on a
full disk, a definition above all, may leave a cut file with which it does not open its store again.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from ..exceptions import ClickHouseError
from .policy import READING
from .statement import Statement

__all__ = ["check_free_space"]

_NEEDS_NO_SPACE: Final = READING | {
    "DropQuery", "DropFunctionQuery", "TruncateQuery", "KillQueryQuery", "CheckQuery", "SYSTEM",
}  # fmt: skip
_FREEING_ALTERS: Final = {"DROP_PARTITION", "DROP_DETACHED_PARTITION"}


def check_free_space(statement: Statement, directory: Path, min_free_bytes: int) -> None:
    """Refuse a statement that may write, with less free than is kept.

    Raises:
        ClickHouseError: 243, as the engine does for an insert.
    """
    if statement.kind in _NEEDS_NO_SPACE or _only_frees_space(statement):
        return
    free_bytes = shutil.disk_usage(directory).free
    if free_bytes < min_free_bytes:
        raise ClickHouseError(
            243,
            f"Could not perform {statement.kind}, not enough available space on disk. "
            f"Total available space: {free_bytes} bytes, kept free: {min_free_bytes} bytes. "
            "DROP makes room",
        )


def _only_frees_space(statement: Statement) -> bool:
    return bool(statement.alters) and statement.alters <= _FREEING_ALTERS
