"""Forgets, before the engine starts, insert tokens whose rows never arrived.

The engine writes the token of an insert down before it gives the part its name. Killed in between
it would take the repeated insert for a repetition, and those rows would be lost for ever: in
286 kills that happened once. A token of whose part nothing is there is struck out of the log.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["forget_tokens_without_rows"]

_LOOKED_AT: Final = 256
"""Newest records of each table that are looked at; inserts under way at a kill are fewer."""
_ADDED, _DROPPED = b"1", b"2"


class _Blocks(NamedTuple):
    """What a part's name says: a range of blocks within a partition."""

    partition: str
    first: int
    last: int


def forget_tokens_without_rows(store: Path) -> int:
    """Strike out tokens without rows in every table of a store; return how many there were."""
    return sum(_mend(logs) for logs in store.glob("*/*/deduplication_logs"))


def _mend(logs: Path) -> int:
    files = sorted(logs.glob("deduplication_log_*.txt"), key=_number)
    if not files:
        return 0
    newest = files[-1]
    present = [blocks for name in os.listdir(logs.parent) if (blocks := _blocks(name))]  # noqa: PTH208
    forgotten = [
        b"\t".join((_DROPPED, part, token))
        for token, part in _newest_tokens(files).items()
        if not _is_covered(part.decode(), present)
    ]
    if forgotten:
        _append(newest, forgotten)
    return len(forgotten)


def _newest_tokens(files: Iterable[Path]) -> dict[bytes, bytes]:
    """Return the parts of the newest tokens, by token."""
    lines: list[bytes] = []
    for file in reversed(list(files)):
        # A line that a kill cut off is no record.
        whole = file.read_bytes().rpartition(b"\n")[0].split(b"\n")
        lines = whole + lines
        if len(lines) >= _LOOKED_AT:
            break
    tokens: dict[bytes, bytes] = {}
    for line in lines[-_LOOKED_AT:]:
        operation, _tab, rest = line.partition(b"\t")
        part, _tab, token = rest.partition(b"\t")
        if operation == _ADDED and token:
            tokens[token] = part
        elif operation == _DROPPED:
            tokens.pop(token, None)
    return tokens


def _is_covered(name: str, present: Iterable[_Blocks]) -> bool:
    """Tell whether a part is there, or one that it was merged into."""
    wanted = _blocks(name)
    if wanted is None:
        return True  # not a name that is understood: leave it alone
    return any(
        found.partition == wanted.partition
        and found.first <= wanted.first
        and wanted.last <= found.last
        for found in present
    )


def _blocks(name: str) -> _Blocks | None:
    """Read `partition_first_last_level` or `partition_first_last_level_mutation`."""
    partition, *numbers = name.split("_")
    if len(numbers) not in (3, 4) or not all(number.isdecimal() for number in numbers):
        return None
    return _Blocks(partition, int(numbers[0]), int(numbers[1]))


def _append(file: Path, lines: list[bytes]) -> None:
    with file.open("r+b") as log:
        content = log.read()
        log.truncate(content.rfind(b"\n") + 1)
        log.seek(0, os.SEEK_END)
        log.write(b"".join(line + b"\n" for line in lines))
        log.flush()
        os.fsync(log.fileno())


def _number(file: Path) -> int:
    digits = file.stem.rpartition("_")[2]
    return int(digits) if digits.isdecimal() else -1
