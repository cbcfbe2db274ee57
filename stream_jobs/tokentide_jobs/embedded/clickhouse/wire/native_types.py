"""Native data from a user that may only read: the types that it names itself.

The engine reads a column as the type in the data, whatever the table's column is, and converts it
then. So a block may not name a type whose values are states of aggregate functions, or of any type.
What no type can name is not looked at any closer; else every block is walked to its end.
"""

from __future__ import annotations

import mmap
import re
from typing import IO, Final

from ..exceptions import ClickHouseError
from . import native

_SUSPECT: Final = re.compile(rb"AggregateFunction|Dynamic|Variant|(?i:json|object)|\\")
"""Without one of these no type is refused: a name in quotes may hold escapes."""


def check_native(data: IO[bytes], table: str) -> None:
    """Refuse Native data whose blocks name other types than plain ones.

    Args:
        data: Whole blocks of protocol revision 0.
        table: Its name, for the error.

    Raises:
        ClickHouseError: 48 for a type that is refused or not known here, 33 for blocks that cannot
            be read.
    """
    if not data.seek(0, 2):
        return
    with mmap.mmap(data.fileno(), 0, access=mmap.ACCESS_READ) as view:
        if _SUSPECT.search(view) is None:
            return
        held = view[:]
    type_name = ""
    try:
        for type_name in native.column_types(held):
            if "\\" in type_name:
                raise _refused(table, type_name)
    except ClickHouseError as error:
        raise _refused(table, type_name) from error
    except (IndexError, ValueError, OverflowError, RecursionError) as exc:
        raise ClickHouseError(
            33, f"The Native blocks of external data {table} cannot be read to their end"
        ) from exc


def _refused(table: str, type_name: str) -> ClickHouseError:
    return ClickHouseError(
        48,
        f"External data {table} names the type {type_name[:200]!r} in Native, which is refused: "
        "it may hold states of aggregate functions, or is not known here",
    )
