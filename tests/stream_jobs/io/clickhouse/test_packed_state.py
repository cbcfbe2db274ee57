"""A packed state is what was stored, or a ValueError: a worker then begins without it."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tokentide_jobs.io.clickhouse.detector_store import packed_state, unpacked_state

STATE = bytes(range(256)) * 2


def older(state: bytes) -> bytes:
    """Return a state as it was packed before it had a digest."""
    packed: bytes = pa.compress(state, codec="zstd", asbytes=True)
    return len(packed).to_bytes(8, "little") + len(state).to_bytes(8, "little") + packed


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("state", [b"", b"x", STATE])
def test_a_state_comes_back_also_from_a_version_without_a_digest(state: bytes) -> None:
    assert unpacked_state(packed_state(state)) == state
    assert unpacked_state(older(state)) == state


def test_any_bit_that_flips_is_found() -> None:
    packed = packed_state(STATE)
    for bit in range(len(packed) * 8):
        with pytest.raises(ValueError, match="packed state"):
            unpacked_state(flipped(packed, bit))


def test_a_state_that_was_cut_is_found() -> None:
    packed = packed_state(STATE)
    for length in range(1, len(packed)):
        with pytest.raises(ValueError, match="packed state"):
            unpacked_state(packed[:length])


def test_damage_to_one_without_a_digest_is_found_or_is_at_least_no_other_error() -> None:
    packed, refused = older(STATE), 0
    for bit in range(len(packed) * 8):
        try:
            unpacked_state(flipped(packed, bit))
        except ValueError:
            refused += 1
    assert refused
