"""A migrated database for the ingest job, and a log of its own for each test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.databases import migrated
from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.io.clickhouse.client import ClickHouse


@pytest.fixture(scope="module")
def store(sql_server: str) -> Iterator[ClickHouse]:
    with migrated(sql_server) as connected:
        yield connected


@pytest.fixture
def log() -> LogPartition:
    return LogPartition(str(uuid.uuid4()), "tokentide.events.v1", 0)
