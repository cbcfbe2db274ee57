"""The id that `last_event_id` gives is that of the event which leaves."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import httpx2
import openai
import pytest

import tokentide
import tokentide.event_identity
from tests.fakes.openai_http import answering
from tests.producers.instrument.openai_calls import ASK, async_client, client, only
from tokentide import producer as producer_module
from tokentide import seen_calls as seen_calls_module
from tokentide.telemetry import producer_of
from tokentide.testing import Capture, captured


@pytest.fixture(autouse=True)
def nothing_before() -> None:
    tokentide.event_identity.note_latest("")


def test_a_call_s_id_is_known_when_it_has_returned(capture: Capture) -> None:
    client().chat.completions.create(**ASK)
    event_id = tokentide.last_event_id()
    assert event_id is not None
    assert only(capture)["event_id"] == event_id
    assert tokentide.last_event_id() == event_id


def test_the_id_is_the_same_after_the_event_has_left(capture: Capture) -> None:
    client().chat.completions.create(**ASK)
    event = only(capture)  # waits until it has left
    assert tokentide.last_event_id() == event["event_id"]


def test_each_call_has_an_id_of_its_own(capture: Capture) -> None:
    ids = []
    for _ in range(3):
        client().chat.completions.create(**ASK)
        ids.append(tokentide.last_event_id())
    assert [event["event_id"] for event in capture.requests] == ids
    assert len(set(ids)) == 3


def test_a_stream_s_id_is_known_while_it_goes_on(capture: Capture) -> None:
    stream = client().chat.completions.create(**ASK, stream=True)
    event_id = tokentide.last_event_id()
    for _chunk in stream:
        assert tokentide.last_event_id() == event_id
    assert only(capture)["event_id"] == event_id


def test_a_stream_that_is_dropped_ends_although_its_id_is_remembered(capture: Capture) -> None:
    stream: Any = client().chat.completions.create(**ASK, stream=True)
    next(iter(stream))
    event_id = tokentide.last_event_id()
    del stream
    gc.collect()
    assert (only(capture)["event_id"], only(capture)["status"]) == (event_id, "abandoned")


def test_a_call_that_fails_has_an_id(capture: Capture) -> None:
    def refuse(_request: Any) -> Any:
        raise httpx2.ConnectError("no")

    with pytest.raises(openai.APIConnectionError):
        client(http_client=answering(refuse), max_retries=0).chat.completions.create(**ASK)
    assert only(capture)["event_id"] == tokentide.last_event_id()


async def test_tasks_know_their_own_calls_only(capture: Capture) -> None:
    async def ask() -> str | None:
        await async_client().chat.completions.create(**ASK)
        await asyncio.sleep(0)
        return tokentide.last_event_id()

    ids = await asyncio.gather(ask(), ask(), ask())
    assert tokentide.last_event_id() is None
    assert sorted(event["event_id"] for event in capture.requests) == sorted(map(str, ids))


def test_a_block_of_ones_own_names_the_event_that_the_call_fills(capture: Capture) -> None:
    with capture.telemetry.request(provider="openai", request_model="m") as block:
        client().chat.completions.create(**ASK)
        assert tokentide.last_event_id() == block.event_id
    assert tokentide.last_event_id() == only(capture)["event_id"] == block.event_id


def test_a_decorated_function_s_id_is_known_after_it(capture: Capture) -> None:
    @capture.telemetry.request(provider="openai", request_model="m")
    def answer() -> str:
        return "a"

    answer()
    assert tokentide.last_event_id() == only(capture)["event_id"]


def test_a_call_that_a_bridge_has_recorded_has_no_id_of_ours(
    capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen_calls_module.seen_calls, "is_watched", True)
    monkeypatch.setattr(seen_calls_module.seen_calls, "is_first", lambda *_key, **_more: False)
    client().chat.completions.create(**ASK)
    assert tokentide.last_event_id() is None
    assert capture.requests == []


def test_nothing_was_called_here_is_none(capture: Capture) -> None:
    client().chat.completions.create(**ASK)
    ids: list[str | None] = []
    other = threading.Thread(target=lambda: ids.append(tokentide.last_event_id()))
    other.start()
    other.join()
    assert ids == [None]


def test_remembering_the_id_keeps_no_producer_alive() -> None:
    with captured(service="s") as capture:
        tokentide.instrument(telemetry=capture.telemetry)
        client().chat.completions.create(**ASK)
        tokentide.uninstrument()
        known = len(producer_module._live)
        assert producer_of(capture.telemetry) in producer_module._live
    del capture
    gc.collect()
    assert len(producer_module._live) < known


def test_who_asks_and_who_builds_agree_however_they_race() -> None:
    class Producer:
        def __init__(self) -> None:
            self.made = 0
            self.both = threading.Barrier(2)

        def new_id(self, epoch_ns: int) -> str:
            self.both.wait(10)  # both threads are making an id before either keeps one
            self.made += 1
            return f"{epoch_ns}-{threading.get_ident()}"

    producer = Producer()
    identity: tokentide.event_identity.EventIdentity = (lambda: producer, 5, {})
    ids: list[str] = []
    threads = [
        threading.Thread(target=lambda: ids.append(tokentide.event_identity.resolve(identity)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert producer.made == 2
    assert ids[0] == ids[1]
    assert ids[0].startswith("5000-")
