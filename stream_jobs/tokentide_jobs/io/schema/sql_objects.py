"""What the SQL files make, read from their statements: tables with columns, views, functions.

Only the forms that our own files use are known, which a test holds against the engine; everything
else is passed over. Pure: text in, names out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

__all__ = ["SqlObjects", "created_by", "objects_of"]

_CREATED = re.compile(
    r"CREATE\s+(?:OR\s+REPLACE\s+)?(TABLE|MATERIALIZED\s+VIEW|VIEW|FUNCTION)\s+"
    r"(?:IF\s+NOT\s+EXISTS\s+)?(?:\w+\.)?(\w+)",
    re.IGNORECASE,
)
_DROPPED = re.compile(
    r"DROP\s+(?:TABLE|VIEW|FUNCTION)\s+(?:IF\s+EXISTS\s+)?(?:\w+\.)?(\w+)", re.IGNORECASE
)
_ALTERED = re.compile(r"ALTER\s+TABLE\s+(?:\w+\.)?(\w+)", re.IGNORECASE)
_COLUMN_CHANGE = re.compile(
    r"\b(ADD|DROP)\s+COLUMN\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?(\w+)", re.IGNORECASE
)
_COMMENT_OR_TEXT = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^'\\]|\\.|'')*'", re.DOTALL)
_NO_COLUMNS = ("INDEX", "PROJECTION", "CONSTRAINT", "PRIMARY")


@dataclass(slots=True)
class SqlObjects:
    """Objects by name; columns by table."""

    columns: dict[str, set[str]] = field(default_factory=dict)
    """Of every table."""
    views: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)

    @property
    def names(self) -> set[str]:
        """Names of all tables, views and functions."""
        return {*self.columns, *self.views, *self.functions}


def objects_of(statements: Iterable[str]) -> SqlObjects:
    """Return what is there after the statements have run in order."""
    found = SqlObjects()
    for statement in statements:
        bare = _bare(statement)
        if created := _CREATED.match(bare.lstrip()):
            kind, name = created[1].split()[-1].upper(), created[2]
            if kind == "TABLE":
                found.columns.setdefault(name, set(_columns(bare)))
            elif kind == "VIEW":
                found.views.add(name)
            else:
                found.functions.add(name)
        elif dropped := _DROPPED.match(bare.lstrip()):
            found.columns.pop(dropped[1], None)
            found.views.discard(dropped[1])
            found.functions.discard(dropped[1])
        elif (altered := _ALTERED.match(bare.lstrip())) and altered[1] not in found.views:
            own = found.columns.setdefault(altered[1], set())
            for change, column in _COLUMN_CHANGE.findall(bare):
                own.add(column) if change.upper() == "ADD" else own.discard(column)
    return found


def created_by(statement: str) -> SqlObjects:
    """Return what a statement makes, and nothing of what it alters."""
    return objects_of([statement] if _CREATED.match(_bare(statement).lstrip()) else [])


def _bare(statement: str) -> str:
    """Leave out comments and what stands in texts."""
    return _COMMENT_OR_TEXT.sub(lambda found: "''" if found[0][0] == "'" else "", statement)


def _columns(statement: str) -> Iterator[str]:
    """Yield the first word of every element between the outer parentheses of a CREATE TABLE."""
    start = statement.find("(")
    depth, element = 0, ""
    for character in statement[start:] if start >= 0 else "":
        depth += {"(": 1, ")": -1}.get(character, 0)
        if (character == "," and depth == 1) or depth == 0:
            words = element.strip("( \n\t").split()
            if words and words[0].upper() not in _NO_COLUMNS:
                yield words[0].strip("`")
            element = ""
            if depth == 0:
                return
        else:
            element += character
