"""Rules are read again when their files change, and a file that is refused changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokentide_jobs.errors import ConfigError
from tokentide_jobs.jobs.detect.rule_files import RuleFiles

BUDGET = "budgets:\n  - {name: a, scope: {}, period: day, amount_usd: 5}\n"


def test_without_files_every_default_holds_and_there_are_no_budgets() -> None:
    files = RuleFiles(None, None)
    assert files.in_force.budgets == ()
    assert not files.changed()


def test_a_file_that_changed_is_in_force_at_the_next_look(tmp_path: Path) -> None:
    detect, budgets = tmp_path / "detect.yaml", tmp_path / "budgets.yaml"
    detect.write_text("run_guard: {repeats: 9}\n")
    budgets.write_text(BUDGET)
    files = RuleFiles(detect, budgets)
    assert files.in_force.rules.guard.repeats == 9
    assert not files.changed()
    detect.write_text("run_guard: {repeats: 10}\nanomalies: {settle_seconds: 7}\n")
    assert files.changed()
    assert files.in_force.rules.guard.repeats == 10
    assert files.in_force.rules.settle_us == 7_000_000
    assert [one.name for one in files.in_force.budgets] == ["a"]


def test_a_refused_file_leaves_the_old_one_in_force_and_says_why_until_it_is_right(
    tmp_path: Path,
) -> None:
    budgets = tmp_path / "budgets.yaml"
    budgets.write_text(BUDGET)
    files = RuleFiles(None, budgets)
    budgets.write_text(BUDGET + "  - {name: b, scope: {}, period: never, amount_usd: 5}\n")
    assert not files.changed()
    assert "budgets.yaml:3: period: 'never'" in files.problem
    assert [one.name for one in files.in_force.budgets] == ["a"]
    budgets.unlink()
    assert not files.changed()
    assert "No such file" in files.problem
    budgets.write_text(BUDGET.replace("5", "50"))
    assert files.changed()
    assert files.problem == ""


def test_everything_that_is_wrong_with_detect_yaml_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "detect.yaml"
    path.write_text("run_guard: {repeats: many}\nnotify: [{name: a b, kind: slack, url: x}]\n")
    with pytest.raises(ConfigError) as refused:
        RuleFiles(path, None)
    assert "rules of detection refused, 3 problems;" in str(refused.value)
    assert ":1: repeats: 'many' is no number" in str(refused.value)
    assert ":2: name: 'a b' is no name" in str(refused.value)


def test_detect_yaml_is_read_once_so_all_of_it_is_of_one_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "detect.yaml"
    path.write_text("run_guard: {repeats: 9}\nalerts: {flaps: 9}\n")
    read = Path.read_bytes

    def edited_right_after(self: Path) -> bytes:
        content = read(self)
        self.write_text("run_guard: {repeats: 10}\nalerts: {flaps: 10}\n")
        return content

    monkeypatch.setattr(Path, "read_bytes", edited_right_after)
    files = RuleFiles(path, None)
    assert (files.in_force.rules.guard.repeats, files.in_force.alerts.rules.flaps) == (9, 9)
    assert files.changed()
    assert (files.in_force.rules.guard.repeats, files.in_force.alerts.rules.flaps) == (10, 10)


def test_a_wrong_file_is_an_error_when_nothing_is_in_force_yet(tmp_path: Path) -> None:
    path = tmp_path / "detect.yaml"
    path.write_text("run_guard: {repeats: many}\n")
    with pytest.raises(ConfigError, match="'many' is no number"):
        RuleFiles(path, None)
