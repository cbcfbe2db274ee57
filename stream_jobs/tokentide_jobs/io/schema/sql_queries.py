"""The queries that tasks run: files below `sql/queries/`.

A query is known by its path, `verify/batches`. Its values are ClickHouse's typed parameters
`{name:Type}`; `${database}` and other names in `${…}` are identifiers, checked before they are
written into the text. What a caller gives must be exactly what the file asks for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache

from tokentide_jobs.core.tables import IDENTIFIER
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.schema.sql_files import sql_root

__all__ = ["SqlQuery", "load_query"]

_COMMENT = re.compile(r"[ \t]*--[^\n]*\n")
_PARAMETER = re.compile(r"\{(\w+):([^{}]+)\}")
_NAME = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class SqlQuery:
    """One file.

    Attributes:
        name: Its path below `sql/queries/`, without the ending.
        text: The statement without comments, names unfilled.
        parameters: Type of every value, by name.
        names: Every identifier that has to be filled in.
    """

    name: str
    text: str
    parameters: Mapping[str, str]
    names: frozenset[str]

    def bound(self, names: Mapping[str, str], parameters: Collection[str]) -> str:
        """Return the statement with its identifiers filled in.

        Args:
            names: Identifiers by the name they have in the file.
            parameters: The names of the values that will be sent along.

        Raises:
            ConfigError: A name is no identifier.
            TypeError: Names or parameters are missing, or given and not asked for.
        """
        for kind, given, wanted in (
            ("names", set(names), set(self.names)),
            ("parameters", set(parameters), set(self.parameters)),
        ):
            if given != wanted:
                raise TypeError(
                    f"sql/queries/{self.name}.sql takes the {kind} {sorted(wanted)}, "
                    f"not {sorted(given)}"
                )
        for name, value in names.items():
            if not IDENTIFIER.fullmatch(value):
                raise ConfigError(
                    f"{name} is {value!r}, which is no name in SQL: use letters, digits and _, "
                    "not starting with a digit"
                )
        return _NAME.sub(lambda match: names[match[1]], self.text)


@cache
def load_query(name: str) -> SqlQuery:
    """Read a query of `sql/queries/` once.

    Raises:
        ConfigError: The installation lacks the file.
    """
    path = sql_root() / "queries" / f"{name}.sql"
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing: reinstall tokentide[pipeline]") from None
    statement = _COMMENT.sub("\n", text).strip()
    parameters = {match[1]: match[2] for match in _PARAMETER.finditer(statement)}
    return SqlQuery(name, statement, parameters, frozenset(_NAME.findall(statement)))
