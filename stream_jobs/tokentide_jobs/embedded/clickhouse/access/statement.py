"""A statement as the engine reads it: what the endpoint decides on, and what it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from .outline import outline

_ANSWERED: Final = ("Explain", "Describe", "Exists", "Show", "CheckQuery", "KillQuery")
"""Beginnings of the kinds that answer with rows, besides SELECT."""


@dataclass(slots=True)
class Statement:
    """One statement in the engine's canonical text.

    Attributes:
        kind: Root of its syntax tree, such as `SelectWithUnionQuery`.
        sql: Canonical text, without the FORMAT and SETTINGS clauses at its end.
        names: Everything it calls: functions, table functions, engines, codecs, types.
        output_format: Name in the FORMAT clause of a query, or None.
        settings: The SETTINGS clause at the end; values as SQL literals.
        alters: Commands of an ALTER.
        top: Text of the nodes right below the root of the tree.
        identifiers: Names of columns, and of tables that stand where a value may.
        tables: Names of tables, as they are written.
        takes_all_columns: True when columns are taken without their names, by `*` or a pattern.
        nodes: Size of its syntax tree.
        only_declares_columns: True for a CREATE of columns with a type each, and nothing else.
        data_types: Names of the types of columns that it declares, and of those inside them.
        insert_format: Input format when insert data follows, else None.
        inline_data: Insert data that came in the same text.
    """

    kind: str
    sql: str
    names: frozenset[str] = frozenset()
    output_format: str | None = None
    settings: dict[str, str] = field(default_factory=dict)
    alters: frozenset[str] = frozenset()
    top: tuple[str, ...] = ()
    identifiers: frozenset[str] = frozenset()
    tables: frozenset[str] = frozenset()
    takes_all_columns: bool = False
    nodes: int = 0
    only_declares_columns: bool = False
    data_types: frozenset[str] = frozenset()
    insert_format: str | None = None
    inline_data: bytes = b""

    @property
    def outline(self) -> str:
        """The text with everything inside quotes blanked out, of the same length."""
        return outline(self.sql)

    @property
    def sql_bytes(self) -> bytes:
        """The text as it goes to the engine; it need not be UTF-8."""
        return self.sql.encode(errors="surrogateescape")

    @property
    def is_select(self) -> bool:
        """True for a query whose rows come in blocks."""
        return self.kind == "SelectWithUnionQuery"

    @property
    def has_result(self) -> bool:
        """True for a statement that answers with rows, be they none."""
        return self.is_select or self.kind.startswith(_ANSWERED)

    @property
    def takes_data(self) -> bool:
        """True for an INSERT whose rows come as data rather than from a SELECT."""
        return self.insert_format is not None

    @property
    def is_only_parsed(self) -> bool:
        """True for EXPLAIN AST without options: the statement in it is parsed and never run."""
        is_ast = self.kind == "Explain" and self.sql.startswith("EXPLAIN AST ")
        return is_ast and "Set" not in self.top

    @property
    def leaves_state(self) -> bool:
        """True for a statement that changes what later statements of its session see."""
        if self.kind in ("Set", "UseQuery"):
            return True
        return self.kind in ("CreateQuery", "DropQuery") and " TEMPORARY " in self.outline
