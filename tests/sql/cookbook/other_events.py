"""What happens beside calls: judgements, changes, reports of producers, lines without an event."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import Iterator

from tests.sql.cookbook.traffic import DEPLOYED, NOWS, Event, moment, us


def judgements(of: list[Event]) -> Iterator[Event]:
    """Yield judgements of some calls, which they name in every way that there is."""
    draw = random.Random(31)
    shared = of[-1]["event_id"]
    for number, call in enumerate([*of[::5], *of[-1:] * 4]):
        yes: Event = {
            "event_id": str(uuid.UUID(int=draw.getrandbits(128), version=4)),
            "started_at_us": call["started_at_us"] + 5_000_000,
            "service": "judge",
            "score": round(draw.random(), 2),
            **(
                {"target_event_id": call["event_id"]},
                {"target_event_id": call["event_id"], "request_model": "guessed", "tenant": "acme"},
                {"response_id": call["response_id"]},
                {"conversation_id": f"c{number}", "prompt_name": "rewrite-tone"},
                {"target_event_id": str(uuid.UUID(int=draw.getrandbits(128), version=4))},
            )[0 if call["event_id"] == shared else draw.randrange(5)],
        }
        if draw.random() < 0.5:
            yield yes | {
                "type": "evaluation",
                "name": draw.choice(("faithfulness", "toxicity")),
                **draw.choice(({}, {"passed": True}, {"passed": False})),
            }
        else:
            yield yes | {
                "type": "feedback",
                "name": "thumbs",
                "label": "up" if yes["score"] >= 0.5 else "down",
                "comment": draw.choice(("", "too long")),
            }


def changes() -> Iterator[Event]:
    made: tuple[tuple[dt.datetime, str, str, str, str], ...] = (
        (DEPLOYED, "deploy", "chat-api", "production", ""),
        (DEPLOYED, "deploy", "chat-api", "staging", ""),
        (moment(3, 9, 12, 30), "deploy", "planner", "", ""),
        (moment(3, 10, 3, 3, 3), "prompt", "answer-with-sources", "production", "acme"),
        (moment(3, 24, 9), "model", "gpt-4.1-mini", "production", ""),
        (moment(3, 25), "price", "anthropic", "", ""),
        (moment(3, 30, 20, 15), "policy", "rewrite", "staging", ""),
        (moment(2, 28, 23, 59, 59), "model", "never-called", "", ""),
    )
    for number, (at, kind, subject, environment, tenant) in enumerate(made):
        change = {
            "type": "change",
            "event_id": str(uuid.UUID(int=number, version=4)),
            "started_at_us": us(at),
            "service": "release-bot",
            "environment": environment,
            "tenant": tenant,
            "kind": kind,
            "subject": subject,
            "to_version": f"v{number}",
        }
        yield change
        if number % 3 == 0:
            yield dict(change)


def stats() -> Iterator[Event]:
    """Yield reports of three producers, one of which drops events and one of which sends none."""
    for now in NOWS:
        for hours in (1, 2, 30):
            for producer in range(3):
                emitted = producer * 100 * (40 - hours)
                yield {
                    "type": "stats",
                    "event_id": str(uuid.UUID(int=us(now) + hours * 10 + producer, version=4)),
                    "started_at_us": us(now - dt.timedelta(hours=hours)),
                    "service": ("idle", "chat-api", "rag-worker")[producer],
                    "producer_id": f"p{producer}-{now:%d}",
                    "emitted": emitted,
                    "dropped": emitted // 50 if producer == 2 else 0,
                }


def lines(calls: list[Event]) -> Iterator[tuple[int, bytes | Event]]:
    """Yield everything in order of time: events, and lines that no event is in."""
    events = [*calls, *judgements(calls), *changes(), *stats()]
    found: list[tuple[int, bytes | Event]] = [(one["started_at_us"], one) for one in events]
    for now in NOWS:
        for place in range(6):
            at = us(now - dt.timedelta(hours=1)) + place
            found.append((at, b'{"type": "request"}' if place % 3 else b'{"type:'))
    return iter(sorted(found, key=lambda one: one[0]))
