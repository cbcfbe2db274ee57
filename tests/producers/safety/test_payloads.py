"""Responses made to hurt: every golden payload, with something hostile in every place of it.

A response is the provider's word, and whatever a proxy, a mock or an attacker made of it. Whatever
stands where, an extractor answers with fields that the event contract accepts, in bounded time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from tests.each import each
from tests.golden.cases import Case, load_cases
from tests.producers.safety.test_hostile import Endless, Evil, Trap, recursive_dict, recursive_list
from tests.sampling import share
from tokentide.delivery.counters import Counters
from tokentide.delivery.encoding import Encoder
from tokentide.ids import EventIds
from tokentide.usage.flavour import FLAVOUR_NAMES, flavour
from tokentide_schemas import EVENT_ADAPTER

# The lines that the golden cases run, thousands of times over: tracing them shows nothing new.
pytestmark = pytest.mark.no_cover

CASES = load_cases()
HUGE = 10**400


ENCODER = Encoder({"service": "s"}, EventIds(), Counters())
CALL: dict[str, object] = {
    "type": "request",
    "request_model": "m",
    "operation": "chat",
    "duration_ms": 1.0,
    "status": "ok",
    "usage_source": "missing",
}


def endless_items() -> Iterator[int]:
    while True:
        yield 1


HOSTILE: dict[str, Callable[[], object]] = {
    "trap": Trap,
    "endless": Endless,
    "evil": lambda: Evil("stop"),
    "recursive dict": recursive_dict,
    "recursive list": recursive_list,
    "huge index": lambda: HUGE,
    "negative": lambda: -1,
    "nan": lambda: float("nan"),
    "boolean": lambda: True,
    "text": lambda: "\ud800" * 5000,
    "bytes": lambda: b"\xff{",
    "generator": endless_items,
    "lock": threading.Lock,
    "nothing": lambda: None,
    "list of many": lambda: [{"index": HUGE, "type": "tool_use"}] * 5000,
    "dict of many": lambda: {str(n): n for n in range(5000)},
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a payload, the payload itself included."""
    yield path
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, key))


def spoilt(value: Any) -> list[tuple[tuple[Any, ...], Callable[[], object]]]:
    """Every place of a payload with every hostile value; a share of them goes on with its turn."""
    return [(path, make) for path in places(value) for make in HOSTILE.values()]


def replaced(value: Any, path: tuple[Any, ...], by: object) -> Any:
    """Return the payload with another value in one place."""
    if not path:
        return by
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], by)
    return copy


MARK = object()
"""Stands where the hostile value will, so that nothing here looks into that one."""


def as_object(value: Any, hostile: object) -> Any:
    """Return the payload as objects with attributes, and the hostile value in its place."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_object(item, hostile) for name, item in value.items()})
    if isinstance(value, list):
        return [as_object(item, hostile) for item in value]
    return hostile if value is MARK else value


def check(case: Case, fields: dict[str, object]) -> None:
    line = ENCODER.encode((time.time_ns(), 0, {**CALL, "provider": case.provider, **fields}), 0)
    assert line is not None
    EVENT_ADAPTER.validate_python(orjson.loads(line))


@each("is_object", [False, True], ids=["dict", "object"])
@each("name", sorted({case.flavour for case in CASES if case.response is not None}))
def test_nothing_in_any_place_of_a_response_hurts(name: str, is_object: bool) -> None:
    cases = [case for case in CASES if case.flavour == name and case.response is not None]
    read = flavour(name).read_response
    for turn, case in enumerate(cases[:6]):
        for path, make in share(spoilt(case.response)[: 60 * len(HOSTILE)], 7, turn):
            hostile = make()
            if is_object:
                response = as_object(replaced(case.response, path, MARK), hostile)
            else:
                response = replaced(case.response, path, hostile)
            check(case, read(response))


@each("name", FLAVOUR_NAMES)
def test_nothing_in_any_chunk_of_a_stream_hurts(name: str) -> None:
    cases = [case for case in CASES if case.flavour == name and case.stream]
    for turn, case in enumerate(cases[:4]):
        assert case.stream is not None
        for path, make in share(spoilt(case.stream)[len(HOSTILE) : 80 * len(HOSTILE)], 7, turn):
            reading = flavour(name).read_stream()
            for chunk in replaced(case.stream, path, make()):
                reading.add(chunk)
            check(case, reading.fields())


@each("kind", HOSTILE)
@each("name", FLAVOUR_NAMES)
def test_nothing_in_place_of_a_request_or_a_response_hurts(name: str, kind: str) -> None:
    case = next(case for case in CASES if case.flavour == name)
    make = HOSTILE[kind]
    check(case, flavour(name).read_response(make()))
    reading = flavour(name).read_stream()
    for _ in range(3):
        reading.add(make())
    check(case, reading.fields())
    for field in ("model", "stream", "max_tokens", "temperature", "n", "config", "body", "extra"):
        check(case, flavour(name).read_request({field: make()}))
        check(case, flavour(name).read_request({field: SimpleNamespace(value=make())}))
