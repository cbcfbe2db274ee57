"""budgets.yaml: what may be spent on what, in which period, and which shares are reported.

The file is taken whole or refused whole, with file, line and reason of every problem. Amounts are
read from the text as decimals; none ever passes through a float.
"""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Final, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from yaml.nodes import Node, ScalarNode

from tokentide_jobs.core.budget.budget import SUBJECTS, THRESHOLDS, Budget, BudgetKind, Scope
from tokentide_jobs.core.budget.period import KINDS, PeriodKind
from tokentide_jobs.core.money import exact_pico_usd
from tokentide_jobs.core.window.fold import DIMENSIONS
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.files.yaml_entries import (
    Problems,
    content_of,
    entry_fields,
    mapping,
    named_entries,
    texts,
    value_text,
)
from tokentide_jobs.settings.origins import origin_of
from tokentide_schemas.control import LONGEST_NAME, MOST_THRESHOLDS

__all__ = ["load_budgets", "parse_budgets", "scope_value"]

_REQUIRED: Final = ("name", "scope", "period", "amount_usd")
_OPTIONAL: Final = ("time_zone", "thresholds", "kind")
_AMOUNT: Final = re.compile(r"\d{1,12}(\.\d{1,15})?")
_MOST_PERCENT: Final = 1_000
_NULL: Final = "tag:yaml.org,2002:null"


def load_budgets(path: Path | None) -> tuple[Budget, ...]:
    """Read the budgets of this installation.

    Args:
        path: The file that `TOKENTIDE_BUDGETS_FILE` names.

    Raises:
        ConfigError: None is named, it cannot be read, or at least one entry is bad.
    """
    if path is None:
        raise ConfigError(
            "TOKENTIDE_BUDGETS_FILE is not set: write a budgets.yaml (docs/budgets.md has one) "
            "and name it there"
        )
    return parse_budgets(
        content_of(path, "budgets", f"correct {origin_of('budgets_file')}"), str(path)
    )


def parse_budgets(content: bytes, name: str) -> tuple[Budget, ...]:
    """Read the text of a budgets file.

    Args:
        content: The file's bytes.
        name: Its name, for messages.

    Raises:
        ConfigError: At least one entry is bad; the message lists every problem with its line.
    """
    problems = Problems(name, "budgets")
    return named_entries(content, "budgets", "budget", _budget, problems)


def _budget(node: Node, problems: Problems) -> Budget | None:
    before = len(problems.found)
    fields = entry_fields(node, _REQUIRED, _OPTIONAL, "a budget", problems)
    if fields is None:
        return None
    zone_name = (
        value_text("time_zone", fields["time_zone"], problems) if "time_zone" in fields else "UTC"
    )
    budget = Budget(
        name=value_text("name", fields["name"], problems, LONGEST_NAME),
        scope=_scope(fields["scope"], problems),
        period=cast("PeriodKind", _one_of("period", fields["period"], KINDS, problems)),
        zone=_zone(zone_name, fields.get("time_zone", node), problems),
        zone_name=zone_name,
        amount_pico_usd=_amount(fields["amount_usd"], problems),
        thresholds=_thresholds(fields["thresholds"], problems)
        if "thresholds" in fields
        else THRESHOLDS,
        kind=cast("BudgetKind", _one_of("kind", fields["kind"], ("soft", "hard"), problems))
        if "kind" in fields
        else "soft",
    )
    return None if len(problems.found) > before else budget


def _scope(node: Node, problems: Problems) -> Scope:
    """Read dimensions with their values, or one subject; `{}` is everything."""
    fields = mapping(node, (*DIMENSIONS, *SUBJECTS), "scope", problems)
    values = {key: scope_value(key, value, problems) for key, value in fields.items()}
    subjects = [key for key in values if key in SUBJECTS]
    if subjects and len(values) > 1:
        problems.add(
            node,
            f"scope: {subjects[0]} stands alone: spend is summed by dimensions or by one of "
            f"{', '.join(SUBJECTS)}",
        )
    if subjects:
        return Scope(subject=(subjects[0], values[subjects[0]]))
    return Scope(tuple((name, values[name]) for name in DIMENSIONS if name in values))


def scope_value(key: str, node: Node, problems: Problems) -> str:
    """Read an exact value; of a dimension also "", which calls have that name none."""
    is_empty = isinstance(node, ScalarNode) and node.style in ('"', "'") and node.value == ""
    if is_empty and key in DIMENSIONS:
        return ""
    if isinstance(node, ScalarNode) and node.tag == _NULL:
        problems.add(node, f'scope.{key}: has no value; "" means calls without one')
        return ""
    found = value_text(f"scope.{key}", node, problems, LONGEST_NAME)
    if "*" in found:
        problems.add(node, f"scope.{key}: {found!r} is a pattern; give the exact value")
    return found


def _one_of(key: str, node: Node, known: tuple[str, ...], problems: Problems) -> str:
    found = value_text(key, node, problems)
    if found and found not in known:
        problems.add(node, f"{key}: {found!r} is none of {', '.join(known)}")
    return found


def _zone(name: str, node: Node, problems: Problems) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        problems.add(
            node,
            f"time_zone: {name!r} is no time zone that this machine knows; expected a name of the "
            "IANA database such as Europe/Berlin (a machine without the database needs the "
            "package tzdata)",
        )
        return ZoneInfo("UTC")


def _amount(node: Node, problems: Problems) -> int:
    written = node.value.strip() if isinstance(node, ScalarNode) else "a list or mapping"
    if not _AMOUNT.fullmatch(written):
        problems.add(node, f"amount_usd: {written!r} is no amount in dollars such as 1200 or 0.05")
        return 0
    try:
        amount = exact_pico_usd(Decimal(written))
    except ValueError as error:
        problems.add(node, f"amount_usd: {error}")
        return 0
    if amount == 0:
        problems.add(node, "amount_usd: 0 is no budget; expected more than nothing")
    return amount


def _thresholds(node: Node, problems: Problems) -> tuple[int, ...]:
    written = texts(node)
    percents = [
        int(one)
        for one in written
        if re.fullmatch(r"\d{1,4}", one) and 1 <= int(one) <= _MOST_PERCENT
    ]
    if not 0 < len(written) <= MOST_THRESHOLDS or len(set(percents)) != len(written):
        problems.add(
            node,
            f"thresholds: expected 1 to {MOST_THRESHOLDS} different whole percentages from 1 to "
            f"{_MOST_PERCENT:,}, such as [50, 80, 95, 100]",
        )
    return tuple(sorted(percents))
