"""Refuses texts that the engine would read as states of aggregate functions, or evaluate.

A state that did not come out of an aggregation is read back without a check: a few bytes of it
reserve any amount of memory. Accounts that only read get states from stored columns alone. Columns
in a text hold names and types, for all users: a default in them is run and never inspected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from ..exceptions import ENGINE_ERRORS, ClickHouseError
from .type_texts import TYPED_FORMATS, TypeTexts

if TYPE_CHECKING:
    from .syntax_tree import SyntaxTree

STATES: Final = "AggregateFunction"
"""The type of states; the engine takes it in these letters alone."""

_HIDES: Final = ("\\", STATES)
"""A text that has none of these cannot name that type: a quoted name may hold escapes."""

ReadTree = Callable[[str], "SyntaxTree"]


def check_types(types: Iterable[str], read_tree: ReadTree, computed: Iterable[str] = ()) -> None:
    """Refuse states in texts that are types.

    Args:
        types: Texts that the engine would read as types.
        read_tree: Lets the engine read a statement.
        computed: Functions whose type is not written down.

    Raises:
        ClickHouseError: 497.
    """
    for name in computed:
        raise _refused(f"{name}() may only have a type that is written out as a literal")
    for text in types:
        if any(part in text for part in _HIDES):
            tree = _columns(f"c {text}", read_tree)
            if tree is None or STATES in tree.data_types:
                raise _refused_states(text)


def check_columns(texts: TypeTexts, read_tree: ReadTree, *, with_states: bool) -> None:
    """Refuse columns and data of table functions that hold more than names, types and values.

    Args:
        texts: What the statement holds.
        read_tree: Lets the engine read a statement.
        with_states: True for accounts that may write: columns may be of states, and data may
            bring its types.

    Raises:
        ClickHouseError: 497.
    """
    for name in texts.computed_columns:
        raise _refused(f"{name}() may only have columns and a format that are written out")
    for data_format in texts.formats:
        if with_states and data_format.lower() in TYPED_FORMATS:
            continue
        raise _refused(f"format() of {data_format}: send CSV, TSV, JSONEachRow or the like")
    for text in texts.columns | texts.columns_or_data:
        tree = _columns(text, read_tree)
        if tree is None:
            # Without a bracket nothing in it is called, and no state has a type.
            if text in texts.columns or "(" in text:
                raise _refused(f"columns {text[:200]!r} cannot be read")
            continue
        if not tree.only_declares_columns:
            raise _refused(f"columns {text[:200]!r} may hold names and types, nothing else")
        if STATES in tree.data_types and not with_states:
            raise _refused_states(text)


def _columns(text: str, read_tree: ReadTree) -> SyntaxTree | None:
    try:
        # The line break ends a comment at the end of the text.
        return read_tree(f"CREATE TEMPORARY TABLE t ({text}\n)")
    except (ClickHouseError, *ENGINE_ERRORS):
        return None


def _refused_states(text: str) -> ClickHouseError:
    return _refused(
        f"{text[:200]!r}: states of aggregate functions come from stored columns alone, "
        "not from text or bytes"
    )


def _refused(why: str) -> ClickHouseError:
    return ClickHouseError(497, f"Not enough privileges: {why}")
