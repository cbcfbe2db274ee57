"""Objects made to hurt: nothing of them reaches the caller, and every event is accounted for."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.each import each
from tests.producers.test_telemetry import StuckSender, until
from tokentide import Telemetry
from tokentide.testing import Capture, captured


class Evil(str):
    """Text whose methods, comparison included, all raise."""

    def _raise(self, *_: object) -> Any:
        raise RuntimeError("evil")

    __eq__ = __ne__ = __len__ = __str__ = __repr__ = __format__ = __getitem__ = _raise
    __iter__ = __add__ = __contains__ = lower = strip = _raise
    encode = startswith = _raise  # type: ignore[assignment]

    def __hash__(self) -> int:
        return str.__hash__(self)


class Trap:
    """An object of which every attribute, and nearly every operation, raises."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"trap: {name}")

    def _raise(self, *_: object) -> Any:
        raise RuntimeError("trap")

    __eq__ = __len__ = __bool__ = __str__ = __repr__ = __int__ = __float__ = __index__ = _raise
    __iter__ = __getitem__ = __contains__ = __call__ = _raise
    __hash__ = None  # type: ignore[assignment]


class Endless:
    """An object whose attributes and items are further ones, for ever."""

    def __getattr__(self, name: str) -> Endless:
        return Endless()

    def __getitem__(self, key: object) -> Endless:
        return Endless()

    def __iter__(self) -> Iterator[Endless]:
        while True:
            yield Endless()


class LongInt(int):
    def __str__(self) -> str:
        raise RuntimeError("evil")


def recursive_dict() -> dict[str, object]:
    event: dict[str, object] = {}
    event["self"] = event
    return event


def recursive_list() -> list[object]:
    items: list[object] = []
    items.append(items)
    return items


def deep(levels: int) -> object:
    value: object = "bottom"
    for _ in range(levels):
        value = {"next": [value]}
    return value


VALUES: dict[str, Callable[[], object]] = {
    "evil text": lambda: Evil("x"),
    "trap": Trap,
    "endless": Endless,
    "recursive dict": recursive_dict,
    "recursive list": recursive_list,
    "deep": lambda: deep(5_000),
    "huge int": lambda: 10**6000,
    "long int": lambda: LongInt(7),
    "nan": lambda: float("nan"),
    "lone surrogate": lambda: "\ud800",
    "nul": lambda: "a\x00b",
    "megabyte": lambda: "x" * 1_000_000,
    "bytes": lambda: b"\xff\xfe",
    "lock": threading.Lock,
    "type": lambda: type,
    "generator": lambda: (n for n in iter(int, 1)),
    "many tags": lambda: {f"k{n}": n for n in range(100_000)},
    "evil tags": lambda: {Evil("k"): Evil("v"), 1: Trap()},
}
FIELDS = ["tenant", "tags", "finish_reasons", "input_tokens", "status", "type", "unheard_of"]


@pytest.fixture(scope="module")
def capture() -> Iterator[Capture]:
    with captured(checks_contract=False, linger_ms=1) as capture:
        capture.telemetry.emit({"type": "request"})  # its thread is the module's, not a test's
        yield capture


def unaccounted(telemetry: Telemetry) -> int:
    stats = telemetry.stats()
    return stats.emitted - stats.delivered - stats.failed - stats.dropped_total - stats.queued


@each("kind", VALUES)
@each("field", FIELDS)
def test_no_value_in_any_field_raises_or_goes_uncounted(
    capture: Capture, field: str, kind: str
) -> None:
    value = VALUES[kind]()
    telemetry = capture.telemetry
    telemetry.emit({"type": "request", field: value})
    given: dict[str, Any] = {field: value}
    fields: dict[str, Any] = {} if field == "type" else given
    with telemetry.request(provider="openai", **fields) as call:
        call.set(**given)
        call.record_usage(input_tokens=value)  # type: ignore[arg-type]
    assert telemetry.flush(10)
    assert unaccounted(telemetry) == 0


@each("key", [Evil("type"), Evil("tenant"), 5, None, (), 1.5, b"tenant"], ids=type)
def test_no_key_raises_or_goes_uncounted(capture: Capture, key: object) -> None:
    telemetry = capture.telemetry
    telemetry.emit({key: "x", "feature": "f"})  # type: ignore[dict-item]
    assert telemetry.flush(10)
    assert unaccounted(telemetry) == 0


@each("kind", VALUES)
def test_no_argument_of_any_method_raises(capture: Capture, kind: str) -> None:
    value: Any = VALUES[kind]()
    telemetry = capture.telemetry
    telemetry.emit(value)
    telemetry.evaluation(value, score=value, label=value, target_event_id=value)
    telemetry.feedback(value, comment=value)
    telemetry.change(value, value, from_version=value)
    with telemetry.request(provider=value, request_model=value, operation=value) as call:
        call.finish(value, value)
        call.record_error(value)
        call.record_usage(output_tokens=value, usage_source=value)
    assert telemetry.flush(10)
    assert unaccounted(telemetry) == 0


def test_an_exception_made_to_hurt_passes_through_untouched(capture: Capture) -> None:
    class Hostile(Exception):
        def __getattribute__(self, name: str) -> Any:
            raise RuntimeError("evil")

        def __str__(self) -> str:
            raise RuntimeError("evil")

    error = Hostile()
    with pytest.raises(Hostile) as caught, capture.telemetry.request():
        raise error
    assert caught.value is error
    assert capture.telemetry.flush(10)


def test_millions_of_events_against_a_full_queue_take_no_memory_and_are_counted_exactly() -> None:
    telemetry = Telemetry(sender=StuckSender(), queue_events=1000, backlog_bytes=10_000)
    emit = telemetry.emit
    event = {"type": "request", "tenant": "t"}
    for _ in range(10_000):
        emit(event)
    until(lambda: unaccounted(telemetry) == 0 and telemetry.stats().dropped_total > 0)
    blocks = sys.getallocatedblocks()
    for _ in range(1_000_000):
        emit(event)
    assert sys.getallocatedblocks() - blocks < 20_000, "a few thousand events wait, no more"
    until(lambda: unaccounted(telemetry) == 0)
    stats = telemetry.stats()
    assert stats.emitted == 1_010_000
    assert stats.queued < 10_000
    assert stats.dropped == {"queue_full": 1_010_000 - stats.queued}
    telemetry.close(0.0)
    assert telemetry.stats().dropped_total == 1_010_000
