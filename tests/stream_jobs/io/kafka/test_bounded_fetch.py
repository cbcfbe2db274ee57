"""Record batches that are small on the wire and huge in memory."""

from __future__ import annotations

import hashlib
import random
import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sampling import examples
from tokentide_jobs.core.record.split import MAX_RECORD_BYTES
from tokentide_jobs.core.record.stand_in import KEPT_BYTES, read_stand_in
from tokentide_jobs.io.kafka import bounded_fetch
from tokentide_jobs.io.kafka.bounded_fetch import BoundedRecords
from tokentide_jobs.io.kafka.decompressing import GZIP, LZ4, SNAPPY, ZSTD, largest_size, pieces

CODECS = (0, GZIP, SNAPPY, LZ4, ZSTD)
Records = Sequence[tuple[bytes | None, bytes | None]]


def batch(codec: int, records: Records, base_offset: int = 0) -> bytes:
    """One record batch as a broker sends it."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=False,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 30,
    )
    for number, (key, value) in enumerate(records):
        builder.append(number, 1_000 + number, key, value, [("header", b"x")])
    made = bytearray(builder.build())
    made[:8] = base_offset.to_bytes(8, "big")
    return bytes(made)


def read(records: Any) -> list[tuple[Any, ...]]:
    """Everything a fetch holds."""
    found = []
    while records.has_next():
        one = records.next_batch()
        assert one.validate_crc()
        found += [
            (record.offset, record.timestamp, record.timestamp_type, record.key, record.value)
            for record in one
        ]
    return found


@pytest.mark.parametrize("codec", CODECS)
@settings(max_examples=examples(10), deadline=None)
@given(
    records=st.lists(
        st.tuples(
            st.none() | st.binary(max_size=20),
            st.none() | st.binary(max_size=300) | st.integers(0, 300_000).map(bytes),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_records_read_piece_by_piece_are_those_that_aiokafka_reads(
    codec: int, records: Records
) -> None:
    data = batch(codec, records, 40) + batch(codec, records, 80)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounded_fetch, "_LARGE_BYTES", -1)
        assert read(BoundedRecords(data)) == read(MemoryRecords(data))
    assert read(BoundedRecords(data)) == read(MemoryRecords(data))


@pytest.mark.parametrize("codec", CODECS[1:])
@settings(max_examples=examples(15), deadline=None)
@given(seed=st.integers(0, 2**32), size=st.integers(0, 400_000), alphabet=st.integers(1, 256))
def test_no_payload_decompresses_to_more_than_its_headers_allow(
    codec: int, seed: int, size: int, alphabet: int
) -> None:
    value = bytes(random.Random(seed).choices(range(alphabet), k=size))
    payload = memoryview(batch(codec, [(None, value)]))[61:]
    whole = b"".join(pieces(codec, payload))
    assert value in whole
    assert largest_size(codec, payload) >= len(whole)


@pytest.mark.parametrize("codec", [LZ4, ZSTD, SNAPPY, GZIP])
def test_ordinary_batches_are_left_to_aiokafka(codec: int) -> None:
    chance = random.Random(1)
    line = b'{"event_id":"%032x","service":"chat","provider":"openai","input_tokens":100}\n'
    frame = b"".join(line % chance.getrandbits(128) for _ in range(2_000))
    records = BoundedRecords(batch(codec, [(None, frame)] * 4))
    assert records._is_large == [False]
    assert not records.is_heavy


@pytest.mark.parametrize("codec", [GZIP, LZ4, ZSTD])
def test_two_hundred_megabytes_of_zeros_are_one_bad_event_and_no_memory(codec: int) -> None:
    size = 200_000_000
    data = batch(codec, [(b"k", b'{"a":1}'), (b"k", bytes(size)), (None, b'{"b":2}')], 7)
    records = BoundedRecords(data)
    assert records.is_heavy
    tracemalloc.start()
    (_, first), (_, bomb), (_, last) = [(row[0], row[4]) for row in read(records)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (first, last) == (b'{"a":1}', b'{"b":2}')
    found = read_stand_in(bomb)
    assert found is not None
    refusal, beginning = found
    assert refusal.reason == "too_large"
    assert f"{size} bytes" in refusal.detail
    assert hashlib.sha256(bytes(size)).hexdigest() in refusal.detail
    assert beginning == bytes(KEPT_BYTES)
    assert peak < 20_000_000


def test_the_longest_record_is_still_read() -> None:
    value = bytes(MAX_RECORD_BYTES)
    assert read(BoundedRecords(batch(ZSTD, [(None, value)])))[0][4] == value


def test_what_comes_after_too_much_keeps_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_fetch, "_MOST_READ_BYTES", 30_000_000)
    data = batch(ZSTD, [(None, bytes(20_000_000))] * 3 + [(None, b"{}")], 5)
    found = read(BoundedRecords(data))
    assert [row[0] for row in found] == [5, 6, 7, 8]
    assert [read_stand_in(row[4]) is None for row in found] == [True, True, False, False]


def test_of_a_record_without_end_only_so_much_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_fetch, "_MOST_READ_BYTES", 40_000_000)
    found = read(BoundedRecords(batch(ZSTD, [(None, bytes(300_000_000)), (None, b"{}")], 5)))
    assert [row[0] for row in found] == [5, 6]
    details = [stand_in[0].detail for row in found if (stand_in := read_stand_in(row[4]))]
    assert len(details) == 2
    assert "300000000 bytes" in details[0]
    assert "of the first 40000000 bytes" in details[0]


@pytest.mark.parametrize("codec", [GZIP, LZ4, ZSTD])
def test_a_large_batch_that_is_broken_is_a_corrupt_one(codec: int) -> None:
    data = bytearray(batch(codec, [(None, bytes(100_000_000))]))
    data[80:120] = b"\xff" * 40
    with pytest.raises(CorruptRecordException):
        for one in iter(BoundedRecords(bytes(data)).next_batch()):
            assert one
