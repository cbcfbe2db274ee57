"""Sets aside, before the engine starts, parts that no insert was ever acknowledged for.

Two kinds: a part of which some write failed, and a part whose token could not be written down, so
that the repeated insert would store its rows twice. Both stay in `detached/` of their table. A
merge that was cut loses nothing: the parts it was made of are still there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .insert_tokens import blocks_with_tokens, token_logs
from .parts_on_disk import cut_parts, parts

__all__ = ["LAST_GOOD_WRITES", "set_aside_unfinished_parts", "settle_last_good"]

LAST_GOOD_WRITES: Final = Path("last-good-writes")
"""Beside the store. Until its time of change no write had failed; it holds its own inode number."""

_PREFIX: Final = "broken-on-start_"
"""As the engine names what it sets aside itself, so that `system.detached_parts` gives a reason."""


def settle_last_good(home: Path) -> None:
    """Make the file again, for the engine that opens the store now."""
    path = home / LAST_GOOD_WRITES
    with contextlib.suppress(OSError):  # on a full disk there is none, and nothing is known
        path.touch()
        path.write_text(str(path.stat().st_ino))


def set_aside_unfinished_parts(home: Path) -> list[Path]:
    """Move unfinished parts of every table of ``home / "store"``; return where they are now."""
    good_ns = _last_good_ns(home)
    moved: list[Path] = []
    for table in _tables(home / "store"):
        moved += [_move(part) for part in cut_parts(table)]
        if good_ns is not None:
            moved += [_move(part) for part in _parts_without_token(table, good_ns)]
    return moved


def _last_good_ns(home: Path) -> int | None:
    """Return until when writes were good; None: not known, for instance of a copied store."""
    path = home / LAST_GOOD_WRITES
    if not path.exists() or path.read_text() != str(path.stat().st_ino):
        return None
    return path.stat().st_mtime_ns


def _tables(root: Path) -> list[Path]:
    # Databases below `data` are links into `store`, but for those of the engine itself.
    kinds = ("store/*/*/detached", "data/*/*/detached")
    found = (detached for kind in kinds for detached in root.glob(kind))
    return sorted({detached.parent.resolve() for detached in found})


def _parts_without_token(table: Path, good_ns: int) -> Iterator[Path]:
    """Find inserted parts of a table that notes tokens which no token stands for.

    An insert without a token is an ordinary one. But before it is acknowledged it is made sure that
    no write has failed, so a part that got its name later was never acknowledged.
    """
    logs = token_logs(table)
    if not logs:
        return
    noted = set(blocks_with_tokens(logs))
    for part, blocks in parts(table).items():
        if blocks.is_inserted and blocks not in noted and part.stat().st_ctime_ns > good_ns:
            yield part


def _move(part: Path) -> Path:
    detached = part.parent / "detached"
    target, attempt = detached / f"{_PREFIX}{part.name}", 0
    while target.exists():
        attempt += 1
        target = detached / f"{_PREFIX}{part.name}_try{attempt}"
    return part.rename(target)
