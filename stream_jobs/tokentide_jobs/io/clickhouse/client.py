"""The pipeline's way into ClickHouse: inserts of Arrow tables under a token, and small queries.

Every insert is idempotent: no asynchronous inserts, a deduplication token,
deduplication in dependent materialised views. Nothing here retries: the caller decides.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.httputil import get_pool_manager
from urllib3.exceptions import HTTPError

from tokentide_jobs.core.outcome.ipc import to_ipc
from tokentide_jobs.io.clickhouse.error_codes import translate
from tokentide_jobs.io.schema.sql_queries import load_query
from tokentide_jobs.urls import redact_url

__all__ = ["ClickHouse", "insert_settings"]

_TRANSPORT_ERRORS = (ClickHouseError, HTTPError, OSError)

_CONNECT_TIMEOUT_S = 5

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class ClickHouse:
    """One ClickHouse server and database. Connects when first used; safe to share by threads.

    Args:
        url: `http(s)://user:password@host:port`.
        database: Where unqualified names are looked up.
        timeout_s: How long to wait for a reply.
    """

    def __init__(self, url: str, database: str, *, timeout_s: float = 60.0) -> None:
        self.database = database
        self.address = redact_url(url)
        self._url = url
        self._timeout_s = timeout_s
        # Over loopback there is no wire to save: packing took a tenth of a flush's CPU.
        self._compress = urlsplit(url).hostname not in _LOOPBACK
        self._lock = threading.Lock()
        self._client: Client | None = None
        # A pool of our own: the library's is shared by every client of the process.
        self._pool = get_pool_manager(maxsize=16, num_pools=2)

    def insert(self, table: str, rows: pa.Table, token: str) -> None:
        """Insert `rows` once under `token`; inserting them again under it changes nothing.

        Raises:
            RetriableSinkError: Try again, same token.
            SinkMisconfigured: Try again slowly; a person has to act.
            RowsRefused: A row cannot be stored.
        """
        try:
            self._connected().raw_insert(
                f"`{self.database}`.`{table}`",
                column_names=rows.schema.names,
                # Its type names what may be streamed; urllib3 sends whatever has a buffer.
                insert_block=cast("bytes", to_ipc(rows, compress=self._compress)),
                settings=insert_settings(token),
                fmt="ArrowStream",
            )
        except _TRANSPORT_ERRORS as exc:
            raise translate(exc, f"insert into {table}", self.address) from exc

    def select(
        self, name: str, parameters: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Run a query of `sql/queries/` and return its rows by the names of their columns.

        Args:
            name: Path below `sql/queries/`, without the ending: `verify/batches`.
            parameters: A value for each typed parameter of the file.

        Raises:
            RetriableSinkError: ClickHouse does not answer, or cannot now.
            SinkMisconfigured: A person has to act.
        """
        try:
            result = self._connected().query(*self._bound(name, parameters, {}))
        except _TRANSPORT_ERRORS as exc:
            raise translate(exc, name, self.address) from exc
        return list(result.named_results())

    def select_arrow(self, name: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Run a query of `sql/queries/` and return an Arrow table; as `select` otherwise."""
        try:
            return self._connected().query_arrow(*self._bound(name, parameters, {}))
        except _TRANSPORT_ERRORS as exc:
            raise translate(exc, name, self.address) from exc

    def run(
        self,
        name: str,
        parameters: Mapping[str, Any] | None = None,
        names: Mapping[str, str] | None = None,
    ) -> None:
        """Run a statement of `sql/queries/` that returns nothing.

        Args:
            name: As in `select`.
            parameters: As in `select`.
            names: Identifiers that the file asks for, besides the database.
        """
        try:
            self._connected().command(*self._bound(name, parameters, names or {}))
        except _TRANSPORT_ERRORS as exc:
            raise translate(exc, name, self.address) from exc

    def rows(
        self, query: str, parameters: Mapping[str, Any] | None = None
    ) -> Sequence[Sequence[Any]]:
        """Run a small SELECT and return its rows; raises as `insert` does."""
        try:
            result = self._connected().query(query, parameters=dict(parameters or {}))
        except _TRANSPORT_ERRORS as exc:
            raise translate(exc, "query", self.address) from exc
        return result.result_rows

    def arrow(self, query: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Run a SELECT and return an Arrow table; raises as `insert` does."""
        try:
            return self._connected().query_arrow(query, parameters=dict(parameters or {}))
        except _TRANSPORT_ERRORS as exc:
            raise translate(exc, "query", self.address) from exc

    def command(self, statement: str) -> None:
        """Run a statement that returns nothing; raises as `insert` does."""
        try:
            self._connected().command(statement)
        except _TRANSPORT_ERRORS as exc:
            raise translate(exc, "statement", self.address) from exc

    def close(self) -> None:
        """Drop the connections; the object connects again if it is used again."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()
        self._pool.clear()

    def _bound(
        self, name: str, parameters: Mapping[str, Any] | None, names: Mapping[str, str]
    ) -> tuple[str, dict[str, Any]]:
        query, values = load_query(name), dict(parameters or {})
        own = {"database": self.database} if "database" in query.names else {}
        return query.bound({**own, **names}, values), values

    def _connected(self) -> Client:
        with self._lock:
            if self._client is None:
                self._client = clickhouse_connect.get_client(
                    dsn=self._url,
                    database="default",  # ours may not exist yet; every name is qualified
                    connect_timeout=_CONNECT_TIMEOUT_S,
                    send_receive_timeout=self._timeout_s,
                    autogenerate_session_id=False,  # a session allows one query at a time
                    query_retries=0,
                    compress=False,
                    pool_mgr=self._pool,
                    client_name="tokentide",
                )
            return self._client


def insert_settings(token: str) -> dict[str, Any]:
    """Return the settings of every insert; none may be left to a server's default."""
    return {
        "async_insert": 0,
        "deduplicate_insert": "enable",
        "insert_deduplication_token": token,
        "deduplicate_blocks_in_dependent_materialized_views": 1,
        "log_comment": token,
        # A batch may span more days than the server's 100 partitions: refused (252), it would be
        # repeated for ever. Splitting it would give its rows other tokens.
        "max_partitions_per_insert_block": 0,
        # A small insert into a wide table costs a third less without threads to feed.
        "max_insert_threads": 1,
        "max_threads": 1,
    }
