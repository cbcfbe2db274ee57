"""What a request asks for, read from its URL, headers and form fields.

Everything in the URL that is not a name of the HTTP interface itself is a setting of this one
query; `param_*` are query parameters. Credentials may come as headers, basic auth or URL
parameters.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from ..access.accounts import Accounts, User
from ..access.external_table import ExternalTable
from ..access.system_tables import DATABASE
from ..exceptions import ClickHouseError
from ..wire.codecs import choose_coding

_NAME = re.compile(r"(?:param_[A-Za-z_$][A-Za-z0-9_$]*|[A-Za-z_][A-Za-z0-9_]*)\Z")

_LONGEST_INTEGER: Final = 18
_METHODS: Final = ("LZ4", "LZ4HC", "ZSTD", "NONE")
"""Compression methods of frames that a client may ask for; LZ4 where it asks for none at all."""

FORM: Final = "multipart/form-data"

_INTERFACE: Final = frozenset(
    {
        "buffer_size",
        "client_protocol_version",
        "close_session",
        "compress",
        "database",
        "decompress",
        "default_format",
        "password",
        "query",
        "query_id",
        "quota_key",
        "role",
        "session_check",
        "session_id",
        "session_timeout",
        "stacktrace",
        "user",
        "wait_end_of_query",
    }
)
"""URL parameters of the interface; never settings."""

TABLE_FIELDS: Final = ("_structure", "_types", "_format")
"""Ends of the names of fields that describe a form's external data."""

_TRANSPORT_SETTINGS: Final = frozenset(
    {
        "add_http_cors_header",
        "cancel_http_readonly_queries_on_client_close",
        "enable_http_compression",
        "http_headers_progress_interval_ms",
        "http_response_buffer_size",
        "http_wait_end_of_query",
        "http_zlib_compression_level",
        "network_compression_method",
        "network_zstd_compression_level",
        "send_progress_in_http_headers",
    }
)
"""Settings for the endpoint and not for the engine; accepted from all users."""


@dataclass(slots=True)
class QueryRequest:
    """One request, before its SQL is looked at.

    Attributes:
        sql_in_url: The `query` parameter; the body follows it after a line feed.
        settings: Engine settings of this query only.
        forced_settings: Settings of the endpoint, which the request's own cannot change.
        table_fields: What may describe external data, until the form's files are known.
        tables: External data, inspected.
        parameters: Query parameters without their `param_` prefix, escaped as TSV.
        readonly: Value of the engine's setting; 0 when the request may write.
        default_format: Format when the SQL names none; empty for the server's default.
        revision: The client's protocol revision; 0 when it named none.
        coding: Content coding of the response, or None.
        framed_response: Answer in ClickHouse's own compressed frames (`compress=1`).
        framed_body: The body comes in such frames (`decompress=1`).
    """

    user: User
    query_id: str
    sql_in_url: bytes = b""
    database: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    forced_settings: dict[str, str] = field(default_factory=dict)
    table_fields: dict[str, str] = field(default_factory=dict)
    tables: tuple[ExternalTable, ...] = ()
    parameters: dict[str, str] = field(default_factory=dict)
    default_format: str = ""
    revision: int = 0
    coding: str | None = None
    framed_response: bool = False
    framed_body: bool = False
    frame_method: str = "LZ4"
    wait_end_of_query: bool = False
    readonly: int = 0
    session_id: str = ""
    session_timeout_s: float = 60.0
    session_check: bool = False
    close_session: bool = False


