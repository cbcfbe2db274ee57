"""A producer that is not ours: minimal events, ten ways to be wrong, and its own arithmetic.

Nothing here uses the SDK or the pipeline's code: prices come from genai-prices' own calculation and
money is added up in Decimal, so that agreement means something.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache

from genai_prices import Usage, calc_price

MODELS = (
    ("openai", "gpt-4o"),
    ("openai", "gpt-4.1-mini"),
    ("anthropic", "claude-3-5-haiku-latest"),
    ("mistral_ai", "mistral-small-latest"),
    ("nowhere", "a-model-without-a-price"),
)


@dataclass
class Expected:
    """What the pipeline should end with, by this producer's own count."""

    sent: int = 0
    bad: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    unpriced: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


@cache
def rates_usd(provider: str, model: str) -> tuple[Decimal, Decimal, Decimal]:
    """USD per input, cache-read and output token, from genai-prices itself."""

    def one(usage: Usage) -> Decimal:
        return Decimal(str(calc_price(usage, model, provider_id=provider).total_price))

    many = 1_000
    per_input = one(Usage(input_tokens=many)) / many
    read = one(Usage(input_tokens=many, cache_read_tokens=many)) / many
    per_output = one(Usage(output_tokens=many)) / many
    return per_input, read, per_output


def event(rng: random.Random, now_us: int) -> dict[str, object]:
    provider, model = MODELS[rng.randrange(len(MODELS))]
    input_tokens = rng.randrange(1, 20_000)
    return {
        "type": "request",
        "event_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        "started_at_us": now_us - rng.randrange(3_600_000_000),
        "service": f"svc-{rng.randrange(5)}",
        "provider": provider,
        "operation": "chat",
        "status": "ok",
        "request_model": model,
        "conversation_id": f"talk-{rng.randrange(500)}" if rng.random() < 0.5 else "",
        "duration_ms": rng.randrange(1, 30_000_000) / 1000,
        "input_tokens": input_tokens,
        "output_tokens": rng.randrange(0, 4_000),
        "cache_read_tokens": rng.randrange(0, input_tokens + 1) if rng.random() < 0.5 else 0,
    }


def _without(name: str) -> Callable[[dict[str, object]], bytes]:
    return lambda e: json.dumps({k: v for k, v in e.items() if k != name}).encode()


def _with(**changed: object) -> Callable[[dict[str, object]], bytes]:
    return lambda e: json.dumps({**e, **changed}).encode()


SPOILERS: tuple[Callable[[dict[str, object]], bytes], ...] = (
    lambda e: json.dumps(e).encode()[:-7],
    lambda e: b"\xff\xfe" + json.dumps(e).encode(),
    lambda e: b'"just text"',
    _without("event_id"),
    _without("started_at_us"),
    _with(type="no-such-type"),
    _with(input_tokens="many"),
    _with(output_tokens=-1),
    _with(cache_read_tokens=10_000_000),
    _with(started_at_us=1_000_000),
)
"""Ten ways in which an event can be malformed."""


def account(expected: Expected, one: dict[str, object]) -> None:
    """Add a good event to what should arrive."""
    tokens_in, tokens_out = int(str(one["input_tokens"])), int(str(one["output_tokens"]))
    cached = int(str(one["cache_read_tokens"]))
    expected.input_tokens += tokens_in
    expected.output_tokens += tokens_out
    provider, model = str(one["provider"]), str(one["request_model"])
    if provider == "nowhere":
        expected.unpriced += 1
        return
    known = {"mistral_ai": "mistral"}.get(provider, provider)
    per_input, per_read, per_output = rates_usd(known, model)
    expected.cost_usd += (tokens_in - cached) * per_input + cached * per_read
    expected.cost_usd += tokens_out * per_output


def records(
    count: int, now_us: int, seed: int, expected: Expected
) -> list[tuple[bytes | None, bytes]]:
    """Return (key, value) records holding `count` events, 5 % malformed, in mixed shapes."""
    rng = random.Random(seed)
    made: list[tuple[bytes | None, bytes]] = []
    left = count
    while left:
        size = min(left, rng.choice((1, 1, 1, 20, 200, 500)))
        left -= size
        is_array = size > 1 and rng.random() < 0.05
        lines: list[bytes] = []
        for _ in range(size):
            one = event(rng, now_us)
            expected.sent += 1
            if rng.random() < 0.05 and not is_array:
                lines.append(SPOILERS[expected.bad % len(SPOILERS)](one))
                expected.bad += 1
            else:
                account(expected, one)
                lines.append(json.dumps(one).encode())
        value = b"[" + b",".join(lines) + b"]" if is_array else b"\n".join(lines)
        key = f"key-{rng.randrange(50)}".encode() if rng.random() < 0.5 else None
        made.append((key, value))
    return made
