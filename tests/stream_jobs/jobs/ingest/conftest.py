"""A migrated database for the ingest job, and a log of its own for each test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import clickhouse_connect
import pytest

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.schema.migrations import migrate


@pytest.fixture(scope="module")
def store(sql_server: str) -> Iterator[ClickHouse]:
    with clickhouse_connect.get_client(dsn=sql_server) as admin:
        migrate(admin, "ingest_store")
    connected = ClickHouse(sql_server, "ingest_store")
    yield connected
    connected.close()


@pytest.fixture
def log() -> LogPartition:
    return LogPartition(str(uuid.uuid4()), "tokentide.events.v1", 0)
