"""The engine's syntax tree of a statement, from the lines of EXPLAIN AST.

Every line is a node: its depth in blanks, its kind and text, the number of its children. The sum
of the children must be the number of lines, so a tree that a setting cut short, or to which a name
with a line break added a line, is refused and never half read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ..exceptions import ClickHouseError
from .type_texts import TypeTexts, type_texts

_CHILDREN = re.compile(r" \(children (\d+)\)\Z")
_LAMBDA = re.compile(r"Function lambda \(alias (.*)\)\Z", re.DOTALL)
_TABLE = re.compile(r"TableIdentifier (.*?)(?: \(alias .*)?\Z", re.DOTALL)
_ALL_COLUMNS = re.compile(r"(?:Qualified)?(?:Asterisk|Columns\w*Matcher)\b")
_IDENTIFIER = re.compile(r"Identifier (.*?)(?: \(alias .*)?\Z", re.DOTALL)
_ALTER = re.compile(r"AlterCommand ([^ ]*)", re.DOTALL)
_DATA_TYPE = re.compile(r"\w*DataType (\w+)")
_FUNCTION = re.compile(r"Function(?:WithKeyValueArguments)? +(.*?)(?: \(alias .*)?\Z", re.DOTALL)

_LIST_OF_COLUMNS: Final = 2
_OF_COLUMNS: Final = {
    0: {"CreateQuery"},
    1: {"Identifier", "Columns"},
    _LIST_OF_COLUMNS: {"ExpressionList"},
    3: {"ColumnDeclaration"},
    4: {"DataType", "EnumDataType", "TupleDataType"},
}
"""Nodes by their depth in the tree of a CREATE that has columns and nothing else."""


@dataclass(frozen=True, slots=True)
class SyntaxTree:
    """What the endpoint reads from a tree.

    Attributes:
        nodes: How many there are.
        kind: First word of the root, such as `SelectWithUnionQuery`.
        functions: Names of functions, table functions, engines and codecs.
        arguments: Names that stand as arguments of a function, `f(name)`: columns, but where `f`
            expects a function the engine takes one for the function of that name.
        identifiers: Names of columns, and of tables that stand where a value may.
        tables: Names of tables, as they are written.
        takes_all_columns: True when columns are taken without their names, by `*` or a pattern.
        lambdas: Names that the statement itself gives to lambdas and may call.
        top: Text of the nodes right below the root.
        alters: Commands of an ALTER, such as `ADD_COLUMN`.
        only_declares_columns: True for a CREATE of columns with a type each, and nothing else.
        data_types: Names of the types of columns, and of those inside them.
        type_texts: Texts that the engine reads as types, as columns or as data.
    """

    nodes: int
    kind: str
    functions: frozenset[str]
    arguments: frozenset[str]
    identifiers: frozenset[str]
    tables: frozenset[str]
    takes_all_columns: bool
    lambdas: frozenset[str]
    top: tuple[str, ...]
    alters: frozenset[str]
    only_declares_columns: bool
    data_types: frozenset[str]
    type_texts: TypeTexts


def read_tree(lines: str) -> SyntaxTree:
    """Read the output of EXPLAIN AST.

    Raises:
        ClickHouseError: 62 when the tree is not whole.
    """
    nodes = lines.rstrip("\n").split("\n")
    children = 0
    arguments: set[str] = set()
    identifiers: set[str] = set()
    tables: set[str] = set()
    takes_all_columns = False
    path: list[str] = []
    texts: list[tuple[int, str]] = []
    for line in nodes:
        counted = _CHILDREN.search(line)
        if counted is not None:
            children += int(counted[1])
        text = line[: counted.start() if counted else None].lstrip(" ")
        depth = len(line) - len(line.lstrip(" "))
        path[depth:] = [text]
        texts.append((depth, text))
        is_argument = [node.split(" ")[0] for node in path[-3:-1]] == ["Function", "ExpressionList"]
        if (identifier := _IDENTIFIER.match(text)) is not None:
            identifiers.add(identifier[1])
            if is_argument:
                arguments.add(identifier[1])
        elif (table := _TABLE.match(text)) is not None:
            tables.add(table[1])
        elif _ALL_COLUMNS.match(text) is not None:
            takes_all_columns = True
    if children != len(nodes) - 1:
        raise ClickHouseError(
            62, "Syntax error: the syntax tree cannot be read as a whole (a line break in a name?)"
        )
    kind = nodes[0].lstrip(" ").split(" ")[0]
    return SyntaxTree(
        len(nodes),
        kind,
        _first_groups(_FUNCTION, texts),
        frozenset(arguments),
        frozenset(identifiers),
        frozenset(tables),
        takes_all_columns,
        _first_groups(_LAMBDA, texts),
        tuple(text for depth, text in texts if depth == 1),
        _first_groups(_ALTER, texts),
        _only_declares_columns([(depth, text.split(" ")[0]) for depth, text in texts]),
        _first_groups(_DATA_TYPE, texts),
        type_texts(texts),
    )


def _first_groups(pattern: re.Pattern[str], texts: list[tuple[int, str]]) -> frozenset[str]:
    """Return what a pattern finds in nodes that begin with it."""
    return frozenset(found[1] for _depth, text in texts if (found := pattern.match(text)))


def _only_declares_columns(kinds: list[tuple[int, str]]) -> bool:
    """Look at every node above the types: lines that a name forges hide none of them."""
    above = [(depth, kind) for depth, kind in kinds if depth in _OF_COLUMNS]
    shape = [kind for depth, kind in above if depth <= _LIST_OF_COLUMNS]
    return shape == ["CreateQuery", "Identifier", "Columns", "ExpressionList"] and all(
        kind in _OF_COLUMNS[depth] for depth, kind in above
    )
