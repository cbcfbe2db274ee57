"""Named parts of bytes as one: what a snapshot is made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

__all__ = ["pack", "unpack"]

_LENGTH: Final = 8


def pack(parts: Mapping[str, bytes]) -> bytes:
    """Return parts as one: their names and lengths, then they themselves."""
    head = json.dumps([[name, len(part)] for name, part in parts.items()]).encode()
    return b"".join((len(head).to_bytes(_LENGTH, "little"), head, *parts.values()))


def unpack(data: bytes) -> dict[str, bytes]:
    """Return the parts that were packed.

    Raises:
        ValueError: These bytes are not whole.
    """
    begin = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
    parts: dict[str, bytes] = {}
    for name, length in json.loads(data[_LENGTH:begin]):
        parts[name] = data[begin : begin + length]
        begin += length
    if begin != len(data):
        raise ValueError(f"packed parts end at {begin} of {len(data)} bytes")
    return parts
