"""The bounded queue between the host's threads and the sender: order, bound, drop policy."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable

import pytest

from tokentide.delivery.backlog import PACK_BEYOND_BYTES, Backlog
from tokentide.delivery.buffer import Buffer
from tokentide.delivery.framing import Frame, Framer
from tokentide.delivery.tally import Tally
from tokentide.ids import EventIds
from tokentide.log import RateLimitedLog


def in_threads(count: int, work: Callable[[], object]) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_tally_counts_every_addition_of_every_thread() -> None:
    tally = Tally()
    in_threads(8, lambda: [tally.add() for _ in range(20_000)])
    assert tally.value == 160_000
    assert tally.value == 160_000  # reading adds nothing


@pytest.mark.parametrize("keeps_oldest", [True, False])
def test_a_full_queue_accounts_for_every_event_under_threads(keeps_oldest: bool) -> None:
    buffer = Buffer(100, keeps_oldest=keeps_oldest)
    seen: list[int] = []
    stop = threading.Event()

    def drain() -> None:
        while not stop.is_set() or len(buffer):
            seen.extend(seq for _, seq, _ in buffer.take(7))

    def fill() -> None:
        for _ in range(20_000):
            buffer.put(0, {})

    drainer = threading.Thread(target=drain)
    drainer.start()
    in_threads(8, fill)
    stop.set()
    drainer.join()
    assert buffer.offered.value == 160_000
    assert len(set(seen)) == len(seen) == buffer.taken
    assert buffer.taken + buffer.refused.value + buffer.evicted.value == 160_000
    assert (buffer.refused.value == 0) is not keeps_oldest
    assert (buffer.evicted.value == 0) is keeps_oldest


def test_a_full_queue_stays_bounded_for_a_million_events() -> None:
    buffer = Buffer(10, keeps_oldest=False)
    for _ in range(1_000_000):
        buffer.put(0, {})
    assert len(buffer) == 10
    assert [seq for _, seq, _ in buffer.take(99)] == list(range(999_990, 1_000_000))


def test_the_drop_policy_decides_which_events_survive() -> None:
    for keeps_oldest, survivors in ((True, [0, 1, 2]), (False, [7, 8, 9])):
        buffer = Buffer(3, keeps_oldest=keeps_oldest)
        for _ in range(10):
            buffer.put(0, {})
        assert [seq for _, seq, _ in buffer.take(99)] == survivors


def test_frames_are_cut_at_the_event_limit_and_at_the_byte_limit() -> None:
    framer = Framer(max_events=3, max_bytes=20)
    assert [framer.add(b"a") for _ in range(3)] == [None, None, None]
    assert framer.add(b"b") == Frame(0, b"a\na\na", 3)
    assert framer.add(b"c" * 18) is None  # 1 + newline + 18 = 20
    assert framer.add(b"d") == Frame(1, b"b\n" + b"c" * 18, 2)
    assert framer.cut() == Frame(2, b"d", 1)
    assert framer.cut() is None


def test_an_event_larger_than_a_frame_is_a_frame_of_its_own() -> None:
    framer = Framer(max_events=3, max_bytes=20)
    framer.add(b"a")
    assert framer.add(b"b" * 50) == Frame(0, b"a", 1)
    assert framer.add(b"c") == Frame(1, b"b" * 50, 1)


def test_a_long_backlog_is_kept_compressed_and_comes_out_unchanged() -> None:
    payloads = [b'{"n":%d}\n' % n * 20_000 for n in range(40)]
    backlog = Backlog(max_bytes=1 << 30)
    for number, payload in enumerate(payloads):
        backlog.add(Frame(number, payload, 20_000))
    assert backlog.size_bytes < PACK_BEYOND_BYTES + 1_000_000 < sum(map(len, payloads))
    out: list[Frame] = []
    while len(backlog):
        for frame in backlog.start_batch(700_000):
            out.append(frame)
            backlog.settle(frame)
    assert [frame.payload for frame in out] == payloads
    assert [frame.number for frame in out] == list(range(40))
    assert backlog.size_bytes == 0


def test_excess_is_dropped_oldest_first_but_never_in_flight() -> None:
    backlog = Backlog(max_bytes=25)
    for number in range(3):
        backlog.add(Frame(number, b"0123456789", 2))
    assert [frame.number for frame in backlog.start_batch(10)] == [0]
    assert backlog.drop_excess() == 2
    backlog.settle(backlog.in_flight[0])
    assert [frame.number for frame in backlog.start_batch(99)] == [2]
    assert backlog.first_number == 2


def test_ids_are_version_7_and_carry_the_time() -> None:
    text = EventIds().new(1_795_384_739_964_688_123)
    parsed = uuid.UUID(text)
    assert str(parsed) == text
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == 1_795_384_739_964


def test_ids_ascend_within_a_millisecond_and_when_the_clock_steps_back() -> None:
    ids = EventIds(lambda bits: (1 << bits) - 1)
    made = [ids.new(5_000_000_000) for _ in range(3_000)]
    made += [ids.new(4_000_000_000), ids.new(6_000_000_000)]
    assert made == sorted(set(made))


def test_ids_of_many_threads_never_repeat_even_with_equal_random_bits() -> None:
    ids = EventIds(lambda bits: 0)
    made: list[str] = []
    in_threads(8, lambda: made.extend([ids.new(5_000_000) for _ in range(5_000)]))
    assert len(set(made)) == 40_000
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) for text in made)


def test_a_kind_of_line_is_logged_once_a_minute_and_says_how_many_were_held_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now_s = [0.0]
    log = RateLimitedLog(clock=lambda: now_s[0])
    for now_s[0] in (0.0, 1.0, 59.0, 60.0):
        log.report("send", "sending fails: %s", "reason")
    log.report("close", "another kind")
    assert caplog.messages == [
        "sending fails: reason",
        "sending fails: reason (and 2 more like this)",
        "another kind",
    ]


def test_a_broken_log_handler_is_survived() -> None:
    import logging

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("disk full")

    handler = Broken()
    logging.getLogger("tokentide").addHandler(handler)
    try:
        RateLimitedLog().report("kind", "message")
    finally:
        logging.getLogger("tokentide").removeHandler(handler)
