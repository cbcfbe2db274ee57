"""A form: the query, parameters and settings as fields, and external data as files.

External data are tables that one query alone can read. Fields wait in memory, files in the data
directory; both are bounded, and so is what a part may say of itself.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from ..engine.waiting_space import writing_to_disk
from ..exceptions import ClickHouseError
from .query_request import TABLE_FIELDS, QueryRequest, take_field
from .read_deadline import ReadDeadline

if TYPE_CHECKING:
    from ..engine.waiting_space import SpaceClaim

FORM_BYTES: Final = 4 << 20
"""Most that the fields of a form have together, their names and headers included."""

FILES_PREFIX: Final = "external-"
"""Beginning of the names of the files that external data waits in; a crash may leave one."""

_UNREADABLE: Final = (
    *(HttpProcessingError, ValueError, AssertionError, web.HTTPException, RuntimeError),
    *(LookupError, AttributeError, TypeError),
)
"""What aiohttp raises for parts and headers that it cannot read."""
_FILES: Final = 32
_PIECE_BYTES: Final = 1 << 20
_LINE_BYTES: Final = 8190
_HEADER_LINES: Final = 16
_PART_BYTES: Final = 256
"""What a part costs besides its text."""


@dataclass(frozen=True, slots=True)
class FormFile:
    """External data as it came.

    Attributes:
        name: Of the table.
        columns: Names and types, as a column list of CREATE TABLE.
        types: Types alone, separated by commas, when there are no names.
        input_format: Of the data.
        data: Where it waits.
        size_bytes: Of the data.
    """

    name: str
    columns: str
    types: str
    input_format: str
    data: IO[bytes]
    size_bytes: int


async def read_form(
    request: web.Request,
    asked: QueryRequest,
    deadline: ReadDeadline,
    claim: SpaceClaim,
    keeping: ExitStack,
) -> tuple[bytes, tuple[FormFile, ...]]:
    """Read a form: its settings and parameters go to ``asked``; returns SQL and external data.

    Args:
        request: Its body is `multipart/form-data`.
        asked: What the URL asks for; the form's query follows the URL's.
        deadline: Bounds the waiting for it.
        claim: What the files take of the disk.
        keeping: Holds the files, and removes them when it closes.

    Raises:
        ClickHouseError: 36 for a form that cannot be read or is too long, 209 for one that stops or
            drips, 210 for one that ends early, 396 and 243 for files that are too large, 1002 for a
            disk that fails.
    """
    form = _Form(claim, keeping, deadline)
    try:
        parts = MultipartReader(
            request.headers,
            request.content,
            max_field_size=_LINE_BYTES,
            max_headers=_HEADER_LINES,
        )
        while (part := await deadline.read(parts.next(), _no_size)) is not None:
            await form.read_part(part)
    except OSError as exc:  # of the connection: those of the disk have codes of their own
        raise ClickHouseError(210, f"The form ended early: {type(exc).__name__}") from exc
    except _UNREADABLE as exc:
        raise ClickHouseError(36, f"The form cannot be read: {_one_line(exc)}") from exc
    return _settle(asked, form.fields, form.files)


class _Form:
    """The parts of a form that were read, and what they take."""

    def __init__(self, claim: SpaceClaim, keeping: ExitStack, deadline: ReadDeadline) -> None:
        self.fields: dict[str, str] = {}
        self.files: dict[str, tuple[IO[bytes], int]] = {}
        self._claim = claim
        self._keeping = keeping
        self._deadline = deadline
        self._field_bytes = 0
        self._file_bytes = 0

    async def read_part(self, part: MultipartReader | BodyPartReader) -> None:
        """Read a field to memory, a file to disk.

        Raises:
            ClickHouseError: 36 for a part that may not stand there, 396 and 243 for too much.
        """
        if not isinstance(part, BodyPartReader) or not part.name:
            raise ClickHouseError(36, "A part of the form has no name, or holds parts itself")
        self._count_field(_PART_BYTES + len(part.name))
        if part.filename is None:
            text = bytearray()
            async for piece in self._pieces(part):
                self._count_field(len(piece))
                text += piece
            self.fields[part.name] = text.decode()
            return
        if part.name in self.files or len(self.files) == _FILES:
            raise ClickHouseError(
                36, f"External data {part.name}: a name appears once, and {_FILES} at most"
            )
        with writing_to_disk():
            named = tempfile.NamedTemporaryFile(prefix=FILES_PREFIX, dir=".")  # noqa: SIM115  # `keeping` closes it
        spool = self._keeping.enter_context(named)
        before = self._file_bytes
        async for piece in self._pieces(part):
            self._file_bytes += len(piece)
            self._claim.grow_to(self._file_bytes)
            with writing_to_disk(spool):
                spool.write(piece)
        with writing_to_disk(spool):
            spool.flush()
        self.files[part.name] = (spool, self._file_bytes - before)

    def _count_field(self, size: int) -> None:
        self._field_bytes += size
        if self._field_bytes > FORM_BYTES:
            raise ClickHouseError(
                36, f"The fields of a form may have {FORM_BYTES} bytes, these have more"
            )

    async def _pieces(self, part: BodyPartReader) -> AsyncIterator[bytes]:
        while piece := await self._deadline.read(part.read_chunk(_PIECE_BYTES), len):
            yield piece


def _settle(
    asked: QueryRequest, fields: dict[str, str], files: dict[str, tuple[IO[bytes], int]]
) -> tuple[bytes, tuple[FormFile, ...]]:
    """Give each field to the table or the query that it belongs to."""
    sql = asked.sql_in_url
    if "query" in fields:
        text = fields.pop("query").encode()
        sql = sql + b"\n" + text if sql else text
    about = {**asked.table_fields, **fields}
    tables = []
    for name, (data, size_bytes) in files.items():
        of = {what: about.pop(f"{name}{what}", "") for what in TABLE_FIELDS}
        if not of["_structure"] and not of["_types"]:
            raise ClickHouseError(
                36,
                f"Neither structure nor types of external data {name}: "
                f"send {name}_structure or {name}_types",
            )
        tables.append(
            FormFile(name, of["_structure"], of["_types"], of["_format"], data, size_bytes)
        )
    for name, value in about.items():
        take_field(asked, name, value)
    return sql, tuple(tables)


def _no_size(_part: object) -> int:
    """Count nothing for the head of a part: its bytes are few, and their number is unknown."""
    return 0


def _one_line(exc: BaseException) -> str:
    return (" ".join(str(exc).split()) or type(exc).__name__)[:200]
