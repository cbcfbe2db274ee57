"""One contestant of `bench.producer` in a process of its own, told by its input what to run.

`python -m bench.producer_contestant CLIENT CONTESTANT` reads lines `call N` and `stream N` and
answers each with the CPU nanoseconds of N of them, without and with the contestant. Both are
measured in this process, right after each other, because two processes differ by more than what is
asked for. Events and spans are drained within the measurement.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from bench.provider_replies import anthropic_calls, openai_calls

WARM_UP = 6
"""Part of the calls made beforehand: after each change of what is patched the interpreter has to
specialise its code again, and after a pause caches are cold."""


class Contestant(Protocol):
    """Something that records calls and can be switched on and off."""

    stays_on: bool
    """Whether it can not be switched off again: what it costs is then told from another process."""

    def on(self) -> None:
        """Start recording."""

    def off(self) -> None:
        """Stop recording."""

    def drain(self) -> None:
        """Wait until what was recorded has been given away."""

    def recorded(self) -> int:
        """Return how many calls were recorded so far."""


class BareWrapper:
    """The least that a recording can be: times, one fixed event, one append to a queue."""

    stays_on = False

    def __init__(self, resource: Any) -> None:
        self._resource = resource
        self._queue: deque[dict[str, object]] = deque(maxlen=10_000)
        self._calls = 0

    def on(self) -> None:
        """Wrap `create` of the client's resource."""
        create, finish = self._resource.create, self._finish

        def timed(**request: Any) -> Any:
            started_ns = time.perf_counter_ns()
            response = create(**request)
            if "stream" in request:
                return passing(response, started_ns)
            finish(started_ns, 0, 0, 0)
            return response

        def passing(chunks: Any, started_ns: int) -> Iterator[Any]:
            first_ns = last_ns = gap_ns = count = 0
            try:
                for chunk in chunks:
                    now_ns = time.perf_counter_ns()
                    if not first_ns:
                        first_ns = now_ns
                    elif now_ns - last_ns > gap_ns:
                        gap_ns = now_ns - last_ns
                    last_ns = now_ns
                    count += 1
                    yield chunk
            finally:
                finish(started_ns, count, first_ns, gap_ns)

        self._resource.create = timed

    def off(self) -> None:
        """Uncover the method of the class."""
        self._resource.__dict__.pop("create", None)

    def _finish(self, started_ns: int, chunks: int, first_ns: int, gap_ns: int) -> None:
        now_ns = time.perf_counter_ns()
        self._calls += 1
        self._queue.append(
            {
                "type": "request",
                "operation": "chat",
                "provider": "openai",
                "request_model": "gpt-5-mini",
                "status": "ok",
                "started_at_us": time.time_ns() // 1000,
                "duration_ms": (now_ns - started_ns) / 1e6,
                "ttft_ms": (first_ns - started_ns) / 1e6,
                "chunks": chunks,
                "max_chunk_gap_ms": gap_ns / 1e6,
                "input_tokens": 812,
                "output_tokens": 201,
                "usage_source": "provider",
            }
        )

    def drain(self) -> None:
        """Forget what was queued."""
        self._queue.clear()

    def recorded(self) -> int:
        """Return how many calls were recorded so far."""
        return self._calls


class Tokentide:
    """Our own `instrument()`, whose frames go nowhere."""

    stays_on = False

    def __init__(self) -> None:
        from tokentide import Telemetry

        self._telemetry = Telemetry(sender=_Nowhere(), service="bench", stats_interval_s=3600)

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


class _Nowhere:
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


def _timed(run: Callable[[], object], count: int, drain: Callable[[], None]) -> list[int]:
    """Return CPU nanoseconds of the calling thread, and of the whole process with the draining."""
    for _ in range(max(1, count // WARM_UP)):
        run()
    drain()
    process_ns, thread_ns = time.process_time_ns(), time.thread_time_ns()
    for _ in range(count):
        run()
    thread_ns = time.thread_time_ns() - thread_ns
    drain()
    return [thread_ns, time.process_time_ns() - process_ns]


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
        kind, count = line.split()
        run = call if kind == "call" else stream
        # Half of it before and half after, so that neither has the warmer caches.
        without = [] if contestant.stays_on else _timed(run, int(count) // 2, contestant.drain)
        before = contestant.recorded()
        contestant.on()
        with_it = _timed(run, int(count), contestant.drain)
        contestant.off()
        if without:
            after = _timed(run, int(count) // 2, contestant.drain)
            without = [first + second for first, second in zip(without, after, strict=True)]
        recorded = contestant.recorded() - before
        print(json.dumps({"without": without, "with": with_it, "recorded": recorded}), flush=True)


if __name__ == "__main__":
    main()
