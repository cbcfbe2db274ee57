"""One contestant of `bench.producer` in a process of its own; its input names what to run.

`python -m bench.producer_contestant CLIENT CONTESTANT` reads lines `call N` and `stream N` and
answers each with the CPU nanoseconds of N of them, one by one and all together, without and with
the contestant. Both are measured in this process, right after each other, because two processes
differ by more than what is asked for. Events and spans are drained within the measurement of all
together, between those of single ones.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from bench.bare_wrapper import BareWrapper
from bench.provider_replies import anthropic_calls, openai_calls

WARM_UP = {"call": 8, "stream": 2}
"""Calls made beforehand: caches are cold after a pause, and after what is patched has changed."""


class Contestant(Protocol):
    """Something that records calls and can be switched on and off."""

    stays_on: bool
    """Whether it cannot be switched off again: then another process is the baseline."""

    def on(self) -> None:
        """Start recording."""

    def off(self) -> None:
        """Stop recording."""

    def drain(self) -> None:
        """Wait until what was recorded has been given away."""

    def recorded(self) -> int:
        """Return how many calls were recorded so far."""


class Tokentide:
    """Our own `instrument()`, whose frames go nowhere."""

    stays_on = False

    def __init__(self) -> None:
        from tokentide import Telemetry

        self._telemetry = Telemetry(sender=Nowhere(), service="bench", stats_interval_s=3600)

    def on(self) -> None:
        """Instrument the client."""
        import tokentide

        tokentide.instrument(telemetry=self._telemetry)

    def off(self) -> None:
        """Undo it."""
        import tokentide

        tokentide.uninstrument()

    def drain(self) -> None:
        """Wait until every event was encoded and given away."""
        assert self._telemetry.flush(10.0)

    def recorded(self) -> int:
        """Return how many events were given away."""
        return self._telemetry.stats().delivered


class Nowhere:
    """Takes frames, and forgets them."""

    async def connect(self) -> None:
        """Connect to nothing."""

    async def send(self, frames: Sequence[object]) -> None:
        """Take frames and forget them."""

    async def close(self) -> None:
        """Close nothing."""


class Traced:
    """An OpenTelemetry instrumentor with a batch processor, whose spans go nowhere."""

    def __init__(self, instrumentor: Any, stays_on: bool) -> None:
        from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
        from opentelemetry.sdk.trace.export import (
            BatchSpanProcessor,
            SpanExporter,
            SpanExportResult,
        )

        spans = [0]

        class Null(SpanExporter):
            def export(self, batch: Sequence[ReadableSpan]) -> SpanExportResult:
                spans[0] += len(batch)
                return SpanExportResult.SUCCESS

        self._spans = spans
        self._instrumentor = instrumentor
        self.stays_on = stays_on
        self._is_on = False
        self._provider = TracerProvider()
        self._provider.add_span_processor(BatchSpanProcessor(Null(), max_queue_size=100_000))

    def on(self) -> None:
        """Instrument the client."""
        if not self._is_on:
            self._instrumentor.instrument(tracer_provider=self._provider)
            self._is_on = True

    def off(self) -> None:
        """Undo it, where it can be undone."""
        if not self.stays_on:
            self._instrumentor.uninstrument()
            self._is_on = False

    def drain(self) -> None:
        """Wait until every span was exported."""
        self._provider.force_flush()

    def recorded(self) -> int:
        """Return how many spans were exported."""
        return self._spans[0]


def make(client: str, contestant: str, resource: Any) -> Contestant:
    """Return a contestant for a client; nothing else of what it competes with is imported."""
    if contestant == "wrapper":
        return BareWrapper(resource)
    if contestant == "tokentide":
        return Tokentide()
    package = "openinference" if contestant == "openinference" else "opentelemetry"
    module = __import__(f"{package}.instrumentation.{client}", fromlist=["instrumentor"])
    name = {"openai": "OpenAIInstrumentor", "anthropic": "AnthropicInstrumentor"}[client]
    # OpenLLMetry's wrappers of openai survive `uninstrument`, and a second `instrument` adds more.
    return Traced(getattr(module, name)(), stays_on=contestant == "openllmetry")


Timed = dict[str, Any]


def _timed(run: Callable[[], object], warm_up: int, count: int, drain: Callable[[], None]) -> Timed:
    """Return CPU nanoseconds of the calling thread for each, and of the process for all."""
    for _ in range(warm_up):
        run()
    drain()
    each_ns = []
    process_ns = time.process_time_ns()
    for _ in range(count):
        began_ns = time.thread_time_ns()
        run()
        each_ns.append(time.thread_time_ns() - began_ns)
    drain()
    return {"caller": each_ns, "process": time.process_time_ns() - process_ns}


def main() -> None:
    """Serve measurements until the input ends."""
    client_name, contestant_name = sys.argv[1:]
    client: Any
    client, request = (openai_calls if client_name == "openai" else anthropic_calls)()
    resource = client.chat.completions if client_name == "openai" else client.messages
    contestant = make(client_name, contestant_name, resource)
    if client_name == "openai":
        streamed = {**request, "stream": True, "stream_options": {"include_usage": True}}
    else:
        streamed = {**request, "stream": True}

    def call() -> object:
        return resource.create(**request)

    def stream() -> object:
        chunks = 0
        for _ in resource.create(**streamed):
            chunks += 1
        return chunks

    print(json.dumps({"chunks": stream()}), flush=True)
    gc.freeze()
    for line in sys.stdin:
        kind, number = line.split()
        count, warm_up = int(number), WARM_UP[kind]
        run = call if kind == "call" else stream
        # Half of it before and half after: neither sees another machine than what is between.
        halves = [] if contestant.stays_on else [_timed(run, warm_up, count // 2, contestant.drain)]
        before = contestant.recorded()
        contestant.on()
        with_it = _timed(run, warm_up, count, contestant.drain)
        contestant.off()
        without = None
        if halves:
            halves.append(_timed(run, warm_up, count // 2, contestant.drain))
            without = {name: halves[0][name] + halves[1][name] for name in with_it}
        recorded = contestant.recorded() - before
        print(json.dumps({"without": without, "with": with_it, "recorded": recorded}), flush=True)


if __name__ == "__main__":
    main()
