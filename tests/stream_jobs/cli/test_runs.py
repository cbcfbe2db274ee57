"""How `tokentide runs` shows runs: the reason first, names as data, a count of what is left out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tokentide_jobs.cli.runs import show
from tokentide_jobs.cli.screen import console
from tokentide_jobs.core.guard.rules import GuardRules
from tokentide_jobs.core.guard.steps import RunKey, Step
from tokentide_jobs.core.guard.verdict import Verdict
from tokentide_jobs.tasks.runs import RunRow, Runs

NOW_US = 1_795_000_000_000_000
MINUTE_US = 60_000_000
RUN = RunRow(
    tenant="acme", run="r\x1b[2J-1", agent="coder", agents=("coder", "critic"), user="9f3c" * 4,
    service="desk", parent_run="", calls=1_200, errors=3, unpriced=0, tool_calls=0, tools=(),
    input_tokens=4_000_000, output_tokens=10, cost_pico_usd=13 * 10**12,
    first_us=NOW_US - 30 * MINUTE_US, last_us=NOW_US - 6 * MINUTE_US,
    ended_us=NOW_US - 5 * MINUTE_US,
)  # fmt: skip
VERDICT = Verdict(
    key=RunKey("acme", "r\x1b[2J-1"), agent="coder", user="", rule="repeats",
    at_us=NOW_US - 20 * MINUTE_US, value=8, allowed=8, cycle=2, repeats_pico_usd=2 * 10**12,
    spend_pico_usd=3 * 10**12, per_minute_pico_usd=10**12, calls=9, recent_calls=9,
    tools=("search", "search", "read"), began_us=NOW_US - 30 * MINUTE_US,
    step=Step(RunKey("acme", "r\x1b[2J-1"), NOW_US - 20 * MINUTE_US, "coder", "", 10**12),
)  # fmt: skip
FLAGGED = replace(RUN, verdicts=(VERDICT,))


def screen_of(found: Runs, capsys: pytest.CaptureFixture[str], **how: bool) -> str:
    show(found, GuardRules(), NOW_US, 24.0, console(), is_filtered=how.get("is_filtered", False))
    return capsys.readouterr().out


def test_what_ran_away_comes_first_with_reason_and_what_it_cost_since(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = screen_of(Runs([FLAGGED], 40, 2, 50 * 10**12, 1, 300), capsys)
    joined = " ".join(text.split())
    assert "$50.00 spent by 40 runs of 2 agents 1 broke a rule" in joined
    assert (
        "! 18 Nov 10:46:40 run r\\x1b[2J-1 (agent coder, tenant acme) repeats a cycle of 2 steps: "
        "8 repeated steps in a row for $2.00, and 8 are too many; $3.00 in 9 calls so far, "
        "$1.00 a minute; last tools: search x2, read; $10.00 more since then"
    ) in joined
    assert text.index("repeats a cycle") < text.index("spend calls")
    assert "and 39 more" in text
    assert "$37.00" in text
    assert "Limits are learned from runs that are finished: 300 by now." in joined


def test_a_row_says_who_how_much_and_whether_it_still_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = screen_of(Runs([RUN], 1, 1, RUN.cost_pico_usd, 0, 4), capsys)
    (row,) = (line for line in text.splitlines() if line.startswith("r\\x1b[2J-1"))
    cells = row.split()
    assert cells[1:5] == ["coder", "+1", "acme", "9f3c9f"]
    assert cells[5:] == ["$13.00", "1,200", "-", "4", "M", "3", "25", "min", "live"]
    assert "none broke a rule" in text
    assert "Start values hold until 100 runs are finished" in text
    assert "(4 so far)" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("quiet_minutes", "state"), [(9, "live"), (10, "idle"), (119, "idle"), (120, "finished")]
)
def test_the_state_follows_from_the_last_call(quiet_minutes: int, state: str) -> None:
    idle_us = GuardRules().idle_us
    assert RUN.state(RUN.ended_us + quiet_minutes * MINUTE_US, idle_us) == state


def test_a_run_inside_another_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    inner = replace(RUN, run="inner", parent_run="outer\n")
    text = screen_of(Runs([inner], 1, 1, 0, 0, 0), capsys)
    assert "started by outer\\n" in " ".join(text.split())


def test_a_run_of_models_without_a_price_does_not_look_free(
    capsys: pytest.CaptureFixture[str],
) -> None:
    unpriced = replace(RUN, cost_pico_usd=0, unpriced=1_200)
    assert "no price" in screen_of(Runs([unpriced], 1, 1, 0, 0, 0), capsys)


def test_no_runs_is_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = Runs([], 0, 0, 0, 0, 0)
    assert "no runs in this range" in screen_of(nothing, capsys)
    assert "no runs of this kind in this range" in screen_of(nothing, capsys, is_filtered=True)


def test_the_json_form_is_exact_and_complete() -> None:
    row = FLAGGED.to_dict(NOW_US, GuardRules().idle_us)
    assert (row["cost_usd"], row["duration_s"], row["state"]) == ("13.000000000000", 1500.0, "live")
    (verdict,) = row["verdicts"]
    assert (verdict["rule"], verdict["value"], verdict["spend_usd"]) == (
        "repeats",
        8,
        "3.000000000000",
    )
    assert verdict["sentence"] == VERDICT.sentence
