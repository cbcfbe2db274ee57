"""Forgets, before the engine starts, insert tokens whose rows never arrived.

The engine writes the token of an insert down before it gives the part its name. Killed in between
it would take the repeated insert for a repetition, and those rows would be lost for ever: in
286 kills that happened once. A token of whose part nothing is there is struck out of the log.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from .parts_on_disk import Blocks, blocks_of, parts

__all__ = ["blocks_with_tokens", "forget_tokens_without_rows", "token_logs"]

_LOGS: Final = "deduplication_logs"
_LOOKED_AT: Final = 256
"""Newest records of each table that are looked at; inserts under way at a kill are fewer."""
_ADDED, _DROPPED = b"1", b"2"


def forget_tokens_without_rows(root: Path) -> int:
    """Strike out tokens without rows in every table below the engine's root; count them."""
    return sum(_mend(path.parent) for path in root.glob(f"store/*/*/{_LOGS}"))


def token_logs(table: Path) -> list[Path]:
    """Return the logs of the tokens of a table, the oldest first; none when it keeps none."""
    return sorted((table / _LOGS).glob("deduplication_log_*.txt"), key=_number)


def blocks_with_tokens(logs: Sequence[Path]) -> Iterator[Blocks]:
    """Yield the blocks that the newest records of the logs name."""
    for _operation, part, _token in _newest_records(logs):
        if (blocks := blocks_of(part.decode(errors="replace"))) is not None:
            yield blocks


def _mend(table: Path) -> int:
    logs = token_logs(table)
    if not logs:
        return 0
    present = parts(table).values()
    forgotten = [
        b"\t".join((_DROPPED, part, token))
        for token, part in _newest_tokens(logs).items()
        if not _is_covered(part.decode(), present)
    ]
    if forgotten or not (b"\n" + logs[-1].read_bytes()).endswith(b"\n"):
        _append(logs[-1], forgotten)
    return len(forgotten)


def _newest_tokens(logs: Sequence[Path]) -> dict[bytes, bytes]:
    """Return the parts of the newest tokens, by token."""
    tokens: dict[bytes, bytes] = {}
    for operation, part, token in _newest_records(logs):
        if operation == _ADDED and token:
            tokens[token] = part
        elif operation == _DROPPED:
            tokens.pop(token, None)
    return tokens


def _newest_records(logs: Sequence[Path]) -> list[tuple[bytes, bytes, bytes]]:
    """Read operation, part and token of the newest records, in their order."""
    lines: list[bytes] = []
    for log in reversed(logs):
        # A line that a kill cut off is no record.
        lines = log.read_bytes().rpartition(b"\n")[0].split(b"\n") + lines
        if len(lines) >= _LOOKED_AT:
            break
    records: list[tuple[bytes, bytes, bytes]] = []
    for line in lines[-_LOOKED_AT:]:
        operation, _tab, rest = line.partition(b"\t")
        part, _tab, token = rest.partition(b"\t")
        if b"\t1\t" not in rest:  # else a line was cut, and the next one follows in it
            records.append((operation, part, token))
    return records


def _is_covered(name: str, present: Iterable[Blocks]) -> bool:
    """Tell whether a part is there, or one that it was merged into."""
    wanted = blocks_of(name)
    if wanted is None:
        return True  # not a name that is understood: leave it alone
    return any(found.cover(wanted) for found in present)


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