def read_request(request: web.Request, accounts: Accounts) -> QueryRequest:
    """Authenticate and read everything but the body.

    Raises:
        ClickHouseError: Wrong credentials, a setting the user may not change, a malformed value.
    """
    url = request.query
    headers = request.headers
    user = _authenticate(request, accounts)
    found = QueryRequest(
        user=user,
        query_id=url.get("query_id") or str(uuid.uuid4()),
        sql_in_url=url.get("query", "").encode(errors="surrogateescape"),
        database=url.get("database") or headers.get("X-ClickHouse-Database") or "",
        default_format=_format(url.get("default_format") or headers.get("X-ClickHouse-Format")),
        revision=_integer(url.get("client_protocol_version", "0"), "client_protocol_version"),
        framed_response=flag(url.get("compress", "")),
        framed_body=flag(url.get("decompress", "")),
        frame_method=_method(url.get("network_compression_method") or "LZ4"),
        wait_end_of_query=flag(url.get("wait_end_of_query", ""))
        or flag(url.get("http_wait_end_of_query", "")),
        readonly=1 if user.readonly else 2 if request.method != "POST" else 0,
        session_id=url.get("session_id", ""),
        session_check=flag(url.get("session_check", "")),
        close_session=flag(url.get("close_session", "")),
    )
    timeout = url.get("session_timeout", "60")
    found.session_timeout_s = float(_integer(timeout, "session_timeout"))
    if url.get("role"):
        raise ClickHouseError(
            511, f"There is no role `{url['role']}`: the embedded ClickHouse has none"
        )
    if flag(url.get("enable_http_compression", "")):
        found.coding = choose_coding(headers.get("Accept-Encoding", ""))
    if user.readonly and found.database == DATABASE:
        # What an account that only reads may see there is decided by the names it writes.
        raise ClickHouseError(
            497, f"Not enough privileges: database={DATABASE}: write system.tables and the like"
        )
    is_form = request.content_type == FORM
    for name, value in url.items():
        if is_form and name.endswith(TABLE_FIELDS):
            found.table_fields[name] = value
        else:
            take_field(found, name, value)
    return found


def take_field(found: QueryRequest, name: str, value: str) -> None:
    """Add one URL or form field as a parameter or setting; names of the interface are skipped."""
    if name in _INTERFACE or name in _TRANSPORT_SETTINGS:
        return
    if not _NAME.match(name):
        raise ClickHouseError(115, f"Unknown setting {name!r}")
    if name.startswith("param_"):
        found.parameters[name.removeprefix("param_")] = value
        return
    if name == "readonly" and not found.user.readonly:
        # It may tighten what the method allows and never loosen it; it is set alone, at the end.
        asked = _integer(value, "readonly")
        found.readonly = asked if asked in (1, 2) and found.readonly != 1 else found.readonly
        return
    if not found.user.may_set(name):
        raise ClickHouseError(164, f"Cannot modify '{name}' setting in readonly mode")
    found.settings[name] = value


def _authenticate(request: web.Request, accounts: Accounts) -> User:
    headers = request.headers
    password = headers.get("X-ClickHouse-Key", "")
    name = headers.get("X-ClickHouse-User", "default" if password else None)
    authorization = headers.get("Authorization", "")
    if name is None and authorization.lower().startswith("basic "):
        try:
            decoded = base64.b64decode(authorization[6:], validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as exc:
            raise ClickHouseError(516, "Invalid HTTP Basic authentication") from exc
        name, _, password = decoded.partition(":")
    elif name is None:
        name = request.query.get("user")
        password = request.query.get("password", "")
    return accounts.authenticate(name or "default", password)


def flag(text: str) -> bool:
    """Read a switch of the URL."""
    return text.lower() in ("1", "true")


def _format(name: str | None) -> str:
    """Return the name of a format: it becomes part of a statement that is not inspected again."""
    if name and not (name.isascii() and name.isidentifier()):
        raise ClickHouseError(73, f"Unknown format {name}")
    return name or ""


def _method(name: str) -> str:
    if name.upper() not in _METHODS:
        raise ClickHouseError(
            89,
            f"Unknown compression method {name[:40]!r} in network_compression_method: "
            f"one of {', '.join(_METHODS)} is expected",
        )
    return name.upper()


def _integer(text: str, name: str) -> int:
    try:
        if len(text) > _LONGEST_INTEGER:
            raise ValueError("too long")
        return int(text)
    except ValueError as exc:
        raise ClickHouseError(
            36, f"Invalid value {text[:40]!r} of {name}: a whole number is expected"
        ) from exc
