"""One embedded ClickHouse for the tests of a session, clients of it, and how examples are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import clickhouse_connect
import pytest
from hypothesis import HealthCheck, settings

from tests.databases import drop_waiting_database, learn_form, migrated
from tests.prepared import Prepared, prepared
from tests.sampling import examples
from tokentide_jobs.embedded.clickhouse.process import ClickHouseProcess
from tokentide_jobs.settings.stack_file import CLICKHOUSE_DIRECTORY

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

__all__ = ["prepared", "sql_client", "sql_server"]

# How long a machine takes is no property of what is tested.
settings.register_profile(
    "any",
    deadline=None,
    max_examples=examples(50),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("any")


def _databases(admin: Client) -> set[str]:
    return set(admin.query("SELECT name FROM system.databases").result_columns[0])


@pytest.fixture(scope="session")
def sql_server(tmp_path_factory: pytest.TempPathFactory, prepared: Prepared) -> Iterator[str]:
    """Yield the base URL of an embedded ClickHouse that lives as long as the session.

    Each table keeps a megabyte of buffer: databases that tests leave behind fill its memory, and
    then another test fails for them.
    """
    data_dir: Path = prepared(tmp_path_factory.mktemp("stored")) / CLICKHOUSE_DIRECTORY
    with ClickHouseProcess.start(data_dir) as server:
        learn_form(server.dsn, "tokentide")
        with clickhouse_connect.get_client(dsn=server.dsn) as admin:
            before = _databases(admin)
        yield server.dsn
        drop_waiting_database(server.dsn)
        with clickhouse_connect.get_client(dsn=server.dsn) as admin:
            left = _databases(admin) - before
        assert not left, f"tests left databases behind: {', '.join(sorted(left))}"


@pytest.fixture(scope="module")
def sql_client(sql_server: str) -> Iterator[Client]:
    """Yield a client whose default database is migrated, and without rows when a module begins."""
    with (
        migrated(sql_server) as store,
        clickhouse_connect.get_client(
            dsn=sql_server, database=store.database, autogenerate_session_id=False
        ) as client,
    ):
        yield client
