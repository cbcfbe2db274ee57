"""Question: what CPU does an event cost in the background at 5,000 events/s, next to its encoding?

The producer's thread encodes, compresses and sends to a real broker; its own CPU clock is read.
`orjson.dumps` of the same events is timed in two ways: over and over in a hot loop, and once per
event on a thread that wakes as rarely as the producer's, which is what cold caches make of it.
"""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable

import orjson

from bench.progress import say
from tokentide import Telemetry

RATE = 5_000
SECONDS = 4.0
ROUNDS = 5
BURST = 25
_COMMON = {
    "schema_version": 1,
    "service": "bench",
    "sdk_name": "tokentide",
    "sdk_version": "0.1.0",
    "host": "bench",
    "pid": 4242,
    "seq": 123_456,
    "dropped_before": 0,
    "event_id": "01a205e8-9de4-700e-8bef-ad6b4e391230",
    "started_at_us": 1_795_395_456_616_968,
}
"""What the producer adds to an event that a host has emitted."""
Attributes = Callable[[random.Random], dict[str, str | int | float]]


def measure(bootstrap: str, attributes: Attributes) -> dict[str, object]:
    """Return microseconds of CPU per event, medians over rounds, and the ratios to the target."""
    background: list[float] = []
    cold: list[float] = []
    hot: list[float] = []
    for number in range(ROUNDS):
        say(f"background CPU, round {number} of {ROUNDS}")
        background.append(_background_us(bootstrap, attributes))
        cold.append(_cold_us(attributes))
        hot.append(_hot_us(attributes))
    event_us = statistics.median(background)
    return {
        "background_us_per_event": round(event_us, 2),
        "orjson_us_per_event_on_a_thread_as_ours": round(statistics.median(cold), 3),
        "orjson_us_per_event_in_a_hot_loop": round(statistics.median(hot), 3),
        "background_of_orjson": round(event_us / statistics.median(cold), 1),
        "background_of_hot_orjson": round(event_us / statistics.median(hot), 1),
        "target_background_of_orjson": 15,
    }


def _paced(emit: Callable[[dict[str, str | int | float]], None], attributes: Attributes) -> int:
    """Emit new events at the rate; return how many."""
    rng = random.Random(7)
    count = 0
    started_s = time.perf_counter()
    while count < RATE * SECONDS:
        for _ in range(BURST):
            emit(attributes(rng))
        count += BURST
        time.sleep(max(0.0, started_s + count / RATE - time.perf_counter()))
    return count


def _background_us(bootstrap: str, attributes: Attributes) -> float:
    telemetry = Telemetry(bootstrap=bootstrap, service="bench")
    try:
        telemetry.emit(attributes(random.Random(7)))
        telemetry.flush(10.0)  # it runs and is connected: the steady state is measured
        thread = next(found for found in threading.enumerate() if found.name == "tokentide")
        assert thread.ident is not None
        clock = time.pthread_getcpuclockid(thread.ident)
        before = telemetry.stats().delivered
        started_ns = time.clock_gettime_ns(clock)
        _paced(telemetry.emit, attributes)
        telemetry.flush(10.0)
        spent_ns = time.clock_gettime_ns(clock) - started_ns
        return spent_ns / (telemetry.stats().delivered - before) / 1000
    finally:
        telemetry.close(5.0)


def _cold_us(attributes: Attributes) -> float:
    waiting: deque[dict[str, object]] = deque()
    stop = threading.Event()
    spent_ns = count = 0
    pause_s = Telemetry(disabled=True).settings.linger_ms / 1000

    def encode() -> None:
        nonlocal spent_ns, count
        while not stop.wait(pause_s):
            events = [waiting.popleft() for _ in range(len(waiting))]
            started_ns = time.thread_time_ns()
            for event in events:
                orjson.dumps(event)
            spent_ns += time.thread_time_ns() - started_ns
            count += len(events)

    thread = threading.Thread(target=encode)
    thread.start()
    _paced(lambda event: waiting.append({**_COMMON, **event}), attributes)
    stop.set()
    thread.join()
    return spent_ns / count / 1000


def _hot_us(attributes: Attributes) -> float:
    rng = random.Random(7)
    events = [{**_COMMON, **attributes(rng)} for _ in range(250)]
    samples = []
    for _ in range(50):
        started_ns = time.thread_time_ns()
        for event in events:
            orjson.dumps(event)
        samples.append((time.thread_time_ns() - started_ns) / len(events) / 1000)
    return statistics.median(samples)
