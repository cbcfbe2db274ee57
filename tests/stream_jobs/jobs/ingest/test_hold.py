"""A worker pauses when a repair asks for it, until the hold is released or expires."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from clickhouse_connect.driver.client import Client

from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.jobs.ingest.hold import Hold

pytestmark = pytest.mark.integration


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_true():  # noqa: ASYNC110 -- what is awaited sets no event
            await asyncio.sleep(0.02)


async def test_a_hold_begins_ends_by_word_and_ends_by_itself(
    sql_server: str, sql_client: Client
) -> None:
    beats: list[None] = []
    hold = Hold(ClickHouse(sql_server, str(sql_client.database)), lambda: beats.append(None))
    looking = asyncio.ensure_future(hold.run())

    def ask(until_sql: str) -> None:
        sql_client.command(f"INSERT INTO ingest_holds (held_until) SELECT {until_sql}")

    try:
        await asyncio.sleep(0.1)
        assert not hold.is_on()
        await asyncio.to_thread(ask, "now64(3) + 600")
        await until(hold.is_on)
        await asyncio.to_thread(ask, "toDateTime64(0, 3)")
        await until(lambda: not hold.is_on())
        await asyncio.to_thread(ask, "now64(3) + 3")
        await until(hold.is_on)
        await until(lambda: not hold.is_on())
        assert beats  # so that the watchdog takes the rest for no standstill
    finally:
        looking.cancel()


async def test_a_store_without_the_table_holds_nothing(sql_server: str) -> None:
    hold = Hold(ClickHouse(sql_server, "no_such_database"), lambda: None)
    looking = asyncio.ensure_future(hold.run())
    await asyncio.sleep(0.5)
    looking.cancel()
    assert not hold.is_on()
