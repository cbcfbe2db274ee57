"""Question: what does the producer cost the thread that calls it, next to an OpenTelemetry span?

Both run in one process and in turns, each with its background thread at work: ours encodes,
compresses and sends to a real broker, OpenTelemetry's batch processor hands spans to an exporter
that drops them. Only the calls are timed, one by one, each with a new event of sixteen fields that
the host has built beforehand. Run as `python -m bench.producer_emit`.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from bench import producer_background
from bench.progress import say
from tokentide import Telemetry
from tokentide_jobs.embedded.kafka.tansu import TansuBroker
from tokentide_jobs.io.kafka.admin import ensure_topics

ROUNDS = 1_500
CALLS_PER_ROUND = 20
"""Calls of each kind in a row; a host that serves requests never does thousands in a row."""
PAUSE_S = 0.002
"""Between rounds the caller waits, as a service does for its model: 4,000 events/s overall."""
QUEUED_EVENTS = 10_000
Fields = dict[str, str | int | float]
_MODELS = ("gpt-5-mini", "gpt-5", "claude-sonnet-5", "gemini-3-flash")


def measure(rounds: int = ROUNDS) -> dict[str, object]:
    """Return nanosecond percentiles of each call, memory added, import times, and the targets."""
    with tempfile.TemporaryDirectory(prefix="tokentide-bench-") as data_dir:
        broker = TansuBroker(Path(data_dir))
        broker.start()
        try:
            asyncio.run(ensure_topics(broker.bootstrap))
            result = _calls(broker.bootstrap, rounds)
            result |= producer_background.measure(broker.bootstrap, _attributes)
            say("memory and imports, each in fresh interpreters")
            result |= _memory(broker.bootstrap)
        finally:
            broker.stop()
    return {**result, **_imports()}


class _NullExporter(SpanExporter):
    """Takes spans and does nothing, so that only the SDK is measured."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def _calls(bootstrap: str, rounds: int) -> dict[str, object]:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(_NullExporter(), max_queue_size=100_000))
    tracer = provider.get_tracer("bench")
    telemetry = Telemetry(bootstrap=bootstrap, service="bench")
    rng = random.Random(7)

    def request(fields: Fields) -> None:
        with telemetry.request(
            provider="openai", request_model="gpt-5", tenant="acme", feature="answer"
        ) as call:
            call.record_usage(input_tokens=812, output_tokens=96, cache_read_tokens=512)
            call.finish("stop")

    def span(fields: Fields) -> None:
        tracer.start_span("chat", attributes=fields).end()

    calls: dict[str, Callable[[Fields], None]] = {
        "emit": telemetry.emit,
        "request": request,
        "otel_span": span,
    }
    samples: dict[str, list[int]] = {name: [] for name in calls}
    telemetry.emit(_attributes(rng))
    telemetry.flush(10.0)  # the thread runs and is connected: what is measured is the steady state
    before = telemetry.stats()
    started_s = time.perf_counter()
    for number in range(rounds):
        if number % 500 == 0:
            say(f"round {number:,} of {rounds:,}")
        for name, call in calls.items():
            _time(call, [_attributes(rng) for _ in range(CALLS_PER_ROUND)], samples[name])
            time.sleep(PAUSE_S)
    elapsed_s = time.perf_counter() - started_s
    telemetry.flush(30.0)
    after = telemetry.stats()
    telemetry.close(5.0)
    provider.shutdown()
    delivered = after.delivered - before.delivered
    if after.dropped_total or delivered < 2 * rounds * CALLS_PER_ROUND:
        raise RuntimeError(f"the run is not valid, events were not delivered: {after}")
    return {
        "events_per_s": round(delivered / elapsed_s),
        **{name: _percentiles(values) for name, values in samples.items()},
        "emit_p50_of_span_p50": _ratio(samples, 50, 50),
        "target_emit_p50_of_span_p50": 0.1,
        "emit_p99_of_span_p50": _ratio(samples, 99, 50),
        "target_emit_p99_of_span_p50": 1.0,
    }


def _attributes(rng: random.Random) -> Fields:
    """Return sixteen fields as a host would fill them, new objects every time."""
    input_tokens = rng.randrange(100, 20_000)
    return {
        "type": "request",
        "operation": "chat",
        "provider": "openai",
        "request_model": _MODELS[input_tokens & 3],
        "response_model": "gpt-5-mini-2026-08-07",
        "status": "ok",
        "tenant": "acme",
        "feature": "answer",
        "prompt_name": "answer",
        "prompt_version": "v12",
        "input_tokens": input_tokens,
        "output_tokens": input_tokens >> 3,
        "cache_read_tokens": input_tokens >> 1,
        "usage_source": "provider",
        "duration_ms": input_tokens * 0.37,
        "ttft_ms": input_tokens * 0.07,
    }


