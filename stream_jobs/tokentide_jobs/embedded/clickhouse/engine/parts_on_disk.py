"""What the directory of a table holds while no engine has it open: its parts, and which are whole.

chDB's engine goes on when a write fails, and gives the part its name with what did reach the disk.
`checksums.txt`, written last, says how long every file of a part must be; a shorter one was cut.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from ..exceptions import ClickHouseError
from ..wire.framing import FrameReader

__all__ = ["Blocks", "blocks_of", "cut_parts", "parts"]

_CHECKSUMS: Final = "checksums.txt"
_VERSION: Final = b"checksums format version: 4\n"
_LISTS: Final = ("columns.txt", "columns_substreams.txt")
_LIST_VERSIONS: Final = (b"columns format version: 1", b"columns substreams version: 1")
_HASH_BYTES: Final = 16
_PROJECTION: Final = ".proj"
"""Ending of a directory in a part, which is listed with the files and has a list of its own."""
_MAX_SHIFT: Final = 63
_UNKNOWN_CODEC: Final = 89


class Blocks(NamedTuple):
    """What a part's name says: the blocks it holds within a partition, and how it came about.

    Attributes:
        partition: Its partition's id.
        first: Number of its first block.
        last: Number of its last block.
        is_inserted: Whether an insert wrote it, and neither merge nor mutation since.
    """

    partition: str
    first: int
    last: int
    is_inserted: bool

    def cover(self, other: Blocks) -> bool:
        """Tell whether these blocks include all of the other's."""
        return (
            self.partition == other.partition
            and self.first <= other.first
            and other.last <= self.last
        )


def blocks_of(name: str) -> Blocks | None:
    """Read `partition_first_last_level` or `partition_first_last_level_mutation`."""
    partition, *numbers = name.split("_")
    if len(numbers) not in (3, 4) or not all(number.isdecimal() for number in numbers):
        return None
    is_inserted = len(numbers) == 3 and int(numbers[2]) == 0
    return Blocks(partition, int(numbers[0]), int(numbers[1]), is_inserted)


def parts(table: Path) -> dict[Path, Blocks]:
    """Return the directories in ``table`` that have the name of a part."""
    return {
        table / name: blocks
        for name in os.listdir(table)  # noqa: PTH208
        if (blocks := blocks_of(name)) is not None
    }


def cut_parts(table: Path) -> Iterator[Path]:
    """Find the parts of ``table`` of which some write did not reach the disk.

    A part whose checksums are of another version is taken for whole: the engine knows better.
    """
    for part in parts(table):
        if _is_cut(part):
            yield part


def _is_cut(part: Path) -> bool:
    with os.scandir(part) as entries:
        found = {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
    if _CHECKSUMS not in found:
        # Without it the engine does not take a part; a projection it would.
        return part.suffix == _PROJECTION
    data = (part / _CHECKSUMS).read_bytes()
    if not data.startswith(_VERSION):
        return not data or _VERSION.startswith(data)
    try:
        lengths = _lengths(b"".join(_unpacked(data[len(_VERSION) :])))
    except ClickHouseError as error:
        return error.code != _UNKNOWN_CODEC
    except IndexError:
        return True
    projections = [name for name in lengths if name.endswith(_PROJECTION)]
    if any(found.get(name, 0) < lengths[name] for name in lengths.keys() - projections):
        return True
    if any(not (part / name).is_dir() or _is_cut(part / name) for name in projections):
        return True
    # Files that are written after the checksums stand in no list; none of them is empty.
    if any(size == 0 and name not in lengths for name, size in found.items()):
        return True
    return any(_is_cut_list(part / name) for name in _LISTS if name in found)


def _is_cut_list(file: Path) -> bool:
    """Tell whether a list is shorter than it announces: `3 columns:`, `2 substreams for …:`."""
    version, *lines = file.read_bytes().split(b"\n")
    if version not in _LIST_VERSIONS:
        return any(known.startswith(version) for known in _LIST_VERSIONS)
    announced = 0
    for line in lines:
        count, _space, what = line.partition(b" ")
        if count.isdigit() and what.startswith((b"columns:", b"substreams for column ")):
            announced += int(count)
    # Besides what it announces: the count of columns, and nothing after the last end of a line.
    return lines[-1:] != [b""] or len(lines) < announced + 2


def _unpacked(frames: bytes) -> Iterator[bytes]:
    reader = FrameReader()
    yield from reader.feed(frames)
    reader.finish()


def _lengths(data: bytes) -> dict[str, int]:
    """Read the length of every file; raises IndexError when the list ends too early."""
    count, at = _varuint(data, 0)
    lengths: dict[str, int] = {}
    for _ in range(count):
        size, at = _varuint(data, at)
        name, at = data[at : at + size].decode(errors="surrogateescape"), at + size
        lengths[name], at = _varuint(data, at)
        at += _HASH_BYTES
        is_compressed, at = data[at], at + 1
        if is_compressed:
            _, at = _varuint(data, at)
            at += _HASH_BYTES
    return lengths


def _varuint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while data[at] & 0x80 and shift < _MAX_SHIFT:
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
    return value | data[at] << shift, at + 1
