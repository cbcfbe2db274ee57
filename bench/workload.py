"""The workload of every throughput measurement: realistic request events of about 700 bytes.

Seeded, so that the worker and every reference read the same bytes.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator

import orjson

MODELS = (
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("openai", "gpt-4.1"),
    ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-haiku-4-5"),
    ("google", "gemini-2.5-pro"),
    ("google", "gemini-2.5-flash"),
    ("mistral", "mistral-large-latest"),
)
TENANTS = tuple(f"tenant-{number:02d}" for number in range(12))
SERVICES = ("chat-api", "search-answers", "code-review", "mail-triage", "batch-summaries")
FEATURES = ("answer", "rewrite", "classify", "extract")


def events(
    count: int, start_us: int, spacing_us: int, seed: int = 7
) -> Iterator[dict[str, object]]:
    """Yield `count` request events, `spacing_us` apart, beginning at `start_us`."""
    rng = random.Random(seed)
    for number in range(count):
        yield event(rng, start_us + number * spacing_us, number)


def event(rng: random.Random, started_at_us: int, seq: int) -> dict[str, object]:
    """Return one request event; about 700 bytes as JSON."""
    provider, model = MODELS[rng.randrange(len(MODELS))]
    input_tokens = int(rng.lognormvariate(6.8, 1.1)) + 1
    output_tokens = int(rng.lognormvariate(5.2, 0.9)) + 1
    ttft_ms = round(rng.lognormvariate(6.0, 0.5), 3)
    event_id = uuid.UUID(
        int=(started_at_us // 1000 << 80) | (7 << 76) | (2 << 62) | rng.getrandbits(62)
    )
    is_error = rng.random() < 0.02
    return {
        "type": "request",
        "schema_version": 1,
        "event_id": str(event_id),
        "started_at_us": started_at_us,
        "duration_ms": round(ttft_ms + output_tokens * rng.uniform(6, 20), 3),
        "service": SERVICES[rng.randrange(len(SERVICES))],
        "environment": "production",
        "tenant": TENANTS[int(rng.paretovariate(1.2)) % len(TENANTS)],
        "team": "platform",
        "feature": FEATURES[rng.randrange(len(FEATURES))],
        "trace_id": f"{rng.getrandbits(128):032x}",
        "span_id": f"{rng.getrandbits(64):016x}",
        "operation": "chat",
        "provider": provider,
        "request_model": model,
        "response_model": model,
        "prompt_name": "answer",
        "prompt_version": "v12",
        "stream": True,
        "status": "error" if is_error else "ok",
        "error_type": "rate_limit" if is_error else None,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "cache_read_tokens": input_tokens // 3,
        "usage_source": "provider",
        "finish_reasons": ["stop"],
        "ttft_ms": ttft_ms,
        "sdk_name": "tokentide",
        "sdk_version": "0.1.0",
        "tags": {"region": "eu-west-1"},
        "seq": seq,
    }


def frames(lines: list[bytes], size: int) -> list[bytes]:
    """Join events into newline-delimited frames of `size` events."""
    return [b"\n".join(lines[i : i + size]) for i in range(0, len(lines), size)]


def lines(count: int, start_us: int, spacing_us: int, seed: int = 7) -> list[bytes]:
    """Return `count` events as JSON, one `bytes` each."""
    return [orjson.dumps(one) for one in events(count, start_us, spacing_us, seed)]
