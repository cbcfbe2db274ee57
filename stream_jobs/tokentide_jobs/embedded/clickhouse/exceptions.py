"""ClickHouse exceptions on the wire: code, name, HTTP status and the text clients parse.

Clients classify failures by number (`X-ClickHouse-Exception-Code`) and by the name in brackets at
the end of the body, so both must be what the server sends: retry logic upstream depends on them.
"""

from __future__ import annotations

import re
from typing import Final

CODE_NAMES: Final = {
    36: "BAD_ARGUMENTS",
    40: "CHECKSUM_DOESNT_MATCH",
    46: "UNKNOWN_FUNCTION",
    48: "NOT_IMPLEMENTED",
    62: "SYNTAX_ERROR",
    73: "UNKNOWN_FORMAT",
    89: "UNKNOWN_COMPRESSION_METHOD",
    164: "READONLY",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    209: "SOCKET_TIMEOUT",
    210: "NETWORK_ERROR",
    216: "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING",
    236: "ABORTED",
    241: "MEMORY_LIMIT_EXCEEDED",
    243: "NOT_ENOUGH_SPACE",
    271: "CANNOT_DECOMPRESS",
    372: "SESSION_NOT_FOUND",
    373: "SESSION_IS_LOCKED",
    374: "INVALID_SESSION_TIMEOUT",
    394: "QUERY_WAS_CANCELLED",
    396: "TOO_MANY_ROWS_OR_BYTES",
    408: "BAD_REQUEST_PARAMETER",
    452: "SETTING_CONSTRAINT_VIOLATION",
    497: "ACCESS_DENIED",
    511: "UNKNOWN_ROLE",
    516: "AUTHENTICATION_FAILED",
    1002: "UNKNOWN_EXCEPTION",
}
"""Codes the endpoint raises by itself; every other code arrives from the engine with its name."""

_STATUS_BY_CODES: Final = {
    400: (
        6,
        8,
        15,
        25,
        26,
        27,
        36,
        37,
        38,
        41,
        44,
        53,
        62,
        72,
        117,
        123,
        167,
        168,
        223,
        321,
        376,
        427,
        441,
        675,
        676,
    ),
    401: (194,),
    403: (192, 193, 497, 512, 516),
    404: (46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511),
    408: (159,),
    411: (381,),
    413: (229,),
    415: (779,),
    501: (48,),
    503: (76, 209, 439),
}
"""ClickHouse's exceptionCodeToHTTPStatus; every other code answers 500."""

_HTTP_STATUS: Final = {code: status for status, codes in _STATUS_BY_CODES.items() for code in codes}

ENGINE_ERRORS: Final = (RuntimeError, UnicodeDecodeError)
"""What a call of the engine raises; the latter when its message is not UTF-8."""

_MESSAGE = re.compile(r"\A(?:.*?)Code: (\d+)\. DB::Exception: (.*)\Z", re.DOTALL)
_TAIL = re.compile(r"\s*\(([A-Z][A-Z0-9_]+)\)\s*(?:\(version [^)]*\)?\)?)?\.?\s*\Z")


class ClickHouseError(Exception):
    """A ClickHouse exception: numeric code, symbolic name and message."""

    def __init__(self, code: int, message: str, name: str | None = None) -> None:
        self.code = code
        self.name = name or CODE_NAMES.get(code, "UNKNOWN_EXCEPTION")
        self.message = message
        super().__init__(f"Code: {code}. DB::Exception: {message} ({self.name})")

    @property
    def http_status(self) -> int:
        """The HTTP status the server answers this code with."""
        return http_status(self.code)

    def body(self, version: str) -> str:
        """Return the response body, as the server words it."""
        return f"{self} (version {version} (embedded))\n"


def http_status(code: int) -> int:
    """Return the HTTP status of an exception code, from ClickHouse's exceptionCodeToHTTPStatus."""
    return _HTTP_STATUS.get(code, 500)


def from_engine(error: BaseException | str) -> ClickHouseError:
    """Read the exception from the engine's message; nested prefixes and suffixes are unwrapped."""
    text = str(error)
    if isinstance(error, UnicodeDecodeError):
        # The binding could not make a text of the message; it holds the message itself.
        text = error.object.decode(errors="replace")
    match = _MESSAGE.match(text)
    if match is None:
        return ClickHouseError(1002, text or "the engine gave no message")
    code, message = int(match[1]), match[2]
    name: str | None = None
    while tail := _TAIL.search(message):
        name = name or tail[1]
        message = message[: tail.start()]
    while inner := re.match(rf"Code: {code}\. DB::Exception: ", message):
        message = message[inner.end() :]
    return ClickHouseError(code, message, name)
