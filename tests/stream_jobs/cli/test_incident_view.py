"""What is found stands beside what was done."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from tokentide_jobs.cli.incident_view import incidents_view
from tokentide_jobs.replay.incidents import INCIDENTS, Incident

END_US = 1_796_000_400_000_000
PROMPT, BROWNOUT, RUNAWAY = INCIDENTS


def opening(after_s: float, incident: Incident, **fields: Any) -> dict[str, Any]:
    return {
        "alert_id": f"{after_s}", "at_us": END_US - round((incident.begin_s - after_s) * 1e6),
        "dimensions": dict(incident.fields[:1]), "sentence": "it is so", "severity": "page",
        "held": "", "impact_usd_per_hour": "0", "impact_failed_per_minute": 0.0,
        **fields,
    }  # fmt: skip


def test_what_was_found_stands_below_what_was_done_and_the_rest_is_not_kept_back() -> None:
    found = [
        opening(180, BROWNOUT, sentence="errors of google", impact_failed_per_minute=3.25),
        opening(15, RUNAWAY, sentence="run repeats", impact_usd_per_hour="71.28"),
        opening(20, RUNAWAY, sentence="its twin", held="incident 1"),
        opening(30, RUNAWAY, sentence="of no incident", dimensions={"tenant": "acme"}),
    ]
    screen = Console(width=100, record=True, file=io.StringIO())
    screen.print(incidents_view(found, END_US))
    shown = screen.export_text()
    first, second, third = (shown.index(f"injected: {one.title[:20]}") for one in INCIDENTS)
    assert shown.index("not found") < second, "the prompt was not found"
    assert second < shown.index("+180 s") < shown.index("3.2 failed requests a minute") < third
    assert third < shown.index("+15 s") < shown.index("$71.28 an hour more")
    assert "1 other alert announced; 1 absorbed" in shown
    assert shown.index("of no incident") > shown.index("besides")
    assert "its twin" not in shown
    assert first < second < third
