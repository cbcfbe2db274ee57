"""Numbers of a YAML file, exact as they are written and within limits.

None passes through a float here: a caller that may lose digits converts explicitly.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from yaml.nodes import Node, ScalarNode

from tokentide_jobs.io.files.yaml_entries import Problems

__all__ = ["number"]

_NUMBER: Final = re.compile(r"\d{1,13}(\.\d{1,12})?")


def number(
    key: str,
    node: Node,
    limits: tuple[int | Decimal, int | Decimal],
    problems: Problems,
    *,
    is_whole: bool = False,
) -> Decimal | None:
    """Return a number as it is written; None: it is none, or outside of its limits.

    Args:
        key: Of the value.
        node: The value.
        limits: Least and greatest.
        problems: Where to note what is wrong.
        is_whole: Only whole numbers are allowed.
    """
    low, high = limits
    written = node.value.strip() if isinstance(node, ScalarNode) else "a list or mapping"
    is_number = _NUMBER.fullmatch(written) and low <= Decimal(written) <= high
    if is_number and not (is_whole and "." in written):
        return Decimal(written)
    kind = "whole number" if is_whole else "number"
    problems.add(node, f"{key}: {written!r} is no {kind} from {low:,} to {high:,}")
    return None
