"""Responses that fight back: whatever they do, reading them neither raises nor takes long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import process_time
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from tests.each import each
from tests.golden.cases import load_cases
from tests.golden.pricing import event_of, judged
from tokentide.usage.flavour import FLAVOUR_NAMES, flavour, for_provider

FLAVOURS = sorted({case.flavour for case in load_cases()})
CASES = {case.flavour: case for case in load_cases()}
every_flavour = each("name", FLAVOURS)


class Raises:
    """Every attribute, every operation raises."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    def __hash__(self) -> int:
        raise RuntimeError

    def __bool__(self) -> bool:
        raise RuntimeError

    def __len__(self) -> int:
        raise RuntimeError

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError

    def __getitem__(self, key: object) -> Any:
        raise RuntimeError


class Endless:
    """Contains itself under every name and index, claims to be endless, and never ends."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, key: object) -> Any:
        return self

    def __len__(self) -> int:
        return 1 << 60

    def __iter__(self) -> Iterator[Any]:
        while True:
            yield self


class Recursing:
    """Every attribute ends in a RecursionError."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self, name + "_")


class Liar(dict[str, Any]):
    """A dict whose methods all raise."""

    def get(self, key: str, default: Any = None) -> Any:
        raise RuntimeError(key)

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError(key)

    def __contains__(self, key: object) -> bool:
        raise RuntimeError

    def __bool__(self) -> bool:
        raise RuntimeError


class Clash:
    """A key that looks like `usage` to a dict until it is compared."""

    def __hash__(self) -> int:
        return hash("usage")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("compared")


class Number(int):
    """An integer that lies about its size."""

    def __le__(self, other: object) -> bool:
        raise RuntimeError

    __lt__ = __ge__ = __gt__ = __le__


class Pretends:
    """Says that it is a dict."""

    __class__ = dict  # type: ignore[assignment]


def everywhere(payload: Any, hostile: Callable[[], Any]) -> Any:
    """Return the payload with its leaves replaced."""
    if isinstance(payload, dict):
        return {key: everywhere(value, hostile) for key, value in payload.items()}
    if isinstance(payload, list):
        return [everywhere(value, hostile) for value in payload]
    return hostile()


HOSTILE: dict[str, Callable[[], Any]] = {
    "raises": Raises,
    "endless": Endless,
    "recursing": Recursing,
    "dict whose methods raise": lambda: Liar(usage=Liar(prompt_tokens=1)),
    "key that cannot be compared": lambda: {Clash(): 1},
    "integer that lies": lambda: Number(5),
    "pretended dict": Pretends,
    "mock": MagicMock,
    "class": lambda: Raises,
    "very long text": lambda: "x" * 1_000_000,
    "huge integer": lambda: 1 << 100_000,
    "endless generator": lambda: iter(int, 1),
}
hostile_objects = each("make", HOSTILE.values(), ids=HOSTILE)


def check(name: str, fields: dict[str, Any]) -> None:
    texts = [value for value in fields.values() if isinstance(value, str)]
    assert all(len(text) <= 256 for text in texts)
    assert len(fields.get("finish_reasons", ())) <= 128
    judged(event_of(CASES[name], fields))


@every_flavour
@hostile_objects
def test_a_hostile_response_is_read_as_saying_nothing(name: str, make: Callable[[], Any]) -> None:
    reader = flavour(name)
    check(name, reader.read_response(make()))
    reading = reader.read_stream()
    for _ in range(3):
        reading.add(make())
    check(name, reading.fields())
    assert isinstance(reader.read_request({"model": make(), "n": make(), "stream": make()}), dict)


@every_flavour
@hostile_objects
def test_hostile_values_in_the_place_of_every_leaf_do_no_harm(
    name: str, make: Callable[[], Any]
) -> None:
    case = CASES[name]
    reader = flavour(name)
    if case.stream is None:
        check(name, reader.read_response(everywhere(case.response, make)))
        return
    reading = reader.read_stream()
    for chunk in case.stream:
        reading.add(everywhere(chunk, make))
    check(name, reading.fields())


@hostile_objects
def test_a_hostile_response_finds_some_flavour(make: Callable[[], Any]) -> None:
    assert for_provider("openai", make()).name in FLAVOUR_NAMES


def test_indexes_that_the_provider_chose_size_nothing() -> None:
    reading = flavour("openai_chat").read_stream()
    for index in (10**9, 10**18, -1, 1 << 200):
        call = {"index": index, "function": {"arguments": "{}"}}
        reading.add({"choices": [{"index": index, "delta": {"tool_calls": [call]}}]})
        reading.add({"choices": [{"index": index, "delta": {}, "finish_reason": "tool_calls"}]})
    fields = reading.fields()
    assert fields["tool_calls_count"] == 4
    assert fields["finish_reasons"] == ["tool_call"] * 4 + ["tool_calls"]


def test_long_lists_are_looked_at_up_to_a_bound() -> None:
    choice = {"index": 0, "message": {"tool_calls": [{"id": "a"}] * 100_000}}
    response = {"choices": [choice] * 100_000, "output": [{"type": "function_call"}] * 1_000_000}
    started = process_time()
    for name in ("openai_chat", "openai_responses", "openai_images", "openai_embeddings"):
        check(name, flavour(name).read_response(response))
    assert process_time() - started < 0.5


def test_a_stream_keeps_a_bounded_amount_whatever_it_is_sent() -> None:
    reading = flavour("openai_chat").read_stream()
    for number in range(20_000):
        call = {"index": number, "id": f"call_{number}"}
        delta = {"tool_calls": [call], "refusal": "no", "content": None}
        reading.add({"choices": [{"index": number, "delta": delta, "finish_reason": "stop"}]})
    fields = reading.fields()
    assert fields["tool_calls_count"] == 4096
    check("openai_chat", fields)


def test_a_generator_of_the_host_is_not_consumed() -> None:
    taken = []

    def choices() -> Iterator[Any]:
        taken.append(1)
        yield {"finish_reason": "stop"}

    flavour("openai_chat").read_response(SimpleNamespace(choices=choices(), usage=None))
    assert not taken


def test_interrupts_of_the_host_pass_through() -> None:
    class Interrupts:
        @property
        def usage(self) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        flavour("openai_chat").read_response(Interrupts())


def test_an_unknown_flavour_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match=r"flavour='openai' is not known; give one of .*openai_chat"
    ):
        flavour("openai")
