"""One embedded ClickHouse for this folder's tests, and a way to talk to it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import urllib3

from tokentide_jobs.embedded.clickhouse.process import ClickHouseProcess


@pytest.fixture(scope="session")
def sql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of an embedded ClickHouse whose accounts need no password."""
    directory: Path = tmp_path_factory.mktemp("clickhouse")
    users_file = directory / "users.json"
    readers = [{"name": name, "readonly": True} for name in ("grafana", "analyst")]
    users_file.write_text(json.dumps([{"name": "default"}, *readers]))
    options = ["--users-file", str(users_file)]
    with ClickHouseProcess.start(directory / "data", options=options) as server:
        yield server.url


Ask = Callable[..., urllib3.BaseHTTPResponse]


@pytest.fixture(scope="module")
def ask(sql_server: str) -> Iterator[Ask]:
    """Send a request with SQL, a method, a body, headers and parameters of the URL."""
    with urllib3.PoolManager() as pool:

        def send(
            sql: str | None = None,
            *,
            method: str = "POST",
            body: Any = None,
            headers: dict[str, str] | None = None,
            path: str = "/",
            **parameters: str,
        ) -> urllib3.BaseHTTPResponse:
            if sql is not None:
                parameters = {"query": sql, **parameters}
            query = urlencode(parameters)
            url = f"{sql_server}{path}?{query}" if parameters else f"{sql_server}{path}"
            return pool.request(method, url, body=body, headers=headers, decode_content=False)

        yield send


@pytest.fixture
def table(ask: Ask) -> Iterator[str]:
    """Yield a fresh table with a deduplication window, and a view that counts its rows."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    window = "SETTINGS non_replicated_deduplication_window = 100"
    for sql in (
        f"CREATE TABLE {name} (a UInt64, s String) ENGINE = MergeTree ORDER BY a {window}",
        f"CREATE TABLE {name}_n (n UInt64) ENGINE = MergeTree ORDER BY n {window}",
        f"CREATE MATERIALIZED VIEW {name}_mv TO {name}_n AS SELECT count() AS n FROM {name}",
    ):
        assert ask(sql).status == 200
    yield name
    for suffix in ("_mv", "_n", ""):
        ask(f"DROP TABLE {name}{suffix}")
