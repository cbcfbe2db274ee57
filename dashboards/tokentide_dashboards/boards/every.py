"""Every board, in the order in which they are linked."""

from __future__ import annotations

from tokentide_dashboards.boards.agents import AGENTS
from tokentide_dashboards.boards.alerts import ALERTS_BOARD
from tokentide_dashboards.boards.cost import COST
from tokentide_dashboards.boards.governance import GOVERNANCE
from tokentide_dashboards.boards.latency import LATENCY
from tokentide_dashboards.boards.overview import OVERVIEW
from tokentide_dashboards.boards.pipeline import PIPELINE
from tokentide_dashboards.boards.prompts import PROMPTS
from tokentide_dashboards.boards.requests import REQUESTS
from tokentide_dashboards.kit.board import Board

__all__ = ["BOARDS"]

BOARDS: tuple[Board, ...] = (
    OVERVIEW,
    COST,
    LATENCY,
    AGENTS,
    REQUESTS,
    PROMPTS,
    ALERTS_BOARD,
    GOVERNANCE,
    PIPELINE,
)
