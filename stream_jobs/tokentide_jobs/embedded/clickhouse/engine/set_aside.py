"""Sets aside, before the engine starts, parts that no insert was ever acknowledged for.

Two kinds: a part of which some write failed, and a part whose token was not written down, so that
the repeated insert would store its rows twice. Both stay in `detached/` of their table. A merge
that was cut loses nothing: the parts it was made of are still there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .insert_tokens import blocks_with_tokens, is_cut, token_logs
from .parts_on_disk import cut_parts, parts

__all__ = ["set_aside_unfinished_parts"]

_PREFIX: Final = "broken-on-start_"
"""As the engine names what it sets aside itself, so that `system.detached_parts` gives a reason."""


def set_aside_unfinished_parts(root: Path) -> list[Path]:
    """Move unfinished parts of every table below the engine's root; return where they are now."""
    moved: list[Path] = []
    for table in _tables(root):
        moved += [_move(part) for part in cut_parts(table)]
        moved += [_move(part) for part in _parts_without_token(table)]
    return moved


def _tables(root: Path) -> list[Path]:
    found = (
        path.parent for kind in ("store", "data") for path in root.glob(f"{kind}/*/*/detached")
    )
    return sorted({table.resolve() for table in found})


def _parts_without_token(table: Path) -> Iterator[Path]:
    """Find inserted parts that should have a token and have none.

    The token is written after the files of its part. A part with a higher block than every part in
    the logs, and newer than the newest log or beside one that was cut, was named although its token
    could not be written. A part that somebody attached is older than that log.
    """
    logs = token_logs(table)
    if not logs:
        return
    newest_block = max((blocks.last for blocks in blocks_with_tokens(logs)), default=0)
    newest_ns = 0 if is_cut(logs[-1]) else logs[-1].stat().st_mtime_ns
    for part, blocks in parts(table).items():
        if blocks.is_inserted and blocks.first > newest_block:
            checksums = part / "checksums.txt"
            if checksums.exists() and checksums.stat().st_mtime_ns > newest_ns:
                yield part


def _move(part: Path) -> Path:
    detached = part.parent / "detached"
    target, attempt = detached / f"{_PREFIX}{part.name}", 0
    while target.exists():
        attempt += 1
        target = detached / f"{_PREFIX}{part.name}_try{attempt}"
    return part.rename(target)
