"""What a successor reports to services: the present states, and no step of the repetition."""

from __future__ import annotations

from tokentide_jobs.jobs.detect.reported import Reported, ReportGate
from tokentide_schemas.control import ControlState, RunState


def flagged(run: str, at_us: int) -> RunState:
    return RunState(
        schema="run_state.v1", at_us=at_us, tenant="acme", run=run, state="flagged",
        rules=["repeats"], reason="", spend_pico_usd=1, per_minute_pico_usd=1, calls=1,
        last_step_us=at_us,
    )  # fmt: skip


def test_at_the_end_of_a_repetition_all_present_states_are_reported() -> None:
    stands: list[ControlState] = [flagged("again", 9)]
    gate = ReportGate({0: 10, 1: 4}, lambda: list(stands))
    steps = [
        Reported([flagged("over", 1), flagged("again", 1)]),
        Reported(ended=["run/acme/over", "run/acme/again", "budget/gone"]),
        Reported([flagged("again", 8)]),
    ]
    for reported in steps:
        assert gate.release(reported, {0: 10, 1: 3}) == Reported()
    made = gate.release(Reported(), {0: 10, 1: 4})
    assert made == Reported(stands, ["run/acme/over", "budget/gone"])


def test_after_that_everything_is_reported_as_it_is_found() -> None:
    gate = ReportGate({0: 10}, list)
    gate.release(Reported(), {0: 10})
    news = Reported([flagged("new", 11)], ["run/acme/old"])
    assert gate.release(news, {0: 11}) == news


def test_a_worker_that_begins_where_the_topic_ends_reports_at_once() -> None:
    gate = ReportGate({0: 0}, list)
    assert gate.release(Reported(ended=["budget/gone"]), {0: 0}).ended == ["budget/gone"]
