"""An unexpected error is sent in ClickHouse's form of errors, never as a bare 500."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tokentide_jobs.embedded.clickhouse.access.accounts import default_accounts
from tokentide_jobs.embedded.clickhouse.access.catalogue import Catalogue
from tokentide_jobs.embedded.clickhouse.access.inspector import Inspector
from tokentide_jobs.embedded.clickhouse.access.statement_limits import READER_LIMITS
from tokentide_jobs.embedded.clickhouse.endpoint import Endpoint
from tokentide_jobs.embedded.clickhouse.engine.pool import Engine
from tokentide_jobs.embedded.clickhouse.engine.waiting_space import EXTERNAL_DATA, WaitingSpace
from tokentide_jobs.embedded.clickhouse.exceptions import ClickHouseError
from tokentide_jobs.embedded.clickhouse.wire.framing import FrameReader

NO_MEMORY = RuntimeError("Code: 241. DB::Exception: Memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)")
READER = {"X-ClickHouse-User": "analyst"}


class FaultyEngine:
    """An engine without functions that fails, from the second connection on, when one is opened.

    The real one cannot be made to fail there on request.
    """

    version, timezone, display_name, home = "26.9", "UTC", "test", "/home/operator/data"

    def __init__(self, fault: Exception) -> None:
        self._fault = fault
        self._opened = 0

    def open(self) -> Any:
        self._opened += 1
        if self._opened > 1:
            raise self._fault
        empty = SimpleNamespace(bytes=lambda: b"")
        return SimpleNamespace(query=lambda sql, output_format: empty, close=lambda: None)

    async def discard(self, connections: Sequence[object]) -> None:
        assert not connections


@asynccontextmanager
async def client_of(fault: Exception) -> AsyncIterator[TestClient[Any, Any]]:
    engine = cast(Engine, FaultyEngine(fault))
    endpoint = Endpoint(
        engine,
        default_accounts("secret"),
        body_timeout_s=30,
        external_space=WaitingSpace(1, 0, Path(), EXTERNAL_DATA),
        external_memory_bytes=1,
    )
    server = TestServer(endpoint.application())
    async with TestClient(server) as client:
        endpoint.port = server.port or 0
        yield client


async def test_a_connection_refused_for_memory_is_the_engines_own_error() -> None:
    async with client_of(NO_MEMORY) as client:
        answer = await client.post("/", data=b"SELECT 1", headers=READER)
        assert answer.headers["X-ClickHouse-Exception-Code"] == "241"
        text = await answer.text()
        assert text.startswith("Code: 241. DB::Exception: Memory limit exceeded.")


def test_a_filter_is_refused_likewise_when_there_is_no_memory_to_read_it() -> None:
    engine = cast(Engine, FaultyEngine(NO_MEMORY))
    inspector = Inspector(engine.open, Catalogue.of(engine.open), READER_LIMITS)
    with pytest.raises(ClickHouseError) as refused:
        inspector.settle_expressions("additional_table_filters", "{'t': 'a = 1'}")
    assert refused.value.code == 241


@pytest.mark.parametrize("framed", [False, True])
async def test_an_unexpected_fault_is_an_error_in_the_clients_framing_and_in_the_log(
    framed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    fault = KeyError("/home/operator/data/store")
    async with client_of(fault) as client:
        with caplog.at_level(logging.ERROR):
            parameters = {"compress": "1"} if framed else {}
            answer = await client.post("/", data=b"SELECT 1", headers=READER, params=parameters)
        assert answer.status == 500
        assert answer.headers["X-ClickHouse-Exception-Code"] == "1002"
        body = await answer.read()
        text = b"".join(FrameReader().feed(body)) if framed else body
        assert text.startswith(b"Code: 1002. DB::Exception: The endpoint failed: KeyError")
        assert b"/home" not in text
    assert "Traceback" in caplog.text


async def test_a_query_id_cannot_end_a_header() -> None:
    async with client_of(NO_MEMORY) as client:
        parameters = {"query": "SELECT 1", "query_id": "a\r\nX-Evil: 1", "user": "analyst"}
        answer = await client.get("/", params=parameters)
        assert answer.headers["X-ClickHouse-Exception-Code"] == "241"
        assert answer.headers["X-ClickHouse-Query-Id"] == "a??X-Evil: 1"
        assert "X-Evil" not in answer.headers
