"""What a ClickHouse error means for a write: wait, call a person, or blame a row.

One table classifies by numeric code, never by text. Whatever is not listed is treated like a wrong
configuration: retried slowly, with the worker's health red, because giving up would lose data
and blaming rows would dead-letter good ones.
"""

from __future__ import annotations

from enum import Enum

from clickhouse_connect.driver.exceptions import ClickHouseError, InterfaceError

from tokentide_jobs.errors import ConfigError, PipelineError, RetriableSinkError
from tokentide_jobs.settings.origins import account_remedy, origin_of

__all__ = [
    "LOGIN_REFUSED",
    "MEMORY_LIMIT_EXCEEDED",
    "SCHEMA_DAMAGED",
    "ErrorKind",
    "InsertTooLarge",
    "RowsRefused",
    "SinkMisconfigured",
    "kind_of",
    "server_words",
    "translate",
]

MEMORY_LIMIT_EXCEEDED = 241
LOGIN_REFUSED = frozenset({192, 193, 194, 516})
"""Unknown user, wrong or missing password: the server answers, and shows this account nothing."""
SCHEMA_DAMAGED = frozenset({16, 47, 60, 81})
"""A column, table or database is not there."""


class ErrorKind(Enum):
    """What to do about an error."""

    RETRIABLE = "retriable"
    """Temporary: retry the same insert under the same token, with growing pauses."""
    CONFIG = "config"
    """Needs a person: same insert, same token, longest pause, health red."""
    DATA = "data"
    """A value that the table cannot hold: find the row and dead-letter it."""


class RowsRefused(PipelineError):
    """Some row of an insert cannot be stored, however often it is tried."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class InsertTooLarge(RowsRefused):
    """The store keeps refusing an insert for its size; fewer rows at a time may be stored."""


class SinkMisconfigured(ConfigError):
    """The store refuses until a setting, a grant or the schema is changed."""

    def __init__(self, message: str, code: int | None) -> None:
        super().__init__(message)
        self.code = code


_RETRIABLE = {
    3: "UNEXPECTED_END_OF_FILE",
    107: "FILE_DOESNT_EXIST",
    159: "TIMEOUT_EXCEEDED",
    160: "TOO_SLOW",
    164: "READONLY",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    203: "NO_FREE_CONNECTION",
    209: "SOCKET_TIMEOUT",
    210: "NETWORK_ERROR",
    236: "ABORTED",
    MEMORY_LIMIT_EXCEEDED: "MEMORY_LIMIT_EXCEEDED",
    242: "TABLE_IS_READ_ONLY",
    243: "NOT_ENOUGH_SPACE",
    252: "TOO_MANY_PARTS",
    279: "ALL_CONNECTION_TRIES_FAILED",
    285: "TOO_FEW_LIVE_REPLICAS",
    286: "UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE",
    319: "UNKNOWN_STATUS_OF_INSERT",
    394: "QUERY_WAS_CANCELLED",
    425: "SYSTEM_ERROR",
    439: "CANNOT_SCHEDULE_TASK",
    473: "DEADLOCK_AVOIDED",
    999: "KEEPER_EXCEPTION",
}

_DATA = {
    6: "CANNOT_PARSE_TEXT",
    26: "CANNOT_PARSE_QUOTED_STRING",
    27: "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
    38: "CANNOT_PARSE_DATE",
    41: "CANNOT_PARSE_DATETIME",
    53: "TYPE_MISMATCH",
    69: "ARGUMENT_OUT_OF_BOUND",
    70: "CANNOT_CONVERT_TYPE",
    72: "CANNOT_PARSE_NUMBER",
    117: "INCORRECT_DATA",
    131: "TOO_LARGE_STRING_SIZE",
    321: "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",
    349: "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN",
    376: "CANNOT_PARSE_UUID",
    407: "DECIMAL_OVERFLOW",
    469: "VIOLATED_CONSTRAINT",
    675: "CANNOT_PARSE_IPV4",
    676: "CANNOT_PARSE_IPV6",
}

_LONGEST_WORDS = 600

_CONFIG_HINTS = {
    16: "a column is missing: run `tokentide migrate`",
    60: "a table is missing: run `tokentide migrate`",
    81: "the database is missing: run `tokentide migrate`, or name another",
    192: "the user is unknown",
    193: "the password is wrong",
    194: "a password is required",
    497: "the user may not insert here: grant it the role `ingest`",
    516: "user or password is wrong",
}


def kind_of(code: int | None) -> ErrorKind:
    """Classify a server error code; None (no reply, a broken connection) is retriable."""
    if code is None or code in _RETRIABLE:
        return ErrorKind.RETRIABLE
    return ErrorKind.DATA if code in _DATA else ErrorKind.CONFIG


def translate(exc: BaseException, what: str, address: str) -> PipelineError:
    """Turn a client library's error into ours, in one plain line.

    Args:
        exc: What the library raised.
        what: Names the statement.
        address: Of the server, without a password.
    """
    code = exc.code if isinstance(exc, ClickHouseError) and hasattr(exc, "code") else None
    if code is None and isinstance(exc, InterfaceError):
        return SinkMisconfigured(f"{what}: {server_words(exc)}", None)
    if code is None:
        reason = _why_no_answer(exc)
        return RetriableSinkError(
            f"ClickHouse does not answer at {address} ({origin_of('clickhouse_url')}): "
            f"{reason} ({what})"
        )
    message = f"{what}: {server_words(exc)}"
    kind = kind_of(code)
    if kind is ErrorKind.RETRIABLE:
        return RetriableSinkError(message, code)
    if kind is ErrorKind.DATA:
        return RowsRefused(message, code)
    hint = _hint(code)
    return SinkMisconfigured(f"{message} ({hint})" if hint else message, code)


def _hint(code: int) -> str:
    hint = _CONFIG_HINTS.get(code, "")
    if code in LOGIN_REFUSED:
        return f"{hint}: {account_remedy()}"
    return f"{hint} ({origin_of('database')})" if code == 81 else hint


def server_words(exc: BaseException) -> str:
    """Return the server's message, without the client's words around it and without its stack."""
    text = " ".join(str(exc).split()) or type(exc).__name__
    text = text.partition("DB::Exception: ")[2] or text
    text = text.partition(" Expected one of:")[0].partition(" (version ")[0]
    return text.replace(" FORMAT Native", "")[:_LONGEST_WORDS]


def _why_no_answer(exc: BaseException) -> str:
    """Return the reason at the bottom of a failed request: `connection refused`."""
    found: BaseException | None = exc
    reason = ""
    while found is not None:
        if isinstance(found, TimeoutError):
            reason = "no answer in time"
        elif isinstance(found, OSError) and found.strerror:
            reason = found.strerror.lower()
        inner = getattr(found, "reason", None)
        found = found.__cause__ or (inner if isinstance(inner, BaseException) else None)
    return reason or server_words(exc)
