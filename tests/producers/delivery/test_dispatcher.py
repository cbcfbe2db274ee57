"""The background thread: batches, flush, shutdown, and what becomes of events it cannot send."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import orjson
import pytest

from tokentide.delivery.buffer import Buffer
from tokentide.delivery.counters import Counters
from tokentide.delivery.dispatcher import BATCH_BYTES, MAX_EVENT_BYTES, Dispatcher, FlushRequest
from tokentide.delivery.encoding import Encoder
from tokentide.delivery.framing import Frame
from tokentide.delivery.transport import FrameRejected, FrameSender
from tokentide.ids import EventIds
from tokentide.settings import Settings
from tokentide.testing import CaptureSender


class Bench:
    """A worker with a clock and a pause under the test's control."""

    def __init__(self, sender: FrameSender | None = None, **given: object) -> None:
        settings = Settings.load({"linger_ms": 1, **given}, {})
        self.sender = sender or CaptureSender()
        self.buffer = Buffer(settings.queue_events, keeps_oldest=settings.drop_policy == "newest")
        self.counters = Counters()
        self.now_s = 0.0
        self.pauses: list[float] = []
        self.stats_put = 0
        self.is_orphaned = False
        self.worker = Dispatcher(
            settings,
            self.buffer,
            Encoder({}, EventIds(), self.counters),
            self.sender,
            self.counters,
            put_stats=self._put_stats,
            total_dropped=lambda: sum(self.counters.dropped.values()) + self.buffer.refused.value,
            is_orphaned=lambda: self.is_orphaned,
            clock=lambda: self.now_s,
            pause=self._pause,
        )

    def _put_stats(self) -> None:
        self.stats_put += 1

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)

    def put(self, count: int, **fields: object) -> None:
        for _ in range(count):
            self.buffer.put(time.time_ns(), {"type": "request", **fields})

    async def flush(self) -> None:
        request = FlushRequest()
        self.worker.ask(request)
        await until(request.done.is_set)

    @property
    def events(self) -> list[dict[str, object]]:
        assert isinstance(self.sender, CaptureSender)
        return self.sender.events


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_true():  # noqa: ASYNC110  the worker offers no event to wait for
            await asyncio.sleep(0.001)


