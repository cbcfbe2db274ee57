"""Record batches that are small on the wire and huge in memory."""

from __future__ import annotations

import hashlib
import random
import tracemalloc
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka import codec as codecs
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.each import each
from tests.places import ROOT
from tests.sampling import IS_THOROUGH, examples
from tokentide_jobs.core.record.split import MAX_RECORD_BYTES, MAX_RECORD_EVENTS
from tokentide_jobs.core.record.stand_in import KEPT_BYTES, read_stand_in
from tokentide_jobs.io.kafka import bounded_fetch
from tokentide_jobs.io.kafka.bounded_fetch import BoundedRecords, FetchedRecords, bound_fetches
from tokentide_jobs.io.kafka.decompressing import GZIP, LZ4, SNAPPY, ZSTD, largest_size, pieces

CODECS = (0, GZIP, SNAPPY, LZ4, ZSTD)
Records = Sequence[tuple[bytes | None, bytes | None]]


def batch(
    codec: int,
    records: Records,
    base_offset: int = 0,
    damage: Callable[[bytes], bytes] = bytes,
    value_of_header: bytes = b"x",
) -> bytes:
    """One record batch as a broker sends it; `damage` changes what is compressed."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=False,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 30,
    )
    for number, (key, value) in enumerate(records):
        name = "second" if number == 1 else "header"
        builder.append(number, 1_000 + number, key, value, [(name, value_of_header)])
    made = bytearray(builder.build())
    made[:8] = base_offset.to_bytes(8, "big")
    made[61:] = compressed(codec, damage(bytes(made[61:])))
    made[22] |= codec
    return sealed(made)


def compressed(codec: int, raw: bytes) -> bytes:
    """Return the records of a batch as a producer sends them."""
    encoders: dict[int, Callable[[bytes], bytes]] = {
        0: bytes,
        GZIP: codecs.gzip_encode,
        SNAPPY: codecs.snappy_encode,
        LZ4: codecs.lz4_encode,
        ZSTD: codecs.zstd_encode,
    }
    return bytes(encoders[codec](raw))


def sealed(made: bytearray) -> bytes:
    """Return a batch with its length and checksum set right."""
    made[8:12] = (len(made) - 12).to_bytes(4, "big")
    made[17:21] = calc_crc32c(bytes(made[21:])).to_bytes(4, "big")
    return bytes(made)


def taken(data: bytes) -> list[Any]:
    """Return what a consumer hands on."""
    place = TopicPartition("t", 0)
    return list(FetchedRecords(place, BoundedRecords(data), [], 0, None, None, True, 1))


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
@settings(max_examples=examples(5), deadline=None)
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
@settings(max_examples=examples(8), deadline=None)
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
def test_zeros_that_are_huge_in_memory_are_one_bad_event_and_no_memory(codec: int) -> None:
    size = 200_000_000 if IS_THOROUGH else 70_000_000
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
    found = read(BoundedRecords(batch(ZSTD, [(None, bytes(60_000_000)), (None, b"{}")], 5)))
    assert [row[0] for row in found] == [5, 6]
    details = [stand_in[0].detail for row in found if (stand_in := read_stand_in(row[4]))]
    assert len(details) == 2
    assert "60000000 bytes" in details[0]
    assert "of the first 40000000 bytes" in details[0]


@pytest.mark.parametrize("codec", [GZIP, LZ4, ZSTD])
@pytest.mark.parametrize("size", [1_000, 20_000_000])
def test_a_batch_that_cannot_be_decompressed_is_one_bad_event_a_record(
    codec: int, size: int
) -> None:
    data = bytearray(batch(codec, [(None, bytes(size)), (None, b"{}")], 5))
    data[61 + 16 :] = b"\xff" * (len(data) - 61 - 16)
    found = read(BoundedRecords(sealed(data)))
    assert [row[0] for row in found] == [5, 6]
    for row in found:
        refusal, _beginning = read_stand_in(row[4]) or pytest.fail("not a stand-in")
        assert refusal.reason == "unreadable"
        assert hashlib.sha256(bytes(data[61:])).hexdigest() in refusal.detail


@each("codec", CODECS)
@each("name", [b"cl\xe9", b"\xff" * 4, b"\xed\xa0\xbd"])
def test_a_header_name_that_is_not_utf_8_costs_nothing(codec: int, name: bytes) -> None:
    values = [b'{"a":1}', b'{"b":2}', b'{"c":3}']
    data = batch(
        codec,
        [(b"k", value) for value in values],
        40,
        lambda raw: raw.replace(b"second", name.rjust(6)),
    )
    records = taken(data)
    assert [(one.offset, one.key, one.value) for one in records] == [
        (40 + number, b"k", value) for number, value in enumerate(values)
    ]
    assert records[0].headers == (("header", b"x"),), "the other records keep theirs"


@pytest.mark.parametrize("codec", CODECS)
def test_records_of_a_batch_whose_lengths_lie_keep_their_places(codec: int) -> None:
    # The second record says that its value goes on behind the end of the batch.
    values = [b'{"a":1}', b'{"b":2}', b'{"c":3}']
    data = batch(
        codec,
        [(b"k", one) for one in values],
        40,
        lambda raw: raw.replace(b"\x0e" + values[1], b"\x7e" + values[1]),
    )
    found = read(BoundedRecords(data))
    assert [row[0] for row in found] == [40, 41, 42]
    assert found[0][4] == values[0]
    refusals = [read_stand_in(row[4]) for row in found[1:]]
    assert [one and one[0].reason for one in refusals] == ["unreadable"] * 2


def test_a_reader_never_goes_back_whatever_a_batch_says_of_its_end() -> None:
    data = bytearray(batch(0, [(None, b"{}")], 40))
    data[23:27] = (-7).to_bytes(4, "big", signed=True)
    part = FetchedRecords(
        TopicPartition("t", 0), BoundedRecords(sealed(data)), [], 40, None, None, True, 1
    )
    assert len(list(part)) == 1
    assert part.next_fetch_offset == 41


@pytest.mark.parametrize("key", [None, b"", b"\x00", b"\x00\x07\x00\x09"])
def test_a_marker_of_an_unknown_kind_is_read_over(key: bytes | None) -> None:
    data = bytearray(batch(0, [(key, b"")], 40))
    data[21:23] = (0x30).to_bytes(2, "big")  # a control batch of a transaction
    part = FetchedRecords(
        TopicPartition("t", 0), BoundedRecords(sealed(data)), [(-1, 0)], 40, None, None, True, 1
    )
    assert list(part) == []
    assert part.next_fetch_offset == 41


def test_headers_that_are_small_on_the_wire_and_huge_in_memory_take_none() -> None:
    raw = b"\x00" * 6_000_000
    data = batch(ZSTD, [(b"k", b'{"a":1}'), (b"k", b'{"b":2}')], 7, value_of_header=raw)
    tracemalloc.start()
    found = read(BoundedRecords(data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row[4] for row in found] == [b'{"a":1}', b'{"b":2}']
    assert peak < 10_000_000


def test_no_consumer_reads_without_a_bound() -> None:
    reading = [
        path.name
        for path in (ROOT / "stream_jobs" / "tokentide_jobs").rglob("*.py")
        if "AIOKafkaConsumer(" in path.read_text()
    ]
    assert reading == ["bounded_fetch.py"]


def fetched(log: Sequence[bytes], offset: int, fetches: int) -> list[tuple[int, bytes]]:
    """Return what a consumer hands on of a log in so many fetches from an offset."""
    bound_fetches()
    place, found = TopicPartition("t", 0), []
    bases = [int.from_bytes(one[:8], "big") for one in log]
    for _ in range(fetches):
        data = b"".join(log[max(0, bisect_right(bases, offset) - 1) :])
        batches = fetcher.MemoryRecords(data)
        records = fetcher.PartitionRecords(place, batches, [], offset, None, None, True, 1)
        found += [(record.offset, record.value) for record in records]
        offset = records.next_fetch_offset
    return found


def damaged(made: bytes, place: int) -> bytes:
    """Return a batch with one byte changed, under the checksum of before."""
    changed = bytearray(made)
    changed[place] ^= 0x55
    return bytes(changed)


@pytest.mark.parametrize("place", [-1, 40], ids=["a record", "a time of the header"])
def test_a_batch_with_a_wrong_checksum_is_passed_over_when_it_came_three_times(place: int) -> None:
    wrong = damaged(batch(ZSTD, [(None, b"%d" % place)] * 3, 2), place)
    log = [batch(0, [(None, b"a")] * 2), wrong, batch(0, [(None, b"z")], 5)]
    assert fetched(log, 0, 1) == [(0, b"a"), (1, b"a")]
    assert fetched(log, 2, 1) == [], "it may have been damaged on its way"
    found = fetched(log, 2, 2)
    assert [offset for offset, _value in found] == [2, 3, 4, 5]
    assert found[-1] == (5, b"z")
    for _offset, value in found[:3]:
        refusal, kept = read_stand_in(value) or pytest.fail(f"{value!r} is no stand-in")
        assert (refusal.reason, kept) == ("unreadable", b"")
        assert hashlib.sha256(wrong).hexdigest() in refusal.detail


@pytest.mark.parametrize("place", [26, 60], ids=["the last offset", "the number of records"])
def test_a_damaged_batch_whose_header_lies_costs_no_record_behind_it(place: int) -> None:
    wrong = damaged(batch(0, [(None, b"b%d" % place)] * 3, 2), place)
    log = [batch(0, [(None, b"a")] * 2), wrong, batch(0, [(None, b"z")] * 2, 5)]
    found = fetched(log, 0, 9)
    assert [offset for offset, _value in found] == [0, 1, 2, 3, 4, 5, 6]
    assert [value for _offset, value in found[-2:]] == [b"z", b"z"]


@each("begin", [2, 3, 4])
@each("is_alone", [False, True])
def test_a_damaged_batch_that_is_read_again_is_no_longer_than_before(
    begin: int, is_alone: bool
) -> None:
    # A later read (another consumer, or after a rebalance) may begin within the batch.
    wrong = damaged(batch(0, [(None, b"again %d %d" % (begin, is_alone))] * 3, 2), 26)
    log = [wrong, batch(0, [(None, b"z")] * 2, 5)]
    fetched(log, 2, 9)
    if is_alone:
        found = fetched([wrong], begin, 5 - begin) + fetched(log, 5, 1)
    else:
        found = fetched(log, begin, 1)
    assert [offset for offset, _value in found] == [*range(begin, 7)]
    assert [value for _offset, value in found[-2:]] == [b"z", b"z"]


def test_a_damaged_batch_takes_no_reader_back() -> None:
    wrong = damaged(batch(0, [(None, b"begun within")] * 3, 2), 60)
    assert [offset for offset, _value in fetched([wrong], 3, 4)] == [3, 4]


def test_a_gap_behind_a_damaged_batch_is_not_filled_with_bad_events() -> None:
    wrong = damaged(batch(0, [(None, b"before a gap")] * 3, 2), 60)
    log = [wrong, batch(0, [(None, b"z")], 2 + MAX_RECORD_EVENTS + 1)]
    assert [offset for offset, _value in fetched(log, 2, 4)] == [2, 3]


def test_damage_that_the_next_fetch_does_not_show_costs_nothing() -> None:
    sound = batch(LZ4, [(None, b"on its way")], 0)
    assert fetched([damaged(sound, -1)], 0, 2) == []
    assert fetched([sound], 0, 1) == [(0, b"on its way")]
