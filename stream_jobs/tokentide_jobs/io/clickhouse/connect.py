"""Connects to ClickHouse with the client library's own class, for statements that a person wrote.

Apart from `client.py`, which the pipeline's own inserts and queries need.
"""

from __future__ import annotations

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from tokentide_jobs.io.clickhouse.error_codes import translate
from tokentide_jobs.settings import Settings
from tokentide_jobs.urls import redact_url

__all__ = ["connect_clickhouse"]


def connect_clickhouse(settings: Settings, *, database: str | None = None) -> Client:
    """Return a connected ClickHouse client.

    Raises:
        RetriableSinkError: There is no answer from the address.
        SinkMisconfigured: The server refuses the credentials.
    """
    try:
        return clickhouse_connect.get_client(
            dsn=settings.clickhouse_url,
            database=database or settings.database,
            connect_timeout=5,
            send_receive_timeout=300,
            query_retries=0,
        )
    except (ClickHouseError, OSError) as exc:
        raise translate(exc, "connect", redact_url(settings.clickhouse_url)) from exc
