"""Records as no producer should write them: events and export requests, mutated by structure.

Most are almost right: one field is odd, one line is damaged, one text cannot be encoded. That is
what reaches the parts of a pipeline which plain rubbish never sees.
"""

from __future__ import annotations

import json
import random
import time
import uuid
from typing import Any

from tests.otlp_requests import Request, attributes

BOM = b"\xef\xbb\xbf"
BASE_US = time.time_ns() // 1000 - 60_000_000

ODD: list[Any] = [
    None, True, 0, -1, 5.0, 0.5, 1e300, 2**40, 2**63, 2**70, "", "5", "null", "\x00", "x" * 129,
    "x" * 3000, "é" * 128, "😀", "\ud800", "}{", [], {}, [None], {"a": None}, {"a": {"b": 1}},
    {"": "x"}, {str(n): "v" for n in range(40)}, [["a"]], "0" * 32, BASE_US * 1000, 100_000_001,
]  # fmt: skip
DAMAGE = [
    b"", b'"', b"{", b"}", b"[", b"]", b":", b",", b"\\", b"\\ud83d", b"\x00", b"\xff", b"\n",
    b"\xed\xa0\xbd\xed\xb8\x80", BOM, b"NaN", b"-Infinity", b"1e999", b"9" * 40, b"}{", b"[" * 600,
]  # fmt: skip
SEPARATORS = [b"\n", b"\n", b"\n", b"\r\n", b"\n\n", b"", b" ", b",\n", b"\n[1,2,3]\n", b"\n]\n"]
RUBBISH = [b"", b" ", b"[]", b"{}", b"null", b"[1,2,3]", b"\xff\xfe", b"[" * 5000, b"\n" * 50, BOM]


def hostile_record(chance: random.Random) -> bytes:
    """One record for a topic of events."""
    kind = chance.random()
    if kind < 0.05:
        return chance.choice(RUBBISH)
    events = [_line(chance) for _ in range(chance.randint(1, 8))]
    if kind < 0.15:
        value = b"[" + b",".join(events) + b"]"
    elif kind < 0.25:
        value = json.dumps(_event(chance), indent=1).encode()
    else:
        value = b"".join(event + chance.choice(SEPARATORS) for event in events)
    if chance.random() < 0.05:
        value = BOM + value
    return _damaged(value, chance) if chance.random() < 0.1 else value


def hostile_request(chance: random.Random) -> bytes:
    """One record for a topic of OpenTelemetry Collectors."""
    if chance.random() < 0.05:
        return chance.choice(RUBBISH)
    request = Request(service=chance.choice(["chat", "search"]))
    for _ in range(chance.randint(1, 6)):
        held: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.usage.input_tokens": chance.randrange(1, 5_000),
            "gen_ai.usage.output_tokens": chance.randrange(1, 900),
        }
        if chance.random() < 0.4:
            held[chance.choice(list(held))] = chance.choice(["\ud800", 2**40, -1, 0.5, "", True])
        start_ns = time.time_ns() - chance.randrange(10**10)
        ids = f"{chance.getrandbits(128):032x}", f"{chance.getrandbits(64):016x}"
        request.span("chat", *ids, start_ns, attributes(**held))
    value = request.encode()
    return _damaged(value, chance) if chance.random() < 0.3 else value


class RawName(str):
    """A name of a header as clients in other languages may write it: any bytes."""

    raw: bytes

    def __new__(cls, raw: bytes) -> RawName:
        made = super().__new__(cls, raw.decode(errors="replace"))
        made.raw = raw
        return made

    def encode(self, *_args: Any, **_options: Any) -> bytes:
        """Return the bytes that go on the wire."""
        return self.raw


NAMES = [b"", b"cl\xe9", b"\xff" * 5, b"\xed\xa0\xbd", b"\x00", b"traceparent", b"x" * 2_000]


def hostile_headers(chance: random.Random) -> list[tuple[str, bytes | None]]:
    """Return the headers of a record; most have none."""
    kind = chance.random()
    if kind < 0.9:
        return []
    count = 3_000 if kind > 0.998 else chance.randint(1, 4)
    values = [None, b"", b"\xff\xfe", bytes(100_000 if kind > 0.99 and count < 5 else 10)]
    return [(RawName(chance.choice(NAMES)), chance.choice(values)) for _ in range(count)]


def good_event(chance: random.Random) -> dict[str, Any]:
    """Return an event with nothing wrong about it."""
    return {
        "type": "request",
        "event_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "started_at_us": BASE_US + chance.randrange(30_000_000),
        "service": chance.choice(["chat", "search"]),
        "tenant": chance.choice(["acme", "globex"]),
        "provider": "openai",
        "operation": "chat",
        "status": "ok",
        "request_model": "gpt-4o-mini",
        "duration_ms": chance.randrange(1, 5_000),
        "input_tokens": chance.randrange(1, 5_000),
        "output_tokens": chance.randrange(1, 900),
        "tags": {"region": "eu"},
    }


def _event(chance: random.Random) -> dict[str, Any]:
    event = good_event(chance)
    for _ in range(chance.choice([0, 0, 0, 1, 1, 2])):
        name = chance.choice([*event, "tags", "unknown", "finish_reasons", "ttft_ms"])
        if chance.random() < 0.2:
            event.pop(name, None)
        else:
            event[name] = chance.choice(ODD)
    return event


def _line(chance: random.Random) -> bytes:
    event = _event(chance)
    text = json.dumps(event, ensure_ascii=chance.random() < 0.5)
    if chance.random() < 0.1:  # the same key twice
        extra = json.dumps({chance.choice(list(event) or ["a"]): chance.choice(ODD)})
        text = f"{text[:-1]},{extra[1:]}"
    line = text.encode(errors="surrogatepass")
    return _damaged(line, chance) if chance.random() < 0.1 else line


def _damaged(value: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(value)
    for _ in range(chance.randint(1, 3)):
        start = chance.randrange(len(damaged) + 1)
        damaged[start : start + chance.choice([0, 0, 1, 4])] = chance.choice(DAMAGE)
    return bytes(damaged)
