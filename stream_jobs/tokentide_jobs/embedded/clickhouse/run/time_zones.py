"""The time zones of a result's columns, which the engine leaves out of Native.

To the oldest protocol, the one chDB writes, a column of type DateTime('Asia/Shanghai') is DateTime.
A client that names a later one gets the zone. The engine is asked for it only when a piece holds
such a column: asking costs as much as a small query.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ..wire import native

if TYPE_CHECKING:
    from ..access.statement import Statement
    from ..engine.connection import EngineConnection

_ZONED: Final = re.compile(r"DateTime\('[^']*'\)")
_TYPES: Final = 1
"""Which column of DESCRIBE holds them."""


def time_zones(connection: EngineConnection, statement: Statement) -> dict[int, str]:
    """Return the types of the columns that have a time zone, by their place in the result.

    Args:
        connection: Made ready for the statement, and idle.
        statement: A SELECT.

    Raises:
        ENGINE_ERRORS: The engine's words on the statement.
    """
    result = connection.query(b"DESCRIBE (" + statement.sql_bytes + b")", "Native")
    types = native.strings_of_column(bytes(result.bytes()), _TYPES)
    return {at: name for at, name in enumerate(types) if _ZONED.fullmatch(name)}
