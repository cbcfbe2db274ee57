"""Matching a model or provider name against the clauses of a price card.

Clauses are kept as JSON text, so that a card table survives the way through ClickHouse unchanged.
Semantics are those of genai-prices 0.2.3: all comparisons ignore case except regular expressions,
which see the lower-cased name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from tokentide_jobs.errors import InvariantViolation

__all__ = ["canonical_dated_name", "compile_clause", "glob_pattern", "says_more", "split_exact"]

Predicate = Callable[[str], bool]

_COMPACT_DATE = re.compile(r"(-)(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")
_SAME_MODEL = re.compile(
    r"(?:[-@:](?:20\d{2}-?\d{2}-?\d{2}|\d{2}-\d{2}-20\d{2}|\d{2}-20\d{2}|\d{2}-\d{2}|\d{3,4}"
    r"|v\d+|latest|default|preview|experimental|exp)(?![^-@:])|:\d+k?(?![^-@:]))*+"
)
"""What may stand behind a listed name without making it another model: dates, versions, stages."""
_DAYS_IN_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@lru_cache(maxsize=16_384)
def compile_clause(text: str) -> Predicate:
    """Compile a clause such as `{"starts_with":"gpt-4o"}`; the predicate takes a lower-case name.

    Raises:
        InvariantViolation: The text is no clause (a damaged card table).
    """
    return _build(json.loads(text))


def split_exact(text: str) -> tuple[frozenset[str], Predicate | None]:
    """Split a clause into the names it matches exactly and the predicate for all others.

    Most clauses are lists of exact names; looking those up in a dict keeps the search for an
    unknown model short.
    """
    clause = json.loads(text)
    alternatives = clause["or"] if set(clause) == {"or"} else [clause]
    exact = frozenset(str(part["equals"]).lower() for part in alternatives if "equals" in part)
    others = [part for part in alternatives if "equals" not in part]
    return exact, _build({"or": others}) if others else None


@lru_cache(maxsize=16_384)
def says_more(name: str, model: str, text: str) -> bool:
    """Tell whether a name goes on behind what its card names: `-8b`, `-fast`.

    Args:
        name: The lower-case name that the card matched.
        model: The card's model.
        text: Its clause. A regular expression stands for whole names.
    """
    rests = []  # what stands behind; with a path before, it is no name of the provider's own
    for kind, literal in (("equals", model.lower()), *_literals(json.loads(text))):
        if kind == "regex" and re.search(literal, name):
            return False
        if kind != "regex" and literal in name:
            head, _, rest = name.partition(literal)
            rests.append("/" if "/" in head else rest)
    return bool(rests) and not any(_SAME_MODEL.fullmatch(rest) for rest in rests)


def _literals(clause: dict[str, Any]) -> Iterator[tuple[str, str]]:
    ((kind, value),) = clause.items()
    if kind in ("or", "and"):
        for part in value:
            yield from _literals(part)
    else:
        yield kind, str(value) if kind == "regex" else str(value).lower()


def _build(clause: Any) -> Predicate:
    if not isinstance(clause, dict) or len(clause) != 1:
        raise InvariantViolation(f"not a match clause of a price card: {clause!r}")
    ((kind, value),) = clause.items()
    if kind in ("or", "and"):
        parts = tuple(_build(part) for part in value)
        if kind == "or":
            return lambda name: any(part(name) for part in parts)
        return lambda name: all(part(name) for part in parts)
    if kind == "regex":
        search = re.compile(value).search
        return lambda name: search(name) is not None
    wanted = str(value).lower()
    if kind == "equals":
        return lambda name: name == wanted
    if kind == "starts_with":
        return lambda name: name.startswith(wanted)
    if kind == "ends_with":
        return lambda name: name.endswith(wanted)
    if kind == "contains":
        return lambda name: wanted in name
    raise InvariantViolation(f"unknown match clause {kind!r} in a price card")


@lru_cache(maxsize=4_096)
def glob_pattern(pattern: str) -> Predicate:
    """Compile an override's name pattern: `*` is any text, everything else stands for itself."""
    parts = [re.escape(part) for part in pattern.lower().split("*")]
    match = re.compile(".*".join(parts), re.DOTALL).fullmatch
    return lambda name: match(name) is not None


def canonical_dated_name(name: str) -> str:
    """Rewrite a compact date suffix (`-20251211`) to the form the cards use (`-2025-12-11`).

    Gateways shorten dates so; genai-prices retries with the long form, and so do we.
    """

    def expand(found: re.Match[str]) -> str:
        year, month, day = (int(found.group(index)) for index in (2, 3, 4))
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        last = 28 if month == 2 and not leap else _DAYS_IN_MONTH[month - 1]
        return f"-{year:04d}-{month:02d}-{day:02d}" if day <= last else found.group(0)

    return _COMPACT_DATE.sub(expand, name)