class running:
    """Runs a worker for the length of a block."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    async def __aenter__(self) -> Bench:
        self.task = asyncio.create_task(self.bench.worker.run())
        await asyncio.sleep(0)
        return self.bench

    async def __aexit__(self, *_: object) -> None:
        self.bench.worker.stop()
        await self.task


async def test_events_arrive_in_order_and_in_full_frames() -> None:
    async with running(Bench(frame_events=100)) as bench:
        bench.put(1050)
        await bench.flush()
        assert [event["seq"] for event in bench.events] == list(range(1050))
        assert isinstance(bench.sender, CaptureSender)
        assert [frame.events for frame in bench.sender.frames] == [100] * 10 + [50]
        assert [frame.number for frame in bench.sender.frames] == list(range(11))
        assert bench.counters.delivered == 1050
        assert bench.counters.delivered_frames == 11
        sent_bytes = sum(len(frame.payload) for frame in bench.sender.frames)
        assert bench.counters.delivered_bytes == sent_bytes


async def test_failures_are_retried_in_order_with_growing_pauses() -> None:
    sender = CaptureSender()
    sender.failures = [ConnectionError("gone")] * 4
    sender.connect_failures = [OSError("refused")] * 5
    async with running(Bench(sender, frame_events=10)) as bench:
        bench.put(35)
        await bench.flush()
        assert [event["seq"] for event in bench.events] == list(range(35))
        assert bench.counters.retries == 9
        assert bench.counters.last_error == "ConnectionError: gone"
        assert bench.counters.connected
        bounds = [0.1 * 2**n for n in range(6)] + [5.0] * 3
        for pause, bound in zip(bench.pauses, bounds, strict=True):
            assert 0.75 * bound <= pause <= 1.25 * bound


async def test_the_pause_is_short_again_after_a_success() -> None:
    sender = CaptureSender()
    sender.failures = [ConnectionError()] * 3
    async with running(Bench(sender)) as bench:
        bench.put(1)
        await bench.flush()
        sender.failures = [ConnectionError()]
        bench.put(1)
        await bench.flush()
        assert bench.pauses[3] <= 0.125


class PickySender(CaptureSender):
    """Refuses every send that contains a frame with a poisoned event."""

    async def send(self, frames: Sequence[Frame]) -> None:
        if any(b"poison" in frame.payload for frame in frames):
            raise FrameRejected("message too large")
        await super().send(frames)


async def test_a_refused_frame_is_counted_and_its_neighbours_arrive() -> None:
    bench = Bench(PickySender(), frame_events=10)
    bench.put(10)
    bench.put(10, tenant="poison")
    bench.put(10)
    async with running(bench):
        await bench.flush()
        assert [event["seq"] for event in bench.events] == [*range(10), *range(20, 30)]
        assert (bench.counters.failed, bench.counters.delivered) == (10, 20)
        assert bench.counters.last_error == "message too large"


class AbsentSender(CaptureSender):
    """Cannot connect until a test sets that the broker is there."""

    is_there = False

    async def connect(self) -> None:
        if not self.is_there:
            raise OSError("refused")


async def test_with_the_newest_dropped_the_queue_fills_behind_a_full_backlog() -> None:
    sender = AbsentSender()
    async with running(Bench(sender, queue_events=50, backlog_bytes=1024)) as bench:
        bench.put(20)
        await until(lambda: bench.worker.queued == 20)
        bench.put(100)
        await bench.worker.collect()
        assert (len(bench.buffer), bench.buffer.refused.value) == (50, 50)
        sender.is_there = True
        await bench.flush()
        assert [event["seq"] for event in bench.events] == list(range(70))
        assert bench.events[-1]["dropped_before"] == 50


async def test_with_the_oldest_dropped_the_latest_frames_survive_an_outage() -> None:
    sender = AbsentSender()
    async with running(
        Bench(sender, drop_policy="oldest", backlog_bytes=4096, frame_events=10)
    ) as bench:
        for _ in range(20):
            bench.put(10)
            await bench.worker.collect()
        sender.is_there = True
        await bench.flush()
        arrived = [int(str(event["seq"])) for event in bench.events]
        assert arrived == sorted(arrived)
        assert arrived[-1] == 199
        assert len(arrived) + bench.counters.dropped["backlog_full"] == 200
        assert bench.counters.dropped["backlog_full"] >= 100


async def test_an_event_too_large_for_a_record_is_dropped_and_counted() -> None:
    async with running(Bench()) as bench:
        bench.put(1, unknown="x" * MAX_EVENT_BYTES)
        bench.put(1)
        await bench.flush()
        assert bench.counters.dropped == {"too_large": 1}
        assert [event["seq"] for event in bench.events] == [1]


async def test_an_event_that_can_not_be_encoded_is_dropped_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running(Bench()) as bench:
        with monkeypatch.context() as patched:

            def fail(*_: object) -> bytes:
                raise MemoryError

            patched.setattr(Encoder, "encode", fail)
            bench.put(3)
            await bench.flush()
        bench.put(1)
        await bench.flush()
        assert bench.counters.dropped == {"not_encodable": 3}
        assert [event["seq"] for event in bench.events] == [3]


async def test_stats_are_due_every_interval() -> None:
    bench = Bench(stats_interval_s=30)
    for bench.now_s in (0.0, 29.9, 30.0, 31.0, 59.9, 60.0):
        await bench.worker.collect()
    assert bench.stats_put == 2


async def test_a_batch_stays_below_the_limit_of_a_broker() -> None:
    batches: list[int] = []

    class Measuring(CaptureSender):
        async def send(self, frames: Sequence[Frame]) -> None:
            batches.append(sum(len(frame.payload) for frame in frames))
            await super().send(frames)

    bench = Bench(Measuring())
    bench.put(5000, usage_raw="x" * 1000)
    async with running(bench):
        await bench.flush()
    assert max(batches) <= BATCH_BYTES
    assert len(bench.events) == 5000


async def test_flush_waits_only_for_what_was_emitted_before() -> None:
    bench = Bench(AbsentSender())
    async with running(bench):
        bench.put(1)
        await bench.worker.collect()
        early = FlushRequest()
        bench.worker.ask(early)
        await asyncio.sleep(0.01)
        assert not early.done.is_set()
        assert isinstance(bench.sender, AbsentSender)
        bench.sender.is_there = True
        await until(early.done.is_set)


async def test_a_flush_is_not_answered_while_its_events_are_being_framed() -> None:
    for _ in range(50):
        async with running(Bench(frame_events=60)) as bench:
            bench.put(430)
            await bench.flush()
            assert len(bench.events) == 430


async def test_a_flush_that_the_worker_can_not_complete_ends_with_it() -> None:
    bench = Bench(AbsentSender())
    request = FlushRequest()
    async with running(bench):
        bench.put(1)
        bench.worker.ask(request)
    late = FlushRequest()
    bench.worker.ask(late)
    assert (request.done.is_set(), request.is_settled) == (True, False)
    assert (late.done.is_set(), late.is_settled) == (True, False)


async def test_an_orphaned_worker_delivers_and_then_ends() -> None:
    bench = Bench()
    bench.put(10)
    bench.is_orphaned = True
    async with asyncio.timeout(5):
        await bench.worker.run()
    assert len(bench.events) == 10


async def test_a_sender_that_hangs_while_closing_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tokentide.delivery.dispatcher.CLOSE_SENDER_S", 0.05)

    class Hanging(CaptureSender):
        async def close(self) -> None:
            await asyncio.sleep(60)

    bench = Bench(Hanging())
    bench.put(1)
    started_s = time.monotonic()
    async with running(bench):
        await bench.flush()
    assert time.monotonic() - started_s < 3


async def test_frames_are_lines_of_json_without_a_trailing_newline() -> None:
    async with running(Bench()) as bench:
        bench.put(3)
        await bench.flush()
        assert isinstance(bench.sender, CaptureSender)
        payload = b"\n".join(frame.payload for frame in bench.sender.frames)
        assert [orjson.loads(line)["seq"] for line in payload.split(b"\n")] == [0, 1, 2]
