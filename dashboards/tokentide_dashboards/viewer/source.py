"""ClickHouse as the viewer asks it: as an account that only reads, within rows, bytes and time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import orjson

from tokentide_dashboards.check.column_kind import column_kind
from tokentide_dashboards.viewer.refused import Refused

__all__ = ["Source"]

READER: Final = "grafana"
"""The account of boards: `sql/roles/grafana.sql` says what it may."""

MOST_ROWS: Final = 20_000
MOST_BYTES: Final = 16 << 20
TIMEOUT_S: Final = 30
_AT_ONCE: Final = 4
"""Queries that run side by side; a board has more panels than a laptop has cores."""


class Source:
    """A ClickHouse server and database; use as an async context manager.

    Args:
        url: `http://host:port`; an account in it is not used.
        database: Where names of tables are looked up.
        password: Of the account `grafana`; the embedded ClickHouse asks for none.
    """

    def __init__(self, url: str, database: str, password: str = "") -> None:
        parts = urlsplit(url)
        self._url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        self._account = {"X-ClickHouse-User": READER}
        if password:
            self._account["X-ClickHouse-Key"] = password
        self._database = database
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Source:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S + 5), cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, sql: str) -> dict[str, Any]:
        """Run a query; times come as milliseconds since 1970.

        Returns:
            `columns` (name; kind: time, number, text or other; values of all rows), and `is_cut`
            where there were more rows.

        Raises:
            Refused: ClickHouse refuses it, does not answer, or answers too much.
        """
        assert self._session is not None, "the source is not open"
        parameters = {
            "database": self._database,
            "default_format": "JSONCompact",
            "max_execution_time": str(TIMEOUT_S),
        }
        try:
            async with (
                self._turns,
                self._session.post(
                    self._url, params=parameters, data=sql.encode(), headers=self._account
                ) as reply,
            ):
                body = bytearray()
                async for piece in reply.content.iter_chunked(1 << 16):
                    body += piece
                    if len(body) > MOST_BYTES:
                        raise Refused("the answer is larger than 16 MB: choose a shorter range")
                if reply.status != 200:
                    reason = body.decode(errors="replace").strip().partition("\n")[0]
                    raise Refused(f"ClickHouse: {reason[:500]}", 502)
        except TimeoutError as exc:
            raise Refused(f"no answer within {TIMEOUT_S} s: choose a shorter range", 504) from exc
        except aiohttp.ClientError as exc:
            raise Refused("ClickHouse cannot be reached: is the stack running?", 503) from exc
        return _answer(bytes(body))


def _answer(body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
        meta, data = found["meta"], found["data"]
    except (ValueError, KeyError, TypeError) as exc:
        raise Refused("ClickHouse broke off its answer: try again", 502) from exc
    # By columns: a browser reads three arrays faster than a thousand of three values.
    columns = [
        _column(one["name"], column_kind(one["type"]), [row[place] for row in data[:MOST_ROWS]])
        for place, one in enumerate(meta)
    ]
    return {"columns": columns, "is_cut": len(data) > MOST_ROWS}


def _column(name: str, kind: str, values: list[Any]) -> dict[str, Any]:
    if read := _READERS.get(kind):
        values = [None if value is None else read(value) for value in values]
    return {"name": name, "kind": kind, "values": values}


@lru_cache(maxsize=MOST_ROWS)
def _milliseconds(text: str) -> int:
    """Read a time as ClickHouse writes it; boards take times in UTC alone."""
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000)


def _number(value: Any) -> float | int | None:
    """Read a number that some servers write between quotes, and leave out what is none."""
    if isinstance(value, str):
        number = float(value)
        return number if number == number and abs(number) != float("inf") else None
    return value  # type: ignore[no-any-return] # JSON says what it is


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "time": _milliseconds,
    "number": _number,
}
