"""Golden payloads: what providers document that they answer, and what must come of it.

`tests/golden/<flavour>/<case>.json` holds one call:

    about                one line: what the case is about
    source               whose documentation or client library has this shape
    provider             the event's provider
    request_model        the model as it was asked for
    started_at           ISO date or time, UTC; 2026-11-20T12:00 when absent
    request              keyword arguments of the client's call, with expect_request: its fields
    response | stream    the answer as JSON, or the list of its chunks
    call                 fields that only the recorder of the call can know (status, chunks)
    expect               every field that the extractor gives, and no other
    expect_price_status  what pricing says of its own certainty
    expect_cost_pico_usd exact cost, null when there is none
    cost_note            the arithmetic, from public prices in USD per million tokens;
                         in the form `812 x 1.25 + 2 x 10 per 1,000 USD/Mtok = 0.021015 USD; remark`
                         a test works it out again
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent
USUAL_START = "2026-11-20T12:00:00"


@dataclass(frozen=True)
class Case:
    """One golden payload; attributes as above."""

    flavour: str
    name: str
    about: str
    source: str
    provider: str
    request_model: str
    expect: dict[str, Any]
    expect_price_status: str
    expect_cost_pico_usd: int | None
    cost_note: str
    response: Any = None
    stream: list[Any] | None = None
    started_at: str = USUAL_START
    request: dict[str, Any] = field(default_factory=dict)
    expect_request: dict[str, Any] = field(default_factory=dict)
    call: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.flavour}/{self.name}"

    @property
    def started_at_us(self) -> int:
        started = datetime.fromisoformat(self.started_at)
        if started.tzinfo is None:
            started = started.replace(tzinfo=UTC)
        return int(started.timestamp()) * 1_000_000


def load_cases() -> list[Case]:
    """Return every case, ordered by flavour and name."""
    cases = []
    for path in sorted(GOLDEN.glob("*/*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        assert ("response" in content) != ("stream" in content), f"{path}: one of the two"
        cases.append(Case(flavour=path.parent.name, name=path.stem, **content))
    return cases
