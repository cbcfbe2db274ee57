"""What readers send does not stand in a writer's way, neither its inspection nor its plans."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from tokentide_jobs.embedded.clickhouse.access.accounts import User
from tokentide_jobs.embedded.clickhouse.access.inspection import Inspection
from tokentide_jobs.embedded.clickhouse.access.statement_limits import READER_LIMITS, WRITER_LIMITS
from tokentide_jobs.embedded.clickhouse.exceptions import ClickHouseError
from tokentide_jobs.embedded.clickhouse.run.shared_budget import tree_budget

READER, WRITER = User("analyst", readonly=True), User("default")


def open_connection() -> Any:
    """Open an engine without functions: no statement is read here."""
    empty = SimpleNamespace(bytes=lambda: b"")
    return SimpleNamespace(query=lambda sql, output_format: empty, close=lambda: None)


async def test_writers_do_not_wait_for_readers() -> None:
    inspection = Inspection(open_connection)
    released = threading.Event()
    readers = [
        asyncio.create_task(inspection.run(READER, lambda _: released.wait(60))) for _ in range(24)
    ]
    try:
        await asyncio.sleep(0)
        writer = inspection.run(WRITER, lambda inspector: inspector.limits)
        assert await asyncio.wait_for(writer, 30) == WRITER_LIMITS
        assert not any(reader.done() for reader in readers)
    finally:
        released.set()
        assert all(await asyncio.gather(*readers))


async def test_each_kind_of_account_has_limits_of_its_own() -> None:
    inspection = Inspection(open_connection)
    assert await inspection.run(READER, lambda inspector: inspector.limits) == READER_LIMITS
    assert READER.limits == READER_LIMITS
    assert WRITER.limits == WRITER_LIMITS


async def test_large_statements_wait_for_each_other_and_small_ones_pass() -> None:
    budget = tree_budget(100, wait_s=60)
    running: list[str] = []
    released = asyncio.Event()

    async def run(name: str, nodes: int) -> None:
        async with budget.held(nodes):
            running.append(name)
            await released.wait()

    async with asyncio.TaskGroup() as group:
        for name, nodes in (("large", 80), ("waiting", 80), ("small", 20)):
            group.create_task(run(name, nodes))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert running == ["large", "small"]
        released.set()
    assert running == ["large", "small", "waiting"]


async def test_a_statement_for_which_nothing_comes_free_is_refused_and_takes_nothing() -> None:
    budget = tree_budget(100, wait_s=0.01)
    async with budget.held(60):
        with pytest.raises(ClickHouseError, match="41 nodes") as refused:
            async with budget.held(41):
                pass
        assert refused.value.code == 202
    async with budget.held(100):
        pass
