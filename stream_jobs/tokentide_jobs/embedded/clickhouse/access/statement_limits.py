"""How large a statement may be, by who sends it.

Reading a statement costs the engine time and memory before anything of it runs: those who only
read get as much as people and dashboards write, many times over, and no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class StatementLimits:
    """Bounds of one statement.

    Attributes:
        size_bytes: Longest text, without insert data.
        nodes: Most nodes of its syntax tree (code 168).
    """

    size_bytes: int
    nodes: int


WRITER_LIMITS: Final = StatementLimits(size_bytes=262_144, nodes=50_000)
"""The server's max_query_size and max_ast_elements."""

READER_LIMITS: Final = StatementLimits(size_bytes=65_536, nodes=5_000)

DEFAULT_READER_S: Final = 60
LONGEST_READER_S: Final = 600
"""How long a statement of a reader runs, as of the role `analyst` (`sql/roles/analyst.sql`)."""
