"""Receivers live side by side: the failure of one is logged and holds no other one up."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import cast

import pytest

from tokentide_jobs.backoff import Backoff
from tokentide_jobs.core.alert.outbox import Message
from tokentide_jobs.io.clickhouse.alert_store import AlertStore
from tokentide_jobs.io.notify.receiver import Receiver
from tokentide_jobs.jobs.alert.outbox_task import Outbox


class Store:
    """Has no message, and fails by a defect where it is asked for one receiver."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.kept: dict[str, int] | None = None

    def read_notified_since(self) -> dict[str, int] | None:
        return self.kept

    def write_notified_since(self, since: Mapping[str, int], _at_us: int) -> None:
        self.kept = dict(since)

    def unsent(
        self, receiver: str, notified_since: Mapping[str, int], _since_us: int
    ) -> list[Message]:
        assert notified_since == {"ticket": 0, "page": 0}
        self.asked.append(receiver)
        if receiver == "bad":
            raise TypeError("a defect")
        return []


async def test_a_receiver_whose_life_fails_begins_anew_and_ends_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Store()
    outbox = Outbox(cast(AlertStore, store), Backoff(first_s=0.001, longest_s=0.001))
    receivers = [Receiver(name=name, kind="slack", url="http://h/") for name in ("bad", "good")]
    running = asyncio.create_task(outbox.run(receivers))
    async with asyncio.timeout(60):
        while store.asked.count("bad") < 5 or store.asked.count("good") < 1:
            assert not running.done()
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert "outbox_failed" in caplog.messages


def test_a_new_receiver_is_notified_from_now_on_by_the_clock_that_rows_are_written_by() -> None:
    store = Store()
    store.kept = {"old/ticket": 0, "old/page": 0}
    outbox = Outbox(cast(AlertStore, store), clock_us=lambda: 1_700_000_000_000_000)
    receivers = [Receiver(name=name, kind="slack", url="http://h/") for name in ("old", "new")]
    assert outbox.notified_since(receivers) == {
        "old/ticket": 0, "old/page": 0,
        "new/ticket": 1_700_000_000_000_000, "new/page": 1_700_000_000_000_000,
    }  # fmt: skip
