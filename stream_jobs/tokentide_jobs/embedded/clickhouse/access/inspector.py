"""Asks the engine what a statement is: its canonical text, its syntax tree, what it calls.

Every inspection has a connection of its own in the state the engine starts with, so nothing that a
request sets can change how its text is read. Texts are remembered: the same inserts and panels come
again and again.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import Final

from ..engine.connection import EngineConnection
from ..exceptions import ENGINE_ERRORS, ClickHouseError, from_engine
from ..literals import quote, quote_bytes, set_statement
from .catalogue import Catalogue
from .outline import calls, outline, split_tail, unescape
from .seam import Seam, find_seam
from .statement import Statement
from .statement_limits import StatementLimits
from .syntax_tree import SyntaxTree, read_tree
from .text_checks import check_columns, check_types
from .type_texts import parameter_types

EXPRESSION_SETTINGS: Final = ("additional_table_filters", "additional_result_filter")
"""Settings whose values are SQL that runs with the query."""

_MAPS_OF_EXPRESSIONS: Final = ("additional_table_filters",)
_REMEMBERED: Final = 500
_REMEMBERED_BYTES: Final = 1 << 15
_CLIENT_CLAUSES: Final = ("INTO OUTFILE", "FROM INFILE")
_KEEPS_SETTINGS: Final = ("CREATE ", "ATTACH ", "REPLACE ", "ALTER ", "SET ")
_USER_FUNCTIONS: Final = (
    "SELECT name, create_query FROM system.functions WHERE origin = 'SQLUserDefined' AND name IN "
)


def _accept(_: Statement) -> None:
    """Accept every statement."""


class Inspector:
    """Reads statements; its methods may run on any thread.

    Args:
        open_connection: Opens a connection in the engine's default state.
        catalogue: What may be called.
        limits: How large a statement may be.
        check: Raises for a statement, or an expression in a setting, that is refused.
        check_filter: Raises for an expression in a setting that is refused only there.
        refuses_states: True to refuse states of aggregate functions that come as text.
    """

    def __init__(
        self,
        open_connection: Callable[[], EngineConnection],
        catalogue: Catalogue,
        limits: StatementLimits,
        check: Callable[[Statement], None] = _accept,
        check_filter: Callable[[Statement], None] = _accept,
        *,
        refuses_states: bool = False,
    ) -> None:
        self._refuses_states = refuses_states
        self.limits = limits
        self._check = check
        self._check_filter = check_filter
        self._open = open_connection
        self._catalogue = catalogue
        self._known: OrderedDict[bytes, Statement] = OrderedDict()
        self._lock = Lock()

    def find_seam(self, sql: bytes) -> Seam | None:
        """Propose where the data of an INSERT begins, as far as a statement may reach."""
        return find_seam(sql, self.limits.size_bytes)

    def read(self, sql: bytes, parameters: Mapping[str, str]) -> Statement:
        """Describe a statement that carries no data.

        Raises:
            ClickHouseError: What the engine says about the text, 62 for one that is too long, for
                a clause of the command-line client and for a statement that waits for data, 46
                and 497 for what may not be called.
        """
        statement = self._read(sql, parameters)
        if statement.kind == "InsertQuery" and statement.output_format is not None:
            raise ClickHouseError(
                62, "Syntax error: cannot tell where the data of this INSERT begins"
            )
        return statement

    def read_insert(self, seam: Seam, parameters: Mapping[str, str]) -> Statement:
        """Describe an INSERT up to its data; the engine must see the same format in it.

        Raises:
            ClickHouseError: As `read`, and 62 when the engine sees the data begin elsewhere.
        """
        statement = self._read(seam.head, parameters)
        is_insert = statement.kind == "InsertQuery" and not _has_select(statement)
        if not is_insert or (statement.output_format or "").upper() != seam.insert_format.upper():
            raise ClickHouseError(
                62, "Syntax error: cannot tell where the data of this INSERT begins"
            )
        return replace(
            statement,
            output_format=None,
            settings=dict(statement.settings),
            insert_format=seam.insert_format,
            inline_data=seam.data,
        )

    def settle_expressions(self, name: str, literal: str) -> str:
        """Check the SQL in the value of a setting, and quote the value again.

        Args:
            name: One of EXPRESSION_SETTINGS.
            literal: Its value as a literal of canonical text.

        Raises:
            ClickHouseError: As `read`.
        """
        if name not in _MAPS_OF_EXPRESSIONS:
            expression = unescape(literal)
            self._check_expression(expression)
            return quote(expression)
        with self._connection() as connection:
            value = _map_value(connection, literal)
        for expression in value.values():
            self._check_expression(expression)
        pairs = ", ".join(f"{quote(key)}: {quote(text)}" for key, text in value.items())
        return "{" + pairs + "}"

    @contextmanager
    def _connection(self) -> Iterator[EngineConnection]:
        """Lend a connection; opening one fails too when the engine is out of memory."""
        try:
            with closing(self._open()) as connection:
                yield connection
        except ENGINE_ERRORS as exc:
            raise from_engine(exc) from exc

    def _check_expression(self, expression: str) -> None:
        if expression:
            sql = f"SELECT {expression}".encode(errors="surrogateescape")
            self._check_filter(self._read(sql, {}, remember=False))

    def values_are_checked(self, data: bytes) -> bool:
        """Tell whether the rows of VALUES may be evaluated: short, readable and allowed.

        Raises:
            ClickHouseError: 46 and 497 for what may not be called.
        """
        if len(data) > self.limits.size_bytes - 7:
            return False
        try:
            self._read(b"SELECT " + data, {}, remember=False)
        except ClickHouseError as error:
            if error.code in (46, 497):
                raise
            return False
        return True

    def _read(
        self, sql: bytes, parameters: Mapping[str, str], *, remember: bool = True
    ) -> Statement:
        if len(sql) > self.limits.size_bytes:
            raise ClickHouseError(
                62,
                f"Max query size exceeded: the statement has {len(sql)} bytes or more, "
                f"{self.limits.size_bytes} are allowed to this account",
            )
        remember = remember and not parameters and len(sql) <= _REMEMBERED_BYTES
        if remember:
            with self._lock:
                if (known := self._known.get(sql)) is not None:
                    self._known.move_to_end(sql)
                    return replace(known, settings=dict(known.settings))
        with self._connection() as connection:
            statement = self._ask(connection, sql, parameters)
        self._check(statement)
        if remember:
            with self._lock:
                self._known[sql] = replace(statement, settings=dict(statement.settings))
                if len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
        return statement

    def _ask(
        self, connection: EngineConnection, sql: bytes, parameters: Mapping[str, str]
    ) -> Statement:
        values = {
            "max_threads": "1",
            "max_ast_elements": str(self.limits.nodes),
            # Quoting may double the text, which is inspected as a literal.
            "max_query_size": str(3 * self.limits.size_bytes),
        }
        values.update({f"param_{name}": value for name, value in parameters.items()})
        connection.query(set_statement(values), "Null")
        text = _canonical(connection, sql)
        blanked = outline(text)
        for clause in _CLIENT_CLAUSES:
            if clause in blanked:
                raise ClickHouseError(62, f"{clause} is a clause of the command-line client only")
        lifts = not text.startswith(_KEEPS_SETTINGS)
        tail = split_tail(text, blanked, with_settings=lifts)
        if self._refuses_states:
            # Before the tree: the engine reads the values of parameters as it builds it.
            check_types(parameter_types(text, blanked), partial(_tree, connection))
        tree = _tree(
            connection, tail.body + (f" FORMAT {tail.output_format}" if tail.output_format else "")
        )
        names = self._called(tree, tail.body, blanked[: len(tail.body)])
        statement = Statement(
            tree.kind,
            tail.body,
            names,
            tail.output_format,
            tail.settings,
            tree.alters,
            tree.top,
            tree.identifiers,
            tree.tables,
            tree.takes_all_columns,
            tree.nodes,
            tree.only_declares_columns,
            tree.data_types,
        )
        if not statement.is_only_parsed:
            self._check_texts(connection, tree)
            self._check_names(connection, names - self._catalogue.unknown(tree.lambdas))
        return statement

    def _check_texts(self, connection: EngineConnection, tree: SyntaxTree) -> None:
        """Check what a tree holds in literals; the engine reads it, and evaluates some of it."""
        texts, read = tree.type_texts, partial(_tree, connection)
        check_columns(texts, read, with_states=not self._refuses_states)
        if self._refuses_states:
            check_types(texts.types, read, texts.computed_types)

    def _called(self, tree: SyntaxTree, text: str, blanked: str) -> frozenset[str]:
        """Return every name that a statement may call, however it is written."""
        named = self._catalogue.functions_of(tree.arguments)
        return tree.functions | named | calls(text, blanked)

    def _check_names(
        self,
        connection: EngineConnection,
        names: frozenset[str],
        seen: frozenset[str] = frozenset(),
    ) -> None:
        refused = self._catalogue.refused(names - seen)
        if not refused:
            return
        listed = ", ".join(quote(name) for name in sorted(refused))
        rows = connection.query(f"{_USER_FUNCTIONS}({listed})", "JSONCompactEachRow").bytes()
        for row in bytes(rows).splitlines():
            name, create = json.loads(row)
            refused.discard(name)
            # A function is only as harmless as what it calls, no matter who made it and when.
            body = _canonical(connection, create.encode())
            tree = _tree(connection, body)
            self._check_texts(connection, tree)
            inner = self._called(tree, body, outline(body))
            inner -= self._catalogue.unknown(tree.lambdas)
            self._check_names(connection, inner, seen | names)
        for name in sorted(refused):
            if not self._catalogue.is_respelled(name):
                raise self._catalogue.refusal(name)


def _map_value(connection: EngineConnection, literal: str) -> dict[str, str]:
    """Let the engine read a setting that is a map; its text is the same quoted or not."""
    text = literal if literal.startswith("{") else unescape(literal)
    asked = (
        f"SELECT m FROM format('Values', 'm Map(String, String)', {quote(f'({text})')}) "  # noqa: S608  # a quoted literal
        "SETTINGS input_format_values_interpret_expressions = 0"
    )
    row = connection.query(asked.encode(errors="surrogateescape"), "JSONCompactEachRow")
    (value,) = json.loads(bytes(row.bytes()))
    return dict(value)


def _canonical(connection: EngineConnection, sql: bytes) -> str:
    asked = b"SELECT formatQuerySingleLine(" + quote_bytes(sql) + b")"
    found = bytes(connection.query(asked, "RawBLOB").bytes())
    return found.decode(errors="surrogateescape")


def _tree(connection: EngineConnection, text: str) -> SyntaxTree:
    asked = f"EXPLAIN AST {text}".encode(errors="surrogateescape")
    lines = bytes(connection.query(asked, "TSVRaw").bytes())
    return read_tree(lines.decode(errors="surrogateescape"))


def _has_select(statement: Statement) -> bool:
    return "SelectWithUnionQuery" in {node.split(" ")[0] for node in statement.top}
