"""Every board, in the order in which they are linked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tokentide_dashboards.boards.agents import AGENTS
from tokentide_dashboards.boards.alerts import ALERTS_BOARD
from tokentide_dashboards.boards.cost import COST
from tokentide_dashboards.boards.governance import GOVERNANCE
from tokentide_dashboards.boards.latency import LATENCY
from tokentide_dashboards.boards.overview import OVERVIEW
from tokentide_dashboards.boards.pipeline import PIPELINE
from tokentide_dashboards.boards.prompts import PROMPTS
from tokentide_dashboards.boards.requests import REQUESTS, TRACE_URL
from tokentide_dashboards.kit.board import Board

__all__ = ["BOARDS", "boards_of", "texts_of"]

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


def texts_of(trace_url: str) -> Mapping[str, str]:
    """Return what the text boxes of boards hold under the settings of a pipeline."""
    return {TRACE_URL.name: trace_url}


def boards_of(trace_url: str) -> tuple[Board, ...]:
    """Return every board under the settings of a pipeline."""
    return tuple(replace(board, texts=texts_of(trace_url)) for board in BOARDS)