def _time(call: Callable[[Fields], None], events: list[Fields], samples: list[int]) -> None:
    clock = time.perf_counter_ns
    for event in events:
        started_ns = clock()
        call(event)
        samples.append(clock() - started_ns)


def _percentiles(samples: list[int]) -> dict[str, int]:
    cuts = statistics.quantiles(samples, n=1000)
    return {"p50_ns": round(cuts[499]), "p99_ns": round(cuts[989]), "p999_ns": round(cuts[998])}


def _ratio(samples: dict[str, list[int]], ours: int, theirs: int) -> float:
    mine = statistics.quantiles(samples["emit"], n=100)[ours - 1]
    span = statistics.quantiles(samples["otel_span"], n=100)[theirs - 1]
    return round(mine / span, 3)


_MEMORY_SCRIPT = """
import gc, json, random, sys, time
{preloaded}
def rss_kb():
    gc.collect()
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
{attributes}
rng = random.Random(7)
before = rss_kb()
import tokentide
imported = rss_kb()
telemetry = tokentide.Telemetry(bootstrap={bootstrap!r}, service="bench", exit_timeout_s=0)
telemetry.emit(_attributes(rng))
while telemetry.stats().retries + telemetry.stats().delivered == 0:
    time.sleep(0.05)
loaded = rss_kb()
for number in range({events}):
    telemetry.emit(_attributes(rng))
    if number % 20 == 0:
        time.sleep(0.004)
time.sleep(0.5)
stats = telemetry.stats()
assert stats.queued + stats.delivered == {events} + 1, stats
print(json.dumps([(n - before) / 1000 for n in (imported, loaded, rss_kb())]))
"""


def _memory(bootstrap: str) -> dict[str, object]:
    """Return resident megabytes the SDK adds: delivering, and in an outage with a full queue."""
    found: dict[str, object] = {"target_sdk_rss_mb": 20}
    source = "_MODELS = " + repr(_MODELS) + "\n" + inspect.getsource(_attributes)
    source = source.replace("rng: random.Random", "rng").replace(" -> Fields", "")
    for host, preloaded in (
        ("", ""),
        ("_in_asyncio_host", "import asyncio, logging, ssl, http.client, json, concurrent.futures"),
    ):
        for state, address in (("producing", bootstrap), ("outage", "127.0.0.1:1")):
            script = _MEMORY_SCRIPT.format(
                preloaded=preloaded, attributes=source, events=QUEUED_EVENTS, bootstrap=address
            )
            imported, loaded, final = json.loads(_python(script))
            found[f"sdk_{state}_rss_mb{host}"] = round(final, 1)
        found[f"sdk_imported_mb{host}"] = round(imported, 1)
        found[f"sdk_with_aiokafka_mb{host}"] = round(loaded, 1)
    return found


def _imports(repeats: int = 7) -> dict[str, object]:
    """Return the median milliseconds an interpreter needs to import the SDK and aiokafka."""
    median_ms: dict[str, float] = {}
    for name in ("tokentide", "aiokafka"):
        script = (
            f"import time; t = time.perf_counter(); import {name}; print(time.perf_counter()-t)"
        )
        times_s = [float(_python(script)) for _ in range(repeats)]
        median_ms[name] = round(statistics.median(times_s) * 1000, 1)
    return {
        "import_tokentide_ms": median_ms["tokentide"],
        "import_aiokafka_ms": median_ms["aiokafka"],
        "import_of_aiokafka": round(median_ms["tokentide"] / median_ms["aiokafka"], 2),
        "target_import_of_aiokafka": 0.5,
    }


def _python(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


def table(result: dict[str, object]) -> str:
    """Return the call costs as text: microseconds, one line per call."""
    lines = [f"{'call':<12}{'p50 us':>10}{'p99 us':>10}{'p99.9 us':>10}"]
    for name, value in result.items():
        if isinstance(value, dict):
            cells = "".join(f"{ns / 1000:>10.2f}" for ns in value.values())
            lines.append(f"{name:<12}{cells}")
    return "\n".join(lines)


if __name__ == "__main__":
    measured = measure()
    print(json.dumps(measured, indent=2))
    print(table(measured))
