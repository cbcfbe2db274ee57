"""What `instrument()` and the bare wrapper add to a client that does nothing, in a loop.

Around a real call their microseconds drown in the noise of the call's hundreds. Here both are as
fast as they ever are, so their ratio is steady; what it leaves out is that code is colder, and
takes several times as long, between the calls of a service.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import openai
from openai._models import FinalRequestOptions

import tokentide
from bench.bare_wrapper import BareWrapper
from bench.producer_contestant import Nowhere
from bench.provider_replies import openai_calls
from tokentide import Telemetry

BLOCK = 100
"""Calls between two drains, fewer than may wait for the background thread."""
STREAMS = 4
BLOCKS = 300


class Stream:
    """Goes like the client's class of this name, by which a stream is recognised."""

    def __init__(self, chunks: list[Any]) -> None:
        self._iterator = iter(chunks)

    def __iter__(self) -> Iterator[Any]:
        yield from self._iterator


class Idle(openai.OpenAI):
    """A client whose every request is answered at once by what was received before."""

    answer: Any = None
    chunks: Any = ()

    def request(self, cast_to: Any, options: Any, **kwargs: Any) -> Any:
        """Return the answer, or a stream."""
        return Stream(self.chunks) if kwargs else self.answer


class Resource:
    """What the bare wrapper wraps."""

    def __init__(self, client: Idle) -> None:
        self._client = client

    def create(self, **kwargs: Any) -> Any:
        """Return the answer, or a stream."""
        return Stream(self._client.chunks) if "stream" in kwargs else self._client.answer


class Wrapped(Resource):
    """The one whose method is wrapped, and no other's with it."""

    create = Resource.create


def measure() -> dict[str, object]:
    """Return microseconds added per call and per chunk in a loop, and their ratios."""
    real, request = openai_calls()
    idle, recorded = Idle(api_key="none"), Idle(api_key="none")
    Idle.answer = real.chat.completions.create(**request)
    Idle.chunks = list(real.chat.completions.create(**request, stream=True))
    telemetry = Telemetry(sender=Nowhere(), service="bench", stats_interval_s=3600)
    tokentide.instrument_client(recorded, telemetry=telemetry)
    wrapped = Wrapped(idle)
    wrapper = BareWrapper(wrapped)
    wrapper.on()
    options = FinalRequestOptions.construct(
        method="post", url="/chat/completions", json_data=dict(request)
    )

    def drain() -> None:
        wrapper.drain()
        telemetry.flush(10.0)

    def requesting(client: Idle, **stream: bool) -> Callable[[], Any]:
        return lambda: client.request(None, options, **stream)

    def creating(resource: Resource, **stream: bool) -> Callable[[], Any]:
        return lambda: resource.create(**request, **stream)

    per_call = _added_us(
        {
            "tokentide": (requesting(idle), requesting(recorded)),
            "wrapper": (creating(Resource(idle)), creating(wrapped)),
        },
        BLOCK,
        drain,
    )
    per_stream = _added_us(
        {
            "tokentide": (requesting(idle, stream=True), requesting(recorded, stream=True)),
            "wrapper": (creating(Resource(idle), stream=True), creating(wrapped, stream=True)),
        },
        STREAMS,
        drain,
    )
    expected = BLOCKS * (BLOCK + STREAMS)
    if telemetry.stats().delivered != expected or wrapper.recorded() != expected:
        raise RuntimeError(f"recorded {telemetry.stats()} of {expected}")
    telemetry.close()
    per_chunk = {
        name: round((us - per_call[name]) / len(Idle.chunks), 4) for name, us in per_stream.items()
    }
    return {
        "added_us_per_call": per_call,
        "added_us_per_chunk": per_chunk,
        "tokentide_call_of_wrapper": round(per_call["tokentide"] / per_call["wrapper"], 2),
        "tokentide_chunk_of_wrapper": round(per_chunk["tokentide"] / per_chunk["wrapper"], 2),
    }


Pair = tuple[Callable[[], Any], Callable[[], Any]]
"""Without and with a recording; an iterable that is returned is read to its end."""


def _added_us(pairs: dict[str, Pair], count: int, drain: Callable[[], None]) -> dict[str, float]:
    """Return CPU microseconds that each adds to one run: the median over blocks taken in turns."""
    added: dict[str, list[float]] = {name: [] for name in pairs}
    for _ in range(BLOCKS):
        for name, (without, with_it) in pairs.items():
            without_us = _block_us(without, count)
            added[name].append(_block_us(with_it, count) - without_us)
            drain()
    return {name: round(statistics.median(found), 3) for name, found in added.items()}


def _block_us(run: Callable[[], Any], count: int) -> float:
    began_ns = time.thread_time_ns()
    for _ in range(count):
        result = run()
        if hasattr(result, "__next__") or type(result) is Stream:
            for _chunk in result:
                pass
    return (time.thread_time_ns() - began_ns) / count / 1000


if __name__ == "__main__":
    print(measure())
