"""Which request a session waits for: one that closes, and never one that runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from tokentide_jobs.embedded.clickhouse.access.accounts import User
from tokentide_jobs.embedded.clickhouse.engine.pool import EngineJob
from tokentide_jobs.embedded.clickhouse.exceptions import ClickHouseError
from tokentide_jobs.embedded.clickhouse.request.query_request import QueryRequest
from tokentide_jobs.embedded.clickhouse.run.client_sessions import Sessions

ASKED = QueryRequest(User("default"), "id", session_id="mine")


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def job(thread: ThreadPoolExecutor) -> EngineJob:
    nothing = cast(Any, None)  # a job that runs no query needs no engine
    return EngineJob(nothing, thread, "marker", nothing, nothing, nothing)


async def test_the_next_request_waits_until_the_last_has_closed(
    thread: ThreadPoolExecutor,
) -> None:
    sessions, first, second = Sessions(), job(thread), job(thread)
    session = await sessions.acquire(ASKED, first)
    first.after_close(lambda: cast(None, sessions.release(ASKED, session)))
    with pytest.raises(ClickHouseError, match="locked by a concurrent client") as refused:
        await sessions.acquire(ASKED, second)
    assert refused.value.code == 373
    first.close_soon()
    assert await sessions.acquire(ASKED, second) is session
    assert session.holder is second


async def test_of_two_that_wait_one_gets_the_session(thread: ThreadPoolExecutor) -> None:
    sessions, first = Sessions(), job(thread)
    session = await sessions.acquire(ASKED, first)
    first.after_close(lambda: cast(None, sessions.release(ASKED, session)))
    first.close_soon()
    waiting = [sessions.acquire(ASKED, job(thread)) for _ in range(2)]
    one, other = await asyncio.gather(*waiting, return_exceptions=True)
    assert one is session
    assert isinstance(other, ClickHouseError) and other.code == 373


async def test_a_session_that_a_request_ends_is_a_new_one_for_the_next(
    thread: ThreadPoolExecutor,
) -> None:
    sessions, first = Sessions(), job(thread)
    ends = QueryRequest(User("default"), "id", session_id="mine", close_session=True)
    session = await sessions.acquire(ends, first)
    first.after_close(lambda: cast(None, sessions.release(ends, session)))
    first.close_soon()
    assert await sessions.acquire(ASKED, job(thread)) is not session
