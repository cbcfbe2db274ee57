"""detect.yaml: exact numbers, every problem with its line, and the whole file or nothing of it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from tests.each import each
from tests.places import ROOT
from tokentide_jobs.core.decide.detect_rules import DetectRules
from tokentide_jobs.core.guard.rules import GuardRules
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.files.detect_file import load_detect_rules, parse_detect_rules

EVERYTHING = """\
run_guard:
  rate_floor_usd: 0.000000000001
  rate_factor: 1.25
  rate_start_usd: 7
  budget_usd: 50.5
  budget_floor_usd: 3
  budget_factor: 2.125
  budget_start_usd: 4
  repeats: 12
  repeats_usd: 0
  repeats_free: 90
  min_runs: 20
  idle_minutes: 30.5
  live_runs: 5000
"""


def test_every_field_is_read_exactly() -> None:
    assert parse_detect_rules(EVERYTHING.encode(), "detect.yaml").guard == GuardRules(
        rate_floor_pico_usd=1,
        rate_factor_milli=1_250,
        rate_start_pico_usd=7 * 10**12,
        budget_pico_usd=50_500_000_000_000,
        budget_floor_pico_usd=3 * 10**12,
        budget_factor_milli=2_125,
        budget_start_pico_usd=4 * 10**12,
        repeats=12,
        repeats_pico_usd=0,
        repeats_free=90,
        min_runs=20,
        idle_us=1_830_000_000,
        live_runs=5_000,
    )
    assert EVERYTHING.count("\n") - 1 == len(fields(GuardRules))


@pytest.mark.parametrize("text", ["", "# nothing\n", "run_guard:\n", "run_guard: {}\n", "null"])
def test_an_empty_file_leaves_every_default(text: str) -> None:
    assert parse_detect_rules(text.encode(), "detect.yaml") == DetectRules()


def test_every_problem_is_reported_with_its_line() -> None:
    text = """\
run_guard:
  rate_floor_usd: -1
  rate_factor: 0.9
  rate_start_usd: 1e3
  budget_usd: 2000000
  budgets: 3
  repeats: 2.5
  repeats_usd: [1]
  min_runs: 501
  idle_minutes: ~
  live_runs: 99
  repeats: 3
