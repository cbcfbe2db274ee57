"""Replay sends everything, in its pace, and says what was not acknowledged."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tokentide import Telemetry
from tokentide.testing import CaptureSender
from tokentide_jobs.errors import ConfigError, ServiceUnreachable
from tokentide_jobs.replay.pace import Pace, Plan
from tokentide_jobs.replay.send import Interrupted, send
from tokentide_jobs.replay.workload import prepare

NOW_US = 1_700_000_000_000_000


def plan(pace: Pace, events: int, span_s: float, *, is_live: bool = False) -> Plan:
    return Plan.make(pace, NOW_US, events, span_s, is_live=is_live)


def timed(count: int, span_s: float) -> Iterator[tuple[float, dict[str, Any]]]:
    for place in range(count):
        yield span_s * place / (count - 1), {"type": "change", "kind": "deploy", "subject": "x"}


@pytest.fixture
def captured() -> Iterator[tuple[Telemetry, CaptureSender]]:
    sender = CaptureSender()
    telemetry = Telemetry(sender=sender, service="test", queue_events=1_000, linger_ms=1)
    yield telemetry, sender
    telemetry.close()


def test_event_times_keep_the_recorded_spacing_and_end_when_sending_ends() -> None:
    fast = plan(Pace(speed=10.0), 100, 50.0)
    assert fast.end_us == NOW_US + 5_000_000
    assert fast.started_at_us(50.0, NOW_US) == fast.end_us
    assert fast.started_at_us(50.0, NOW_US) - fast.started_at_us(20.0, NOW_US) == 30_000_000


def test_at_recorded_pace_event_times_are_the_times_of_sending() -> None:
    steady = plan(Pace(speed=1.0), 100, 50.0)
    assert steady.started_at_us(20.0, 0) == NOW_US + 20_000_000
    assert steady.pace.due_s(3, 20.0) == 20.0


def test_live_events_carry_the_time_of_sending() -> None:
    assert plan(Pace(), 10, 50.0, is_live=True).started_at_us(20.0, 123) == 123


def test_a_rate_spaces_events_evenly_and_flat_out_waits_for_nothing() -> None:
    assert [Pace(rate_per_s=50.0).due_s(n, 99.0) for n in range(3)] == [0.0, 0.02, 0.04]
    assert Pace().due_s(10_000, 99.0) == 0.0


@pytest.mark.parametrize(
    ("speed", "rate", "message"),
    [(0.0, None, "--speed is 0"), (None, -1.0, "--rate is -1"), (1.0, 1.0, "exclude each other")],
)
def test_impossible_paces_are_refused(
    speed: float | None, rate: float | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Pace(speed, rate)


def test_everything_sent_arrives_once_through_a_queue_that_is_much_smaller(
    captured: tuple[Telemetry, CaptureSender],
) -> None:
    telemetry, sender = captured
    work = prepare("azure", limit=4_000)
    seen: list[int] = []
    sent = send(work.events(), plan(Pace(), 4_000, work.span_s), telemetry, seen.append)
    assert sent.lost == 0
    assert sent.requests == 4_000
    assert sent.delivered >= sent.events
    arrived = [event for event in sender.events if event["type"] != "stats"]
    assert len({event["event_id"] for event in arrived}) == len(arrived) == sent.events
    assert seen[-1] == sent.requests


def test_events_that_a_producer_swallows_are_lost() -> None:
    with Telemetry(sender=CaptureSender(), service="test", disabled=True) as telemetry:
        sent = send(timed(10, 1.0), plan(Pace(), 10, 1.0), telemetry)
    assert (sent.delivered, sent.lost) == (0, 10)


def test_event_times_on_the_wire_end_now(captured: tuple[Telemetry, CaptureSender]) -> None:
    telemetry, sender = captured
    work = prepare("azure", limit=500)
    begin_us = time.time_ns() // 1_000
    send(work.events(), Plan.make(Pace(), begin_us, 500, work.span_s, is_live=False), telemetry)
    times = [e["started_at_us"] for e in sender.events if e["type"] == "request"]
    assert max(times) == begin_us
    assert max(times) - min(times) == pytest.approx(work.span_s * 1e6, abs=2)


def test_sending_follows_the_pace(captured: tuple[Telemetry, CaptureSender]) -> None:
    telemetry, _sender = captured
    begin = time.monotonic()
    send(timed(50, 2.0), plan(Pace(speed=10.0), 50, 2.0), telemetry)
    assert time.monotonic() - begin >= 0.19


def test_a_broker_that_takes_nothing_is_reported_with_how_far_it_got() -> None:
    sender = CaptureSender()
    sender.connect_failures = [ConnectionError("no broker")] * 1_000
    telemetry = Telemetry(
        sender=sender, service="test", queue_events=100, linger_ms=1, exit_timeout_s=0
    )
    try:
        with pytest.raises(ServiceUnreachable, match=r"no events .*no broker.* 0 of 256 "):
            send(timed(5_000, 1.0), plan(Pace(), 5_000, 1.0), telemetry, timeout_s=0.3)
    finally:
        telemetry.close(0)


def test_a_broker_that_takes_nothing_is_named_before_the_replay_gives_up() -> None:
    sender = CaptureSender()
    sender.connect_failures = [ConnectionError("no broker")] * 1_000
    telemetry = Telemetry(sender=sender, service="test", linger_ms=1, exit_timeout_s=0)
    notes: list[str] = []
    begin_s = time.monotonic()
    try:
        # At the recorded pace few events wait, and the last of them is due in an hour.
        with pytest.raises(ServiceUnreachable, match="gave up after"):
            send(
                timed(5_000, 3_600.0), plan(Pace(speed=1.0), 5_000, 3_600.0), telemetry,
                timeout_s=0.3, notice_s=0.1, notice=notes.append,
            )  # fmt: skip
    finally:
        telemetry.close(0)
    assert time.monotonic() - begin_s < 30
    assert len(notes) == 1
    assert all(words in notes[0] for words in ("takes no events", "no broker", "still trying"))


def test_the_end_of_a_replay_that_cannot_be_flushed_takes_no_longer_than_the_timeout() -> None:
    sender = CaptureSender()
    sender.connect_failures = [ConnectionError("no broker")] * 1_000
    telemetry = Telemetry(sender=sender, service="test", linger_ms=1, exit_timeout_s=0)
    begin_s = time.monotonic()
    try:
        with pytest.raises(ServiceUnreachable, match="0 of 10 events delivered"):
            send(timed(10, 1.0), plan(Pace(), 10, 1.0), telemetry, timeout_s=0.2)
    finally:
        telemetry.close(0)
    assert 0.2 <= time.monotonic() - begin_s < 30


def test_an_interrupted_replay_says_how_many_events_were_sent_and_confirmed(
    captured: tuple[Telemetry, CaptureSender],
) -> None:
    telemetry, _sender = captured

    def interrupted() -> Iterator[tuple[float, dict[str, Any]]]:
        yield from timed(30, 1.0)
        raise KeyboardInterrupt

    with pytest.raises(Interrupted) as ended:
        send(interrupted(), plan(Pace(), 100, 1.0), telemetry)
    assert (ended.value.sent, ended.value.delivered) == (30, 30)


def test_an_interrupted_replay_counts_only_what_kafka_has_confirmed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tokentide_jobs.replay.send._LAST_FLUSH_S", 0.1)
    sender = CaptureSender()
    sender.connect_failures = [ConnectionError("no broker")] * 1_000
    telemetry = Telemetry(sender=sender, service="test", linger_ms=1, exit_timeout_s=0)

    def interrupted() -> Iterator[tuple[float, dict[str, Any]]]:
        yield from timed(30, 1.0)
        raise KeyboardInterrupt

    try:
        with pytest.raises(Interrupted) as ended:
            send(interrupted(), plan(Pace(), 100, 1.0), telemetry)
    finally:
        telemetry.close(0)
    assert (ended.value.sent, ended.value.delivered) == (30, 0)
