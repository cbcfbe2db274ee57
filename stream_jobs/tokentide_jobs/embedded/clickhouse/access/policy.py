"""What a statement may do, by the kind the engine sees in it and by who asks.

A kind that is not named here is refused to all users. What a statement calls has been checked by
then (`inspector`), and the engine enforces its own part: privileges, and read-only connections.
"""

from __future__ import annotations

import re
from typing import Final

from ..engine.privileges import FIXED_SETTINGS
from ..exceptions import ClickHouseError
from .accounts import User
from .inspector import EXPRESSION_SETTINGS
from .statement import Statement

READING: Final = frozenset(
    {"SelectWithUnionQuery", "Explain", "DescribeQuery", "Set", "UseQuery"}
    | {f"Exists{what}Query" for what in ("Table", "Database", "View", "Dictionary")}
    | {f"ShowCreate{what}Query" for what in ("Table", "Database", "View", "Dictionary")}
    | {"ShowTables", "ShowColumns", "ShowIndexes", "ShowFunctions", "ShowSetting"}
    | {"ShowProcesslistQuery", "ShowGrantsQuery", "ShowEngineQuery"}
)
"""Kinds that change nothing but their own session."""

WRITING: Final = frozenset(
    {"InsertQuery", "CreateQuery", "AttachQuery", "DetachQuery", "DropQuery", "UndropQuery"}
    | {"TruncateQuery", "AlterQuery", "DeleteQuery", "UpdateQuery", "Rename", "OptimizeQuery"}
    | {"CreateSQLFunctionQuery", "DropFunctionQuery", "KillQueryQuery", "SYSTEM", "CheckQuery"}
)
"""Kinds that only accounts with the right to write may run."""

_SLOW: Final = frozenset({"OptimizeQuery", "CheckQuery", "InsertQuery"})
"""Writing kinds that may take long; an INSERT is slow only when it selects."""

_REFUSED_ALTERS: Final = ("FETCH", "FREEZE", "UNFREEZE", "EXPORT", "MOVE", "MODIFY_SQL_SECURITY")
"""Beginnings of ALTER commands that reach other servers, disks or a directory of copies."""
_CLAUSE: Final = " SETTINGS "
_SETTING = re.compile(r"\b(\w+) = ")


def check(statement: Statement, user: User, *, only_reads: bool) -> None:
    """Refuse what this user may not do.

    Args:
        statement: What is to run.
        user: Who asks.
        only_reads: True when the request may only read, for any user.

    Raises:
        ClickHouseError: 497 for what no user may do over HTTP, 164 for what may not be done by a
            read-only user or request.
    """
    kind = statement.kind
    if kind not in READING | WRITING:
        raise ClickHouseError(497, f"Not enough privileges: {kind} is refused over HTTP")
    if (user.readonly or only_reads) and kind not in READING:
        raise ClickHouseError(164, f"{user.name}: Cannot execute query in readonly mode.")
    refused = [alter for alter in statement.alters if alter.startswith(_REFUSED_ALTERS)]
    if refused:
        raise ClickHouseError(
            497, f"Not enough privileges: ALTER {refused[0]} is refused over HTTP"
        )
    if kind == "AttachQuery" and not all(node.startswith("Identifier ") for node in statement.top):
        raise ClickHouseError(
            497, "Not enough privileges: only what was detached can be attached over HTTP"
        )
    if kind == "AttachQuery" and " FROM " in statement.outline:
        raise ClickHouseError(497, "Not enough privileges: ATTACH FROM is refused over HTTP")
    if (_CLAUSE in statement.outline and not statement.is_only_parsed) or kind == "Set":
        _check_inner_settings(statement, user)
    for name in statement.settings:
        if not user.may_set(name):
            raise ClickHouseError(164, f"Cannot modify '{name}' setting in readonly mode")


def _check_inner_settings(statement: Statement, user: User) -> None:
    """Refuse what no user may set there: the engine does not check settings of a subquery."""
    if user.readonly:
        raise ClickHouseError(
            164, "Cannot modify settings in readonly mode but at the end of a query"
        )
    words = set(_SETTING.findall(statement.outline))
    for name in (*FIXED_SETTINGS, *EXPRESSION_SETTINGS, "readonly"):
        if name in words:
            raise ClickHouseError(452, f"Setting {name} should not be changed here")


def is_quick_write(statement: Statement) -> bool:
    """Tell whether a statement must not wait behind readers."""
    if statement.kind in READING:
        return statement.kind in ("Set", "UseQuery")
    return statement.kind not in _SLOW or statement.takes_data or statement.kind == "InsertQuery"
