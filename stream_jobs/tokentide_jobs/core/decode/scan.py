"""A linear look at the raw bytes: what the column parser silently forgives.

polars turns a number in a text field into text, takes the first of duplicate keys, and ignores what
it does not know. This scan finds every `"known_field":` in a buffer of JSON lines, so that the
decoder can prove that each parsed value came from exactly one key and each text from a JSON string.
It may suspect a good line (the judge then decides); it never overlooks a bad one.

Why it is complete: a JSON string holds no bare quote, so `"name":` is always a key; a key that is
written otherwise (whitespace before the colon, escaped letters) makes its line a suspect.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokentide_jobs.core.decode.columns import COLUMNS, parse_schema

PADDING: Final = b"\n" * 24
"""Around the lines of a buffer: eight-byte windows never leave it."""
_CHUNK_BYTES: Final = 1 << 20
"""Bytes looked at in one go: the intermediate arrays stay in the cache."""

_QUOTE, _COLON, _SPACE, _BACKSLASH, _U = (ord(sign) for sign in '": \\u')

_OTHER, _STRING, _NULL, _OBJECT, _LIST, _NUMBER, _BOOLEAN = range(7)
"""What a value begins with, and what a key may require of it."""
_BEGINNINGS: Final = {
    '"': _STRING, "n": _NULL, "{": _OBJECT, "[": _LIST, "t": _BOOLEAN, "f": _BOOLEAN,
} | dict.fromkeys("-0123456789", _NUMBER)  # fmt: skip
_REQUIRED_OF_KIND: Final = {
    "text": _STRING, "int": _NUMBER, "float": _NUMBER, "bool": _BOOLEAN, "texts": _LIST,
    "text_map": _OBJECT, "number_map": _OBJECT,
}  # fmt: skip
_CODE_OF_BYTE: Final = np.zeros(256, np.uint8)
_CODE_OF_BYTE[[ord(sign) for sign in _BEGINNINGS]] = list(_BEGINNINGS.values())

Positions = NDArray[np.int64]
Flags = NDArray[np.bool_]


class _Table:
    """A perfect hash table from eight masked bytes to the number of a key group."""

    def __init__(self, entries: dict[int, tuple[int, int]], shift: int) -> None:
        """Build from {bytes as integer: (group, mask)}; hashes the bytes above `shift` bits."""
        self._shift = np.uint64(shift)
        self._bits = 12
        multiplier = 0x9E3779B97F4A7C15
        while len({self._slot(key, multiplier, shift) for key in entries}) < len(entries):
            multiplier = (multiplier * 0xD1342543DE82EF95 + 2) | 1
            multiplier &= (1 << 64) - 1
        self._multiplier = np.uint64(multiplier)
        size = 1 << self._bits
        self.keys = np.ones(size, np.uint64)
        self.masks = np.zeros(size, np.uint64)
        self.groups = np.zeros(size, np.int64)
        for key, (group, mask) in entries.items():
            slot = self._slot(key, multiplier, shift)
            self.keys[slot], self.masks[slot], self.groups[slot] = key, mask, group

    def _slot(self, key: int, multiplier: int, shift: int) -> int:
        return (((key >> shift) * multiplier) & ((1 << 64) - 1)) >> (64 - self._bits)

    def slots(self, windows: NDArray[np.uint64]) -> Positions:
        """Return the slot of each window."""
        shifted = windows >> self._shift if self._shift else windows
        # As positions: numpy would make them of other integers in every look-up.
        return ((shifted * self._multiplier) >> np.uint64(64 - self._bits)).view(np.int64)


def _little_endian(text: bytes) -> int:
    return int.from_bytes(text.rjust(8, b"\0"), "little")


def _mask(length: int) -> int:
    """Return the mask of the last `length` of eight bytes."""
    if not length:
        return 0
    return ((1 << 64) - 1) ^ ((1 << 8 * (8 - length)) - 1)


class _Key(NamedTuple):
    """How a key differs from others with the same last eight bytes: the eight before those."""

    group: int
    mask: int
    expected: int


def _key_of(name: str, group: int) -> _Key:
    rest = (b'"' + name.encode())[:-8][-8:]
    return _Key(group, _mask(len(rest)), _little_endian(rest))


class _Keys:
    """The known keys, grouped by the (up to) eight bytes before their closing quote.

    Most groups hold one key. Keys of one group require the same of their value: where a tail is
    shared by keys that do not, each key is a group of its own, found by the eight bytes before.
    """

    def __init__(self) -> None:
        kinds = {column.name: column.kind for columns in COLUMNS.values() for column in columns}
        by_tail: dict[bytes, list[str]] = defaultdict(list)
        for name in parse_schema():
            by_tail[(b'"' + name.encode())[-8:]].append(name)
        self.groups: list[tuple[str, ...]] = []
        self.required: list[int] = []
        self.mixed: dict[int, list[_Key]] = {}
        self.tails = frozenset(by_tail)
        long: dict[int, tuple[int, int]] = {}
        short: dict[int, tuple[int, int]] = {}
        for tail, names in by_tail.items():
            required = [_REQUIRED_OF_KIND[kinds[name]] for name in names]
            group = len(self.groups)
            (long if len(tail) == 8 else short)[_little_endian(tail)] = (group, _mask(len(tail)))
            if len(set(required)) == 1:
                self.groups.append(tuple(names))
                self.required.append(required[0])
                continue
            self.groups.extend([(), *((name,) for name in names)])
            self.required.extend([_OTHER, *required])
            self.mixed[group] = [_key_of(name, group + 1 + i) for i, name in enumerate(names)]
        self.long, self.short = _Table(long, 0), _Table(short, 32)


_KEYS: Final = _Keys()
GROUPS: Final = _KEYS.groups
"""Names of the keys of every group."""
_REQUIRED: Final = np.array(_KEYS.required, np.uint8)
_IS_MIXED: Final = np.isin(np.arange(len(GROUPS) + 1), list(_KEYS.mixed))
"""By group; the last is that of the unknown, -1."""


def known_names(keys: Iterable[str]) -> int:
    """Return how many keys (of tags, say) the scan takes for known fields."""
    buffer = PADDING + b"".join(b'"' + key.encode() + b'"' for key in keys)
    lengths = np.array([len(key.encode()) + 2 for key in keys], np.int64)
    ends = np.cumsum(lengths) + len(PADDING) - 1
    return int(np.count_nonzero(_recognise(buffer, ends) >= 0))


@dataclass(frozen=True, slots=True)
class Scan:
    """What was seen in one buffer."""

    suspects: Positions
    """Positions inside lines that only the judge may decide about."""
    value_count: int
    """Known keys with a value other than null."""
    present: frozenset[str]
    """Fields that may occur; every field that does occur is among them."""
    null_quotes: Positions
    """Closing quotes of known keys whose value is null, with their groups."""
    null_groups: Positions
    value_quotes: Positions
    """Closing quotes of known keys with a value; filled only when asked for."""


def scan(buffer: bytes, with_positions: bool = False) -> Scan:
    """Look at a buffer of JSON lines that begins and ends with PADDING."""
    content = np.frombuffer(buffer, np.uint8)
    suspects: list[Positions] = [_escape_suspects(buffer, content)]
    null_quotes, null_groups, value_quotes = [], [], []
    value_count = 0
    seen = np.zeros(len(GROUPS), bool)
    for start in range(0, len(buffer), _CHUNK_BYTES):
        colons = np.flatnonzero(content[start : start + _CHUNK_BYTES] == _COLON) + start
        quotes, values, unusual = _keys_before(content, colons)
        suspects.append(unusual)
        groups = _recognise(buffer, quotes)
        known = groups >= 0
        if not known.all():
            quotes, values, groups = quotes[known], values[known], groups[known]
        seen[groups] = True
        first = content[values]
        if _SPACE in first:
            first = np.where(first == _SPACE, content[values + 1], first)
        codes = _CODE_OF_BYTE.take(first)
        is_null = codes == _NULL
        value_count += len(codes) - int(np.count_nonzero(is_null))
        required = _REQUIRED.take(groups)
        wrong = (required != codes) & ~is_null
        if wrong.any():
            suspects.append(quotes[wrong])
        if is_null.any():
            null_quotes.append(quotes[is_null])
            null_groups.append(groups[is_null])
        if with_positions:
            value_quotes.append(quotes[~is_null])
    return Scan(
        suspects=_joined(suspects),
        value_count=value_count,
        present=frozenset(name for group in np.flatnonzero(seen) for name in GROUPS[group]),
        null_quotes=_joined(null_quotes),
        null_groups=_joined(null_groups),
        value_quotes=_joined(value_quotes),
    )


def _joined(parts: list[Positions]) -> Positions:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _keys_before(
    content: NDArray[np.uint8], colons: Positions
) -> tuple[Positions, Positions, Positions]:
    """Return closing quotes of keys, where their values begin, and colons that look unusual."""
    before = content[colons - 1]
    is_key = before == _QUOTE
    if is_key.all():
        return colons - 1, colons + 1, colons[:0]
    rest = colons[~is_key]
    rest = rest[content[rest - 1] <= _SPACE]
    colons = colons[is_key]
    if not len(rest):
        return colons - 1, colons + 1, rest
    # `"key" : 1`, as PostgreSQL writes it, is fine; other whitespace there is left to the judge.
    two_before = content[rest - 2]
    spaced = rest[(content[rest - 1] == _SPACE) & (two_before == _QUOTE)]
    unusual = rest[(content[rest - 1] != _SPACE) | (two_before <= _SPACE)]
    quotes = np.concatenate((colons - 1, spaced - 2))
    return quotes, np.concatenate((colons + 1, spaced + 1)), unusual


def _recognise(buffer: bytes, quotes: Positions) -> Positions:
    """Return the group of each key that closes at `quotes`, -1 for a key that is not known."""
    windows = _windows(buffer)
    tails = windows[quotes - 8]
    slots = _KEYS.long.slots(tails)
    groups: Positions = np.where(
        _KEYS.long.keys.take(slots) == tails, _KEYS.long.groups.take(slots), -1
    )
    rest = np.flatnonzero(groups < 0)
    tails = tails[rest]
    slots = _KEYS.short.slots(tails)
    is_short = (tails & _KEYS.short.masks.take(slots)) == _KEYS.short.keys.take(slots)
    groups[rest] = np.where(is_short, _KEYS.short.groups.take(slots), -1)
    mixed = np.flatnonzero(_IS_MIXED.take(groups))
    if not len(mixed):
        return groups
    placed, before = groups[mixed], windows[quotes[mixed] - 16]
    exact = np.full(len(mixed), -1)
    for group, keys in _KEYS.mixed.items():
        for key in keys:
            is_key = (before & np.uint64(key.mask)) == np.uint64(key.expected)
            exact[is_key & (placed == group)] = key.group
    groups[mixed] = exact
    return groups


def _windows(buffer: bytes) -> NDArray[np.uint64]:
    """View a buffer as overlapping eight-byte integers."""
    return np.ndarray((len(buffer) - 7,), "<u8", buffer=buffer, strides=(1,))


def _escape_suspects(buffer: bytes, content: NDArray[np.uint8]) -> Positions:
    r"""Return escapes that could hide a key's letters, and surrogates: `\u0073`, `\ud83d`."""
    if b"\\" not in buffer:
        return np.empty(0, np.int64)
    escapes = np.flatnonzero(content == _BACKSLASH)
    escapes = escapes[content[escapes + 1] == _U]
    digits = [content[escapes + place] for place in (2, 3, 4)]
    is_ascii = (digits[0] == ord("0")) & (digits[1] == ord("0"))
    is_ascii &= (digits[2] >= ord("3")) & (digits[2] <= ord("7"))
    is_surrogate = ((digits[0] | 0x20) == ord("d")) & (digits[1] >= ord("8"))
    suspects: Positions = escapes[is_ascii | is_surrogate]
    return suspects


def key_ending_at(buffer: bytes, quotes: Positions, name: str) -> Flags:
    """Tell which of the keys that close at `quotes` (all of the group of `name`) are `name`."""
    windows = _windows(buffer)
    equal = np.ones(len(quotes), bool)
    rest = (b'"' + name.encode())[:-8]
    back = 16
    while rest:
        mask, expected = np.uint64(_mask(len(rest[-8:]))), np.uint64(_little_endian(rest[-8:]))
        equal &= (windows[quotes - back] & mask) == expected
        rest, back = rest[:-8], back + 8
    return equal
