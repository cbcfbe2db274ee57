"""Alerts over a real ClickHouse: stored, then sent, once, whichever worker died in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from aiohttp import web

from tests.databases import migrated
from tests.stream_jobs.core.alert.histories import (
    MINUTE_US,
    MODEL,
    PROVIDER,
    TENANT,
    dollars_an_hour,
    finding,
)
from tests.stream_jobs.io.notify.test_notify import receiver, served
from tokentide_jobs.backoff import Backoff
from tokentide_jobs.core.alert.alert import Action
from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.core.alert.finding import Finding
from tokentide_jobs.core.alert.silence import Silence, Weekly
from tokentide_jobs.io.clickhouse.alert_store import AlertStore
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.jobs.alert.desk import AlertDesk
from tokentide_jobs.jobs.alert.outbox_task import Outbox

pytestmark = pytest.mark.integration

T = TypeVar("T")
ALL = {"ticket": 0, "page": 0}
STORM = AlertRules(storm_opens=100)


@pytest.fixture(scope="module")
def database(sql_server: str) -> Iterator[ClickHouse]:
    with migrated(sql_server) as store:
        yield store


@pytest.fixture
def store(database: ClickHouse) -> AlertStore:
    for table in ("alert_events", "alert_actions", "silences", "notifications", "notified_since"):
        database.command(f"TRUNCATE TABLE {database.database}.{table}")
    return AlertStore(database)


def at_once(name: str, work: Callable[[], T]) -> T:
    assert name
    return work()


FROM_THURSDAY = ("thu", "fri", "sat", "sun", "mon", "tue", "wed")
DAY_US = 86_400_000_000


@pytest.fixture
def now_us(database: ClickHouse) -> int:
    """Return the clock of the server, on which rows are written."""
    return int(database.rows("SELECT toUnixTimestamp64Micro(now64(6))")[0][0])


def desk_at(store: AlertStore, clock_us: int, rules: AlertRules = STORM) -> AlertDesk:
    desk = AlertDesk(store, rules, at_once, lambda: clock_us)
    desk.begin()
    return desk


def shown(database: ClickHouse, columns: str, view: str = "alerts") -> list[tuple[Any, ...]]:
    rows = database.rows(f"SELECT {columns} FROM {database.database}.{view} ORDER BY ALL")
    return [tuple(row) for row in rows]


def test_the_views_show_what_is_open_with_a_zero_for_each_kind(
    database: ClickHouse, store: AlertStore, now_us: int
) -> None:
    page = finding(at_us=now_us, impact=dollars_an_hour(1234.5), dimensions=TENANT)
    desk_at(store, now_us).observe([page, finding(at_us=now_us, dimensions=MODEL)], now_us)
    assert shown(database, "key, state, severity, toString(impact_usd_per_hour)") == [
        ("provider openai, model gpt-5", "open", "ticket", "0"),
        ("tenant acme", "open", "page", "1234.5"),
    ]
    rows = shown(database, "*", "alerts_open")
    assert len(rows) == 8
    assert sum(row[-1] for row in rows) == 2
    assert all(isinstance(value, str) for row in rows for value in row[:-1])
    assert {row[0] for row in rows if row[-1] == 0} == {
        "anomaly", "run", "budget", "slo", "pipeline", "storm",
    }  # fmt: skip


def test_an_open_alert_lists_what_it_absorbed_since_it_was_stored(
    store: AlertStore, now_us: int
) -> None:
    desk = desk_at(store, now_us)
    before = finding(at_us=now_us, dimensions=MODEL)
    desk.observe([before], now_us)
    (leader,) = desk.observe([finding(at_us=now_us)], now_us)
    tenants = [
        finding(at_us=now_us, dimensions=(("tenant", f"t{number:02d}"),), carriers=(PROVIDER,))
        for number in range(60)
    ]
    desk.observe([*tenants, finding(at_us=now_us, metric="latency_p95_ms")], now_us)

    def members() -> list[str]:
        (found,) = store.listed(0, leader.alert_id)
        return list(found["members"])

    wanted = {before.key, "latency_p95_ms", *(one.key for one in tenants)}
    assert set(members()) == wanted
    assert len(members()) == len(wanted)
    worse = finding(at_us=now_us, impact=dollars_an_hour(100))
    assert [one.members[-1] for one in desk.observe([worse], now_us)] == ["and 12 more"]
    assert set(members()) == wanted, "also when the transition names no more than fifty"


def test_a_desk_that_died_goes_on_and_stores_nothing_twice(
    database: ClickHouse, store: AlertStore, now_us: int
) -> None:
    findings = [finding(at_us=now_us), finding(at_us=now_us, dimensions=MODEL)]
    first = desk_at(store, now_us).observe(findings, now_us)
    later = now_us + MINUTE_US
    again = desk_at(store, later)
    assert again.observe(findings, now_us) == []
    ends = [replace(one, change="ends", at_us=later) for one in findings]
    closed = again.observe(ends, later)
    assert [one.sequence for one in closed] == [1, 1]
    assert {one.alert_id for one in closed} == {one.alert_id for one in first}
    assert desk_at(store, later).observe([*findings, *ends], later) == []
    assert shown(database, "count()", "alert_events") == [(4,)]


def test_a_desk_goes_on_from_the_newest_alert_of_each_thing_that_is_of_use(
    store: AlertStore, now_us: int
) -> None:
    days_ago, ended = now_us - 12 * DAY_US, finding(dimensions=TENANT)
    before = desk_at(store, days_ago)
    for at_us in (days_ago, days_ago + 2 * DAY_US):  # closed, and open for a week
        before.observe([finding(at_us=at_us), replace(ended, at_us=at_us)], at_us)
        ends = [] if at_us > days_ago else [finding()]
        end_us = at_us + MINUTE_US
        over = [replace(one, change="ends", at_us=end_us) for one in (*ends, ended)]
        made = before.observe(over, end_us)
    assert [(one.finding.key, one.state) for one in made] == [("tenant acme", "closed")]
    goes_on = desk_at(store, now_us).book.alerts.values()
    assert [(one.finding.key, one.began_us) for one in goes_on] == [
        ("provider openai", days_ago + 2 * DAY_US)
    ]


@pytest.mark.parametrize("days", [31, 399])
def test_an_alert_is_open_until_it_closes_however_long_no_worker_was_there(
    database: ClickHouse, store: AlertStore, now_us: int, days: int
) -> None:
    ago_us = now_us - days * DAY_US
    silent = finding(kind="pipeline", metric="silent", dimensions=(), at_us=ago_us)
    before = desk_at(store, ago_us, replace(STORM, pending_us={}))
    (opened,) = before.observe([silent], ago_us)
    desk = desk_at(store, now_us, replace(STORM, pending_us={}))
    is_old = days > 300
    made = desk.observe([replace(silent, at_us=now_us)], now_us)
    assert [(one.alert_id, one.state, one.held) for one in made] == [
        (opened.alert_id, "open", "")
    ] * is_old, "what is stored of it would expire soon, and it fires again as the same alert"
    assert [row for row in shown(database, "kind, firing", "alerts_open") if row[1]] == [
        ("pipeline", 1.0)
    ]
    ends = replace(silent, change="ends", at_us=now_us + MINUTE_US)
    (closed,) = desk_at(store, now_us + MINUTE_US).observe([ends], now_us + MINUTE_US)
    assert (closed.alert_id, closed.state) == (opened.alert_id, "closed")
    assert not [row for row in shown(database, "kind, firing", "alerts_open") if row[1]]


def test_people_and_silences_are_heard(store: AlertStore, now_us: int) -> None:
    (opened,) = desk_at(store, now_us).observe([finding(at_us=now_us)], now_us)
    ack = Action(alert_id=opened.alert_id, verb="ack", author="dana", reason="on it", at_us=now_us)
    store.act(ack)
    other_days = {(now_us // DAY_US + days) % 7 for days in (2, 3)}  # 1970 began on a Thursday
    weekly = Weekly(
        days=tuple(day for place, day in enumerate(FROM_THURSDAY) if place in other_days),
        begin_minute=60, length_minutes=90, zone="Europe/Berlin",
    )  # fmt: skip
    silence = Silence(
        id="s1", matchers=(("model", "gpt-5"), ("tenant", "*")), start_us=now_us - 10,
        end_us=now_us + MINUTE_US, author="dana", reason="upgrade",
    )  # fmt: skip
    for one in (silence, replace(silence, id="s2", weekly=weekly)):
        store.silence(one)
    desk = desk_at(store, now_us)
    silenced = finding(at_us=now_us, dimensions=(("model", "gpt-5"),))
    made = desk.observe([silenced], now_us)
    assert [(one.state, one.held, one.author) for one in made] == [
        ("open", "silence s1", ""), ("acknowledged", "", "dana"),
    ]  # fmt: skip
    assert desk.book.silences == [silence, replace(silence, id="s2", weekly=weekly)]
    store.silence(replace(silence, end_us=now_us - 1))
    assert [one.id for one in store.silences(now_us)] == ["s2"]
    (announced,) = desk_at(store, now_us).observe([], now_us)  # and the action counts once
    assert (announced.finding.key, announced.held) == ("model gpt-5", "")


async def test_a_receiver_that_fails_gets_everything_in_order_and_a_dead_one_holds_up_nothing(
    database: ClickHouse, store: AlertStore, now_us: int
) -> None:
    received: list[tuple[str, str]] = []
    attempts = 0

    async def take(request: web.Request) -> web.Response:
        nonlocal attempts
        attempts += 1
        if attempts % 2:
            return web.Response(status=500)
        data = json.loads(await request.read())["data"]
        received.append((data["key"], data["state"]))
        return web.Response()

    def minute(number: int, *findings: Finding) -> None:
        at_us = now_us + number * MINUTE_US
        desk.observe([replace(one, at_us=at_us) for one in findings], at_us)

    desk = desk_at(store, now_us + 3 * MINUTE_US)
    alerts = [finding(dimensions=PROVIDER), finding(dimensions=TENANT)]
    minute(0, *alerts)
    minute(1, *(replace(one, impact=dollars_an_hour(100)) for one in alerts))
    minute(2, *(replace(one, change="ends") for one in alerts))
    outbox = Outbox(store, Backoff(first_s=0.001, longest_s=0.01))
    async with served(take) as url:
        receivers = [receiver("http://127.0.0.1:9/", name="dead"), receiver(url)]
        sending = asyncio.create_task(outbox.run(receivers))
        async with asyncio.timeout(60):
            while len(received) < 6 or store.unsent("oncall", ALL, 0):  # noqa: ASYNC110 -- a row sets no event
                await asyncio.sleep(0.01)
        sending.cancel()
        await asyncio.wait([sending])
    for key in ("provider openai", "tenant acme"):
        assert [state for one, state in received if one == key] == ["open", "open", "closed"]
    assert len(store.unsent("dead", ALL, 0)) == 6
    delivered = database.rows(
        f"SELECT count() FROM {database.database}.notifications "
        "WHERE receiver = 'oncall' AND outcome = 'delivered'"
    )
    assert delivered[0][0] == 6
    # One that is new, or asks for lower severities, is notified of what comes from now on.
    assert store.read_notified_since() == dict.fromkeys(
        ("dead/ticket", "dead/page", "oncall/ticket", "oncall/page"), 0
    )
    later = [receiver(url), receiver(url, name="late")]
    notified_since = outbox.notified_since(later)
    assert store.read_notified_since() == notified_since
    late = {"ticket": notified_since["late/ticket"], "page": notified_since["late/page"]}
    assert store.unsent("late", late, 0) == []
    minute(3, finding(dimensions=MODEL))
    assert len(store.unsent("late", late, 0)) == 1
    assert store.unsent("late", {**late, "ticket": late["ticket"] + DAY_US}, 0) == []
