"""`tokentide simulate`: names its scenarios, refuses what is none, and compares with the truth."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from tokentide_jobs.cli import simulate
from tokentide_jobs.cli.main import main
from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.simulate.population import KeyGroup
from tokentide_jobs.core.simulate.run import Found, run
from tokentide_jobs.core.simulate.scenarios import SCENARIOS

QUICK = dataclasses.replace(Parameters(), silent_s=43_200, learning_s=43_200)


FOUND: dict[int, Found] = {}
"""By seed: a run of seconds is shown in more than one way."""


def run_once(groups: Any, faults: Any, days: int, seed: int, *others: Any) -> Found:
    if seed not in FOUND:
        FOUND[seed] = run(groups, faults, days, seed, *others)
    return FOUND[seed]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the scenario `outage` of a few keys and one day."""
    monkeypatch.setattr(simulate, "Parameters", lambda: QUICK)
    monkeypatch.setattr(simulate, "run", run_once)
    outage = SCENARIOS["outage"]
    fault = dataclasses.replace(outage.faults[0], before_end_minutes=200)
    monkeypatch.setitem(
        SCENARIOS, "outage",
        dataclasses.replace(
            outage, groups=(KeyGroup("tenant", "mid", 2),), faults=(fault,), days=1, least_days=1
        ),
    )  # fmt: skip


def test_the_list_names_every_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(SCENARIOS)
    assert main(["simulate", "--list", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == set(SCENARIOS)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "SCENARIO is missing: `tokentide simulate --list` names them"),
        (["outtage"], "SCENARIO is 'outtage', there is none of this name: do you mean 'outage'?"),
        (["outage", "--days", "3"], "--days is 3: outage needs at least 8"),
    ],
)
def test_what_cannot_be_run_is_refused_with_what_to_do(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", *arguments]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.usefixtures("small")
def test_a_run_says_what_was_done_what_was_found_and_why(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["simulate", "outage", "--seed", "4"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "1 days of 2 keys, 14 metrics each, seed 4" in text
    assert "tenant-1: a provider fails for 25 minutes" in text
    assert "day 1 at 20:40, for 25 min" in text
    assert "error_ratio of tenant-2 is" in text
    assert "times the expected" in text
    assert "alarms where nothing had been done none" in text


@pytest.mark.usefixtures("small")
def test_json_holds_the_truth_and_the_alarms(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "outage", "--seed", "4", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [one["key"] for one in result["incidents"]] == ["tenant-1", "tenant-2"]
    for incident in result["incidents"]:
        assert incident["end_us"] - incident["begin_us"] == 25 * 60_000_000
        first = incident["alarms"][0]
        assert first["after_minutes"] <= 6
        assert first["evidence"] > first["threshold"]
        assert first["reason"]
    assert result["false_alarms"] == []
