"""Every transition reaches a receiver in the order of its alert, once by its id, whatever dies.

Crash schedules: at each step the sender is killed before it, killed after it, or goes on; the
receiver answers, fails, or takes a message and loses the reply.
"""

from __future__ import annotations

from collections import defaultdict
from random import Random

import pytest

from tests.each import each
from tokentide_jobs.core.alert.outbox import (
    EXPIRES_US,
    Attempt,
    Life,
    Look,
    Message,
    Result,
    Send,
    StoreAttempt,
    Wait,
    life,
)

DELIVERED = Result("delivered", 204)
DOWN = Result("retry", 0, "no connection")
BROKEN = Result("retry", 500)


class Store:
    """What is stored: messages, and attempts."""

    def __init__(self, messages: list[Message]) -> None:
        self.messages = messages
        self.attempts: list[Attempt] = []

    def unsent(self) -> list[Message]:
        done = {one.message.id for one in self.attempts if one.result.outcome != "retry"}
        return [one for one in self.messages if one.id not in done]


class Receiver:
    """Takes messages, drops those whose id it has, and is down when it wants to be."""

    def __init__(self, chance: Random, failure_rate: float) -> None:
        self.received: list[Message] = []
        self._chance = chance
        self.failure_rate = failure_rate

    def take(self, message: Message) -> Result:
        fate = self._chance.random()
        if fate < self.failure_rate / 2:
            return self._chance.choice([DOWN, BROKEN, Result("retry", 429)])
        if message.id not in [one.id for one in self.received]:
            self.received.append(message)
        return DOWN if fate < self.failure_rate else DELIVERED  # a reply may be lost


def messages(alerts: int, each: int) -> list[Message]:
    return [
        Message(f"{alert}/{number}", f"{alert}", 0, "{}")
        for number in range(each)
        for alert in range(alerts)
    ]


def begin() -> Life:
    return life("oncall", lambda: 0, float)


@each("seed", range(40))
def test_whatever_dies_each_transition_is_heard_once_and_in_order(seed: int) -> None:
    chance = Random(seed)
    store = Store(messages(alerts=3, each=4))
    receiver = Receiver(chance, failure_rate=0.4)
    steps, kills = begin(), 0
    answer: object = None
    for number in range(2_000):
        if number == 1_000:
            receiver.failure_rate = 0.0
        try:
            step = steps.send(answer)
        except StopIteration:
            raise AssertionError("a life never ends") from None
        answer, fate = None, chance.random() if number < 1_000 else 1.0
        if fate < 0.05:  # killed before the step
            steps, kills = begin(), kills + 1
            continue
        if isinstance(step, Look):
            answer = store.unsent()
        elif isinstance(step, Send):
            answer = receiver.take(step.message)
        elif isinstance(step, StoreAttempt):
            store.attempts.append(step.attempt)
        if fate > 0.95 and number < 1_000:  # killed after it
            steps, answer, kills = begin(), None, kills + 1
    assert kills > 20
    by_alert: dict[str, list[str]] = defaultdict(list)
    for one in receiver.received:
        by_alert[one.alert_id].append(one.id)
    assert by_alert == {
        str(alert): [f"{alert}/{number}" for number in range(4)] for alert in range(3)
    }
    assert store.unsent() == []


def steps_of(store: Store, answers: dict[str, Result], steps: Life, most: int) -> list[str]:
    """Let a life go on for some steps; return the messages it sent and how long it waited."""
    made: list[str] = []
    answer: object = None
    for _ in range(most):
        step = steps.send(answer)
        answer = None
        match step:
            case Look():
                answer = store.unsent()
            case Send(message=message):
                made.append(message.id)
                answer = answers.get(message.id, DELIVERED)
            case StoreAttempt(attempt=attempt):
                store.attempts.append(attempt)
            case Wait(seconds=seconds):
                made.append(f"wait {seconds:g}")
    return made


def test_a_message_that_waits_holds_up_its_own_alert_and_no_other() -> None:
    store = Store(messages(alerts=2, each=2))
    made = steps_of(store, {"0/0": Result("retry", 408)}, begin(), 9)
    assert made == ["0/0", "1/0", "1/1", "wait 1"]


@pytest.mark.parametrize("answer", [BROKEN, DOWN])
def test_a_message_that_its_receiver_breaks_on_holds_up_no_other_alert(answer: Result) -> None:
    store = Store(messages(alerts=4, each=2))
    now_us, delivered_us = 0, dict[str, int]()
    steps = life("oncall", lambda: now_us, lambda failures: min(60.0, 2.0**failures))
    poison = {"0/0", "1/0"}
    reply: object = None
    tries = 0
    while now_us < EXPIRES_US // 2:
        step = steps.send(reply)
        reply = None
        match step:
            case Look():
                reply = store.unsent()
            case Send(message=message):
                reply = answer if message.id in poison else DELIVERED
                tries += message.id in poison
            case StoreAttempt(attempt=attempt):
                store.attempts.append(attempt)
                if attempt.result.outcome == "delivered":
                    delivered_us[attempt.message.id] = now_us
            case Wait(seconds=seconds):
                now_us += round(seconds * 1e6)
                if now_us > EXPIRES_US // 4 and len(store.messages) == 8:
                    store.messages += [Message("9/0", "9", now_us, "{}")]
                    refused_us = now_us
    assert sorted(delivered_us) == ["2/0", "2/1", "3/0", "3/1", "9/0"]
    assert max(us for name, us in delivered_us.items() if name != "9/0") <= 2_000_000
    assert delivered_us["9/0"] - refused_us <= 61_000_000
    assert 600 < tries < 4_000  # each of them about once a minute


def test_a_receiver_that_is_down_is_left_alone_for_longer_and_longer() -> None:
    store = Store(messages(alerts=3, each=1))
    made = steps_of(store, dict.fromkeys(("0/0", "1/0", "2/0"), DOWN), begin(), 18)
    # The message with the fewest attempts goes first.
    assert made == ["0/0", "1/0", "wait 1", "2/0", "0/0", "wait 2", "1/0", "2/0", "wait 3"]


def test_a_receiver_that_asks_for_time_is_given_it_at_once() -> None:
    store = Store(messages(alerts=3, each=1))
    made = steps_of(store, dict.fromkeys(("0/0", "1/0"), Result("retry", 429)), begin(), 8)
    assert made == ["0/0", "wait 1", "1/0", "wait 2"]


def test_a_message_that_is_refused_is_final_and_the_next_one_is_sent() -> None:
    store = Store(messages(alerts=1, each=2))
    made = steps_of(store, {"0/0": Result("refused", 410, "gone")}, begin(), 8)
    assert made[:2] == ["0/0", "0/1"]
    assert [one.result.outcome for one in store.attempts] == ["refused", "delivered"]


def test_what_could_not_be_delivered_for_a_day_is_given_up_after_a_try() -> None:
    store = Store(messages(alerts=1, each=2))
    steps_of(store, {"0/0": BROKEN}, life("oncall", lambda: EXPIRES_US + 1, float), 8)
    assert [one.result.outcome for one in store.attempts] == ["expired", "delivered"]
