"""Which names a statement may call: an allow-list, read against the engine's own lists.

`allowed.txt` holds what was reviewed. The engine states which names are aliases, which may be
written in any case, and which are data types, codecs and index types; those reach nothing. What
neither list knows is refused, so a function of a new version is refused until it is added.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from ..exceptions import ClickHouseError

if TYPE_CHECKING:
    from ..engine.connection import EngineConnection

_WORDS_OF_SYNTAX: Final = frozenset({"lambda", "CODEC", "Default", "COLUMNS", "exists"})
"""What stands before a bracket in canonical text, or is a function of the tree, and is no name."""

_HARMLESS: Final = (
    "SELECT name FROM system.data_type_families UNION ALL SELECT name FROM system.codecs "
    "UNION ALL SELECT name FROM system.data_skipping_index_types"
)
_TYPES_IN_ANY_CASE: Final = "SELECT name FROM system.data_type_families WHERE case_insensitive"
_FUNCTIONS: Final = "SELECT name, alias_to, case_insensitive, origin FROM system.functions"
_OUTSIDE: Final = (
    "SELECT name FROM system.functions UNION ALL SELECT name FROM system.table_functions "
    "UNION ALL SELECT name FROM system.table_engines "
    "UNION ALL SELECT name FROM system.database_engines"
)


def allowed_names() -> frozenset[str]:
    """Return the names in allowed.txt."""
    text = files(__package__).joinpath("allowed.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith(("#", "["))]
    return frozenset(" ".join(lines).split())


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The names of one engine.

    Attributes:
        allowed: Names that may be called, aliases included.
        scalars: Every name of a scalar or aggregate function that the engine has.
        known: Every name of a function, table function or engine that the engine has.
        aliases: What every alias stands for.
        table_functions: Those of them that stand after FROM.
        spellings: The known names, by their lower case.
        any_case: Names that may be written in any case, by their lower case.
        combinator: Matches the end of an aggregate function's name that a combinator added.
    """

    allowed: frozenset[str]
    scalars: frozenset[str]
    known: frozenset[str]
    table_functions: frozenset[str]
    spellings: dict[str, frozenset[str]]
    aliases: dict[str, str]
    any_case: dict[str, str]
    combinator: re.Pattern[str]

    @classmethod
    def of(cls, open_connection: Callable[[], EngineConnection]) -> Catalogue:
        """Read the engine's lists on a connection of their own."""
        with closing(open_connection()) as connection:
            return cls._read(connection)

    @classmethod
    def _read(cls, connection: EngineConnection) -> Catalogue:
        allowed = allowed_names() | _WORDS_OF_SYNTAX | set(_column(connection, _HARMLESS))
        scalars: set[str] = set()
        aliases: dict[str, str] = {}
        any_case = {name.lower(): name for name in _column(connection, _TYPES_IN_ANY_CASE)}
        for row in _column(connection, _FUNCTIONS):
            name, alias_to, is_any_case, origin = row.split("\t")
            if origin != "System":
                continue
            scalars.add(name)
            if alias_to:
                aliases[name] = alias_to
            if is_any_case == "1":
                any_case[name.lower()] = name
        combinators = _column(connection, "SELECT name FROM system.aggregate_function_combinators")
        ending = "|".join(sorted(combinators, key=len, reverse=True))
        known = frozenset(_column(connection, _OUTSIDE))
        spellings: dict[str, frozenset[str]] = {}
        for name in known:
            spellings[name.lower()] = spellings.get(name.lower(), frozenset()) | {name}
        return cls(
            allowed,
            frozenset(scalars),
            known,
            frozenset(_column(connection, "SELECT name FROM system.table_functions")),
            spellings,
            aliases,
            any_case,
            re.compile(rf"(?:{ending})\Z"),
        )

    def refused(self, names: Iterable[str]) -> set[str]:
        """Return those of ``names`` that are not allowed."""
        return {name for name in names if not self._allows(name)}

    def functions_of(self, identifiers: Iterable[str]) -> set[str]:
        """Return those of ``identifiers`` that the engine could take for a function's name."""
        return {
            name for name in identifiers if name in self.scalars or name.lower() in self.any_case
        }

    def _allows(self, name: str) -> bool:
        name = name if name in self.known else self.any_case.get(name.lower(), name)
        if name in self.allowed:
            return True
        if name in self.aliases:
            return self._allows(self.aliases[name])
        if name in self.known:
            return False
        shorter = self.combinator.sub("", name)
        return shorter not in (name, "") and self._allows(shorter)

    def is_respelled(self, name: str) -> bool:
        """Tell whether ``name`` is an allowed table function in other letters, and nothing else.

        The engine takes `VALUES` for `values`, and does not list which ones it takes so. A user's
        own function may have such a name: ask after those have been judged.
        """
        spellings = self.spellings.get(name.lower(), frozenset())
        return len(spellings) == 1 and spellings <= self.allowed & self.table_functions

    def unknown(self, names: Iterable[str]) -> set[str]:
        """Return those of ``names`` that mean nothing to the engine, in any case."""
        return {
            name for name in names if name not in self.known and name.lower() not in self.spellings
        }

    def refusal(self, name: str) -> ClickHouseError:
        """Word the error for one name that is not allowed."""
        if name == "input":
            return ClickHouseError(
                48, "input() is not supported by the embedded ClickHouse: insert into a table first"
            )
        if name.lower() in self.spellings:
            return ClickHouseError(
                497,
                f"Not enough privileges: {name} may reach files, networks or processes "
                "and cannot be used over HTTP",
            )
        return ClickHouseError(46, f"Unknown function {name}")


def _column(connection: EngineConnection, sql: str) -> list[str]:
    return bytes(connection.query(sql, "TSVRaw").bytes()).decode().splitlines()
