"""What the columns of external data are: the engine reads them, and nothing but columns may stand.

Names and types come as text from any reader. They become a CREATE that is inspected like any other
statement; then its tree must hold columns with a type each and nothing else: no default that would
be evaluated, no engine, no SELECT.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..exceptions import ClickHouseError
from ..literals import quote_name, split_arguments
from .text_checks import STATES

if TYPE_CHECKING:
    from .inspector import Inspector

INPUT_FORMATS: Final = {
    name.lower(): name
    for name in (
        *("TabSeparated", "TabSeparatedWithNames", "TabSeparatedWithNamesAndTypes"),
        *("TSV", "TSVWithNames", "TSVWithNamesAndTypes", "TSVRaw", "TabSeparatedRaw"),
        *("CSV", "CSVWithNames", "CSVWithNamesAndTypes"),
        *("JSONEachRow", "JSONLines", "NDJSON", "JSONCompactEachRow"),
        *("JSONCompactEachRowWithNames", "JSONCompactEachRowWithNamesAndTypes"),
        *("RowBinary", "RowBinaryWithNames"),
        *("Native", "Arrow", "ArrowStream", "Parquet", "ORC"),
    )
}
"""Formats of external data. Others evaluate expressions, or look for a schema outside the data."""

_DEFAULT_FORMAT: Final = "TabSeparated"
_FREE_TYPES: Final = frozenset({"dynamic", "json", "object", "variant"})
"""Types whose values bring a type of their own in a binary format."""
_BINARY: Final = ("RowBinary", "Native")


@dataclass(frozen=True, slots=True)
class ExternalTable:
    """One table that came with a request.

    Attributes:
        name: What the query calls it.
        definition: The CREATE that was inspected.
        input_format: Of the data.
        data_path: File with the data.
        size_bytes: Of the data.
    """

    name: str
    definition: str
    input_format: str
    data_path: str
    size_bytes: int


def input_format(asked: str, table: str) -> str:
    """Return the format of external data as the engine writes it.

    Raises:
        ClickHouseError: 73 for one that is not allowed.
    """
    found = INPUT_FORMATS.get((asked or _DEFAULT_FORMAT).lower())
    if found is None:
        raise ClickHouseError(
            73, f"Unknown format {asked} of external data {table}: send CSV, Parquet, Arrow or so"
        )
    return found


def definition(inspector: Inspector, name: str, columns: str, types: str, data_format: str) -> str:
    """Return the canonical CREATE of the table that holds external data.

    Args:
        inspector: Of who asks.
        name: Of the table; any text.
        columns: Names and types, as in CREATE TABLE; empty when there are only types.
        types: Types separated by commas; their columns are `_1`, `_2` ...
        data_format: Of the data.

    Raises:
        ClickHouseError: What the engine says about the text, 36 for more than columns, 48 for
            states of aggregate functions and what may hold them, 46 and 497 for what may not be
            called.
    """
    if not columns:
        columns = ", ".join(
            f"_{number} {one}" for number, one in enumerate(split_arguments(types), start=1)
        )
    sql = f"CREATE TEMPORARY TABLE {quote_name(name)} ({columns})"
    statement = inspector.read(sql.encode(errors="surrogateescape"), {})
    if not statement.only_declares_columns:
        raise ClickHouseError(
            36, f"The structure of external data {name} may hold names and types, nothing else"
        )
    if STATES in statement.data_types:
        # Only what aggregated may write what is read back without a check.
        raise ClickHouseError(
            48, f"External data {name} may not hold states of aggregate functions"
        )
    free = sorted(one for one in statement.data_types if one.lower() in _FREE_TYPES)
    if free and data_format.startswith(_BINARY):
        raise ClickHouseError(
            48,
            f"External data {name} may not hold {free[0]} in the format {data_format}: "
            "its values could be of any type; send JSONEachRow or the like",
        )
    return statement.sql