alarms: {}
"""
    with pytest.raises(ConfigError) as caught:
        parse_detect_rules(text.encode(), "/etc/detect.yaml")
    summary, *problems = str(caught.value).splitlines()
    assert summary.startswith("rules of detection refused, 12 problems")
    found = [problem.removeprefix("/etc/detect.yaml:").split(": ", 2)[:2] for problem in problems]
    assert [(int(line), key) for line, key in found] == [
        (2, "rate_floor_usd"),
        (3, "rate_factor"),
        (4, "rate_start_usd"),
        (5, "budget_usd"),
        (6, "budgets"),
        (7, "repeats"),
        (8, "repeats_usd"),
        (9, "min_runs"),
        (10, "idle_minutes"),
        (11, "live_runs"),
        (12, "repeats"),
        (13, "alarms"),
    ]
    assert problems[0].endswith("rate_floor_usd: '-1' is no number from 0 to 1,000,000")
    assert problems[5].endswith("repeats: '2.5' is no whole number")


@each(
    ("text", "reason"),
    [
        ("run_guard: 3", "detect.yaml:1: run_guard: expected fields"),
        ("- 1", "detect.yaml:1: the file: expected fields"),
        ("run_guard: [", "detect.yaml:1: not valid YAML"),
        (
            "run_guard:\n  rate_factor: 1.0005",
            "detect.yaml:2: rate_factor: '1.0005' is no multiple of 1/1,000",
        ),
        (
            "run_guard:\n  rate_floor_usd: 30",
            "detect.yaml:2: rate_floor_usd: more than rate_start_usd, which is 25",
        ),
        (
            "run_guard:\n  min_runs: 50\n  budget_start_usd: 9.5",
            "detect.yaml:3: budget_floor_usd: more than budget_start_usd, which is 9.5",
        ),
        (
            "run_guard:\n  repeats: 60",
            "detect.yaml:2: repeats: more than repeats_free, which is 50",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_a_line(text: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_detect_rules(text.encode(), "detect.yaml")
    assert reason in str(caught.value)


def test_a_file_that_is_not_there_names_the_setting(tmp_path: Path) -> None:
    assert load_detect_rules(None) == DetectRules()
    with pytest.raises(ConfigError, match="TOKENTIDE_DETECT_FILE"):
        load_detect_rules(tmp_path / "absent.yaml")


def test_the_example_of_the_documentation_states_the_defaults() -> None:
    path = ROOT / "docs" / "detect.example.yaml"
    assert load_detect_rules(path) == DetectRules()
    text = path.read_text("utf-8")
    assert all(f"{line.strip().split(':')[0]}:" in text for line in EVERYTHING.splitlines())


def test_levels_and_thresholds_of_anomalies_are_read() -> None:
    text = """anomalies:
      levels: [[model, tenant], [feature]]
      settle_seconds: 5
      longest_call_seconds: 90
      level_threshold: 12
      silent_days: 2
      learning_days: 4
      most_keys: 700
    """
    rules = parse_detect_rules(text.encode(), "detect.yaml")
    assert rules.levels == (("tenant", "model"), ("feature",))
    assert (rules.settle_us, rules.longest_call_us) == (5_000_000, 90_000_000)
    assert (rules.parameters.level_threshold, rules.parameters.most_keys) == (12, 700)
    assert (rules.parameters.silent_s, rules.parameters.learning_s) == (172_800, 345_600)
    assert rules.guard == GuardRules()


def test_levels_that_are_none_are_refused_with_their_lines() -> None:
    text = "anomalies:\n  levels:\n    - [planet]\n    - [tenant, tenant]\n    - tenant\n"
    with pytest.raises(ConfigError) as refused:
        parse_detect_rules(text.encode(), "d.yaml")
    lines = [line.partition(" ")[0] for line in str(refused.value).splitlines()[1:]]
    assert lines == ["d.yaml:3:", "d.yaml:4:", "d.yaml:5:"]


@pytest.mark.parametrize("levels", ["[]", "[[model], [model]]"])
def test_no_level_and_two_equal_ones_are_refused(levels: str) -> None:
    with pytest.raises(ConfigError, match="2: levels: expected 1 to 16 different lists"):
        parse_detect_rules(f"anomalies:\n  levels: {levels}\n".encode(), "d.yaml")


def test_a_level_is_watched_by_the_minute_or_by_ten_seconds() -> None:
    default = DetectRules().levels
    rules = parse_detect_rules(b"anomalies:\n  fast_levels: [[provider], [team]]\n", "d.yaml")
    assert rules.fast_levels == (("provider",), ("team",))
    assert rules.levels == tuple(level for level in default if level != ("provider",))
    watched = [(watch.levels, watch.length_us) for watch in rules.watches]
    assert watched == [(rules.levels, 60_000_000), (rules.fast_levels, 10_000_000)]
    both = "anomalies:\n  levels: [[model, tenant], [team]]\n  fast_levels: [[tenant, model]]\n"
    with pytest.raises(ConfigError, match=r"3: fast_levels: \[tenant, model\] is in levels, too"):
        parse_detect_rules(both.encode(), "d.yaml")
    with pytest.raises(ConfigError, match="2: fast_levels: expected 0 to 16 different lists"):
        parse_detect_rules(b"anomalies:\n  fast_levels: [[model], [model]]\n", "d.yaml")


@pytest.mark.parametrize("nothing", ["[]", "", "null"])
def test_no_level_has_to_be_watched_by_ten_seconds(nothing: str) -> None:
    text = f"anomalies:\n  fast_levels: {nothing}\n"
    assert parse_detect_rules(text.encode(), "d.yaml") == DetectRules()


@pytest.mark.parametrize("text", ["model", "{model: tenant}", "0"])
def test_fast_levels_that_are_no_list_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="2: fast_levels: expected 0 to 16 different lists"):
        parse_detect_rules(f"anomalies:\n  fast_levels: {text}\n".encode(), "d.yaml")


def test_a_silence_longer_than_learning_is_refused() -> None:
    with pytest.raises(ConfigError, match="2: silent_days: more than learning_days"):
        parse_detect_rules(b"anomalies:\n  silent_days: 9\n", "d.yaml")
