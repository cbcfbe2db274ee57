"""One call, one event: what layers recognise a call by, and what they never mistake for one."""

from __future__ import annotations

import gc

import pytest

from tokentide.seen_calls import SeenCalls, response_key, span_key


class ProviderError(Exception):
    pass


def test_the_first_layer_writes_and_every_other_keeps_silent() -> None:
    seen_calls = SeenCalls()
    assert seen_calls.is_first("client", "response r1")
    assert not seen_calls.is_first("opentelemetry", "response r1")
    assert not seen_calls.is_first("langchain", "response r1")
    assert seen_calls.is_first("langchain", "response r2")


def test_calls_of_one_layer_are_never_taken_for_one() -> None:
    """Servers that give every response the same id exist."""
    seen_calls = SeenCalls()
    assert all(seen_calls.is_first("client", "response same") for _ in range(5))
    found = [seen_calls.is_first("langchain", "response same") for _ in range(6)]
    assert found == [False] * 5 + [True]


def test_any_of_several_keys_identifies_a_call() -> None:
    seen_calls = SeenCalls()
    assert seen_calls.is_first("client", "response r1", "span t s")
    assert not seen_calls.is_first("opentelemetry", "", "span t s")
    assert not seen_calls.is_first("litellm", "response r1")


def test_what_nothing_identifies_is_always_first() -> None:
    seen_calls = SeenCalls()
    assert seen_calls.is_first("client")
    assert seen_calls.is_first("langchain", "")
    assert seen_calls.is_first("langchain", error=TimeoutError())


def test_a_wrapped_exception_is_the_same_failure() -> None:
    seen_calls = SeenCalls()
    inner = ProviderError("429")
    assert seen_calls.is_first("client", error=inner)
    with pytest.raises(RuntimeError) as caught:
        try:
            raise inner
        except ProviderError as error:
            raise RuntimeError("framework") from error
    assert not seen_calls.is_first("langchain", error=caught.value)
    assert seen_calls.is_first("langchain", error=ProviderError("another"))


def test_an_exception_is_not_kept_and_its_number_is_free_again() -> None:
    seen_calls = SeenCalls()
    error = ProviderError("gone")
    assert seen_calls.is_first("client", error=error)
    del error
    gc.collect()
    assert not seen_calls._errors
    assert not seen_calls._new


def test_memory_is_bounded() -> None:
    seen_calls = SeenCalls(generation=10)
    for number in range(1000):
        seen_calls.is_first("client", f"response {number}")
    assert len(seen_calls._new) + len(seen_calls._old) <= 20
    assert not seen_calls.is_first("langchain", "response 999")
    assert seen_calls.is_first("langchain", "response 1")


def test_keys_are_made_of_what_is_there() -> None:
    assert response_key({"response_id": "r"}) == "response r"
    assert response_key({}) == response_key({"response_id": 3}) == ""
    assert span_key("t", "s") == "span t s"
    assert span_key("t", None) == span_key("", "s") == ""
