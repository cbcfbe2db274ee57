"""Texts in a statement that the engine reads as types, as columns, or as data in a format.

They stand in literals, where a syntax tree has no names: `CAST(x, 'a type')`,
`values('columns', ...)`, `format(name, 'columns', 'data')`. One that is computed is not known
before it is run, so it is reported as such, and refused where it matters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from .outline import unescape

_FUNCTION = re.compile(r"Function +(.*?)(?: \(alias .*)?\Z", re.DOTALL)
_STRING = re.compile(r"Literal ('(?:[^'\\]|\\.)*')(?: \(alias .*)?\Z", re.DOTALL)
_NAME = re.compile(r"(?:Identifier (\w+)|Literal '(\w+)')\Z")
_ALIAS = re.compile(r" \(alias (.*)\)\Z", re.DOTALL)
_PARAMETER_TYPE = re.compile(r"\{[^{}:]*:([^{}]*)\}")

_CASTS: Final = frozenset(
    {"cast", "_cast", "accuratecast", "accuratecastornull", "accuratecastordefault", "reinterpret"}
)
_TABLES_OF_COLUMNS: Final = frozenset({"null", "generaterandom"})
_TABLES_OF_VALUES: Final = frozenset({"values", "sqlstandardvalues"})

_TABLES: Final = frozenset({"format"}) | _TABLES_OF_COLUMNS | _TABLES_OF_VALUES

FORMATS: Final = frozenset(
    {
        *("csv", "csvwithnames", "tsv", "tsvraw", "tsvwithnames", "tskv"),
        *("tabseparated", "tabseparatedraw", "tabseparatedwithnames"),
        *("jsoneachrow", "jsonlines", "ndjson", "jsoncompacteachrow"),
        *("jsoncompacteachrowwithnames", "jsoncolumns", "jsoncompactcolumns", "jsonobjecteachrow"),
        *("jsonasstring", "jsonasobject", "lineasstring", "rawblob"),
    }
)
"""Formats of `format()`, in lower case. Others evaluate expressions, or bring their own types."""

TYPED_FORMATS: Final = frozenset({"parquet"})
"""Those that bring types and evaluate nothing: for accounts that may send them in an INSERT too."""


@dataclass(slots=True)
class TypeTexts:
    """What a syntax tree holds of such texts.

    Attributes:
        types: Those that a cast or a parameter reads as a type.
        columns: Those that are read as columns.
        columns_or_data: Those that are read as columns if they can be, else as a value.
        computed_types: Casts whose type is not written down.
        computed_columns: Table functions whose columns or format are not written down.
        formats: Formats of `format()` that are not in FORMATS.
    """

    types: set[str] = field(default_factory=set)
    columns: set[str] = field(default_factory=set)
    columns_or_data: set[str] = field(default_factory=set)
    computed_types: set[str] = field(default_factory=set)
    computed_columns: set[str] = field(default_factory=set)
    formats: set[str] = field(default_factory=set)


def type_texts(nodes: list[tuple[int, str]]) -> TypeTexts:
    """Find them in a tree: the depth and text of its nodes, from the root on."""
    found = TypeTexts()
    aliases = {match[1] for _, text in nodes if (match := _ALIAS.search(text)) is not None}
    for at, (_, text) in enumerate(nodes):
        function = _FUNCTION.match(text)
        if function is None:
            continue
        name = function[1].lower()
        if name in _CASTS:
            arguments = _arguments(nodes, at)
            second = _string(arguments[1]) if len(arguments) > 1 else None
            _add(second, found.types, name, found.computed_types)
        elif name in _TABLES:
            # A table function may stand in other places than after FROM, such as after IN.
            _read_table(name, _arguments(nodes, at), aliases, found)
    return found


def parameter_types(text: str, blanked: str) -> set[str]:
    """Return the types of the query parameters in a canonical text and its outline."""
    return {text[one.start(1) : one.end(1)] for one in _PARAMETER_TYPE.finditer(blanked)}


def _read_table(name: str, arguments: list[str], aliases: set[str], found: TypeTexts) -> None:
    if name == "format" and arguments:
        text = _string(arguments[0])
        if text is not None and re.fullmatch(r"\w*", text) is None:
            return  # the function of that name: no format is called so
        named = _NAME.match(arguments[0])
        data_format = (named[1] or named[2]) if named is not None else ""
        # The name of a format may be the alias of another text.
        if not data_format or data_format in aliases:
            found.computed_columns.add(name)
        elif data_format.lower() not in FORMATS:
            found.formats.add(data_format)
        if len(arguments) > 2:  # the format, the columns, the data
            _add(_string(arguments[1]), found.columns, name, found.computed_columns)
    elif name in _TABLES_OF_COLUMNS and arguments:
        _add(_string(arguments[0]), found.columns, name, found.computed_columns)
    elif name in _TABLES_OF_VALUES and arguments:
        text = _string(arguments[0])
        if text is not None:
            found.columns_or_data.add(text)
        elif not arguments[0].startswith(("Literal ", "Function ")):
            found.computed_columns.add(name)


def _add(text: str | None, to: set[str], name: str, computed: set[str]) -> None:
    if text is None:
        computed.add(name)
    else:
        to.add(text)


def _arguments(nodes: list[tuple[int, str]], at: int) -> list[str]:
    """Return the nodes that are the arguments of the function at ``at``."""
    depth = nodes[at][0]
    found: list[str] = []
    for number in range(at + 2, len(nodes)):  # no slice: it would copy the rest of the tree
        below, text = nodes[number]
        if below <= depth + 1:
            break
        if below == depth + 2:
            found.append(text)
    return found


def _string(node: str) -> str | None:
    """Return the text of a literal, or None for another node."""
    literal = _STRING.match(node)
    return None if literal is None else unescape(literal[1])
