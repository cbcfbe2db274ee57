"""A receiver that refuses for ten minutes has every transition afterwards, once and in order.

Over real HTTP, on a clock that only the pauses between attempts move.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict

import pytest
from aiohttp import web

from tests.stream_jobs.core.alert.histories import (
    MINUTE_US,
    NOW_US,
    PROVIDER,
    TENANT,
    dollars_an_hour,
    finding,
)
from tests.stream_jobs.io.notify.test_notify import receiver, served
from tokentide_jobs.backoff import Backoff
from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.core.alert.book import AlertBook
from tokentide_jobs.core.alert.outbox import Attempt, Look, Message, Send, StoreAttempt, Wait, life
from tokentide_jobs.io.clickhouse.alert_store import payload_of
from tokentide_jobs.io.notify.sending import Sender

DOWN_US = 10 * MINUTE_US
PAUSES = Backoff(first_s=1.0, longest_s=60.0)


def written() -> list[Message]:
    """Return what is stored in twelve minutes: two alerts that open, get worse, end and return."""
    book, messages = AlertBook(AlertRules(storm_opens=100)), []
    for minute, change, dollars in (
        (0, "fires", 0), (2, "fires", 100), (4, "ends", 0), (8, "fires", 0), (12, "ends", 0),
    ):  # fmt: skip
        at_us = NOW_US + minute * MINUTE_US
        found = [
            finding(change=change, dimensions=key, at_us=at_us, impact=dollars_an_hour(dollars))
            for key in (PROVIDER, TENANT)
        ]
        made = book.observe(found, at_us, at_us)
        messages += [Message(one.id, one.alert_id, at_us, payload_of(one)) for one in made]
    return messages


@pytest.mark.parametrize("status", [503, 429, 408])
async def test_after_ten_minutes_of_refusals_everything_is_delivered_once_in_order(
    status: int,
) -> None:
    messages, attempts, clock_us = written(), list[Attempt](), NOW_US
    assert len(messages) == 10
    received: list[tuple[str, str, int]] = []

    async def take(request: web.Request) -> web.Response:
        if clock_us < NOW_US + DOWN_US:
            return web.Response(status=status)
        data = json.loads(await request.read())["data"]
        received.append((request.headers["webhook-id"], data["alert_id"], data["sequence"]))
        return web.Response(status=204)

    def unsent() -> list[Message]:
        done = {one.message.id for one in attempts if one.result.outcome != "retry"}
        return [one for one in messages if one.written_us <= clock_us and one.id not in done]

    steps = life("oncall", lambda: clock_us, PAUSES.pause_s)
    answer: object = None
    async with served(take) as url, Sender() as sender:
        to = receiver(url)
        while clock_us < NOW_US + 15 * MINUTE_US:
            step = steps.send(answer)
            answer = None
            match step:
                case Look():
                    answer = unsent()
                case Send(message=message):
                    answer = await sender.send(to, message)
                case StoreAttempt(attempt=attempt):
                    attempts.append(attempt)
                case Wait(seconds=seconds):
                    clock_us += round(seconds * 1e6)

    assert Counter(name for name, _alert, _number in received) == Counter(
        one.id for one in messages
    )
    numbers = defaultdict(list)
    for _name, alert, number in received:
        numbers[alert].append(number)
    assert [sorted(one) for one in numbers.values()] == list(numbers.values()) == [[*range(5)]] * 2
    refused = [one.at_us for one in attempts if one.result.outcome == "retry"]
    assert 10 <= len(refused) <= 30, "it asks with growing pauses, up to a minute"
    last_us = max(one.at_us for one in attempts)
    assert last_us - NOW_US < 13 * MINUTE_US, "what waited is through a minute after it answers"
