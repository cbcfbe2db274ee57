"""Mistakes that people make in boards and rules are found, each by name. One mistake a test.

A column that was renamed is found by running all queries: tests/dashboards/test_boards.py.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from tokentide_dashboards.boards.every import BOARDS
from tokentide_dashboards.boards.overview import OVERVIEW
from tokentide_dashboards.check.columns import unfit
from tokentide_dashboards.check.lint import problems
from tokentide_dashboards.kit.json_value import Object
from tokentide_dashboards.kit.uid import Uid
from tokentide_dashboards.rules.all_rules import RULES
from tokentide_dashboards.rules.rule import Rule
from tokentide_dashboards.rules.rule_lint import rule_problems


@pytest.fixture
def board() -> Object:
    return copy.deepcopy(OVERVIEW.json())


def panel(board: Object, title: str) -> Any:
    (found,) = [one for one in board["panels"] if one["title"] == title]
    return found


def found(*boards: Object) -> str:
    """Return the one problem of these boards among all others, as they are."""
    uids = {one["uid"] for one in boards}
    others = [one.json() for one in BOARDS if one.uid not in uids]
    (problem,) = problems([*boards, *others])
    return problem


def test_the_boards_as_they_are_have_no_problem() -> None:
    assert problems([one.json() for one in BOARDS]) == []


def test_a_misspelled_key(board: Object) -> None:
    panel(board, "Spent")["fieldConfig"]["defaults"]["decimls"] = 2
    assert found(board) == (
        "tokentide-overview: panel 'Spent': key fieldConfig.defaults.decimls is not known"
    )


def test_a_misspelled_option(board: Object) -> None:
    options = panel(board, "Spent")["options"]
    options["textmode"] = options["textMode"]
    assert "panel 'Spent': key options.textmode is not known" in found(board)


def test_an_option_of_no_value(board: Object) -> None:
    panel(board, "Spend an hour")["fieldConfig"]["defaults"]["custom"]["drawStyle"] = "lines"
    assert "drawStyle is 'lines', not one of bars, line, points" in found(board)


def test_a_unit_that_grafana_does_not_know(board: Object) -> None:
    panel(board, "Spent")["fieldConfig"]["defaults"]["unit"] = "currencyDollar"
    assert "panel 'Spent': the unit 'currencyDollar' is none of Grafana's" in found(board)


def test_a_reducer_that_grafana_does_not_know(board: Object) -> None:
    panel(board, "Spent")["options"]["reduceOptions"]["calcs"] = ["lastNotNul"]
    assert "panel 'Spent': the reducer 'lastNotNul' is none of Grafana's" in found(board)


def test_an_override_of_no_column(board: Object) -> None:
    (override,) = [
        one
        for one in panel(board, "Spent")["fieldConfig"]["overrides"]
        if one["matcher"]["options"] == "week_before"
    ]
    override["matcher"]["options"] = "last_week"
    columns = {"spent": "Decimal(38, 12)", "week_before": "Decimal(38, 12)", "unpriced": "UInt64"}
    columns |= {"times": "Float64", "span": "UInt32"}
    assert list(unfit(panel(board, "Spent"), columns)) == [
        "the override of 'last_week' names no column"
    ]


def test_an_override_that_a_type_of_panel_does_not_have(board: Object) -> None:
    override = panel(board, "Spent")["fieldConfig"]["overrides"][0]
    override["properties"].append({"id": "custom.lineWidth", "value": 1})
    assert "override 'spent': the property custom.lineWidth is not known" in found(board)


def test_a_type_of_panel_that_is_gone(board: Object) -> None:
    panel(board, "Spend an hour")["type"] = "graph"
    assert any("type 'graph' is none that boards use" in one for one in problems([board]))


def test_a_mode_of_thresholds(board: Object) -> None:
    panel(board, "Failed")["fieldConfig"]["defaults"]["thresholds"]["mode"] = "abs"
    assert "thresholds.mode is 'abs', not one of absolute, percentage" in found(board)


def test_a_format_of_another_type_of_panel(board: Object) -> None:
    panel(board, "Spend an hour")["targets"][0]["format"] = 1
    assert "panel 'Spend an hour': query A has format 1, not 0" in found(board)


def test_a_variable_that_is_not_defined(board: Object) -> None:
    board["templating"]["list"] = [
        one for one in board["templating"]["list"] if one["name"] != "team"
    ]
    assert any(
        "panel 'Spent' A: the variable team is not defined on this board" in one
        for one in problems([board])
    )


def test_a_variable_put_into_the_query_as_text(board: Object) -> None:
    panel(board, "Spent")["targets"][0]["rawSql"] += " AND model = '$model'"
    assert "panel 'Spent' A: $model is put into the SQL as text" in found(board)


def test_a_variable_that_looks_as_if_it_decided_a_condition(board: Object) -> None:
    target = panel(board, "Spent")["targets"][0]
    target["rawSql"] += " AND model = concat('x', $model)"
    assert "panel 'Spent' A: $model is put into the SQL as text" in found(board)
    target["rawSql"] = target["rawSql"].replace("concat('x', $model)", "f($team, $model)")
    names = {one.partition("A: ")[2].split()[0] for one in problems([board]) if " A: $" in one}
    assert names == {"$team", "$model"}


def test_a_macro_of_a_later_plugin(board: Object) -> None:
    panel(board, "Spent")["targets"][0]["rawSql"] += " AND $__rateColumns(a, b, c)"
    assert "the macro $__rateColumns is none of the plugin's 4.20" in found(board)


def test_a_ratio_without_n(board: Object) -> None:
    target = panel(board, "Failed by provider")["targets"][0]
    target["rawSql"] = target["rawSql"].replace("AS n", "AS calls")
    assert "panel 'Failed by provider': a ratio without n" in found(board)


def test_a_panel_without_words_for_nothing(board: Object) -> None:
    panel(board, "Spent")["fieldConfig"]["defaults"]["noValue"] = ""
    assert "panel 'Spent': noValue is missing" in found(board)


def test_a_link_that_leads_nowhere(board: Object) -> None:
    panel(board, "Spent")["fieldConfig"]["defaults"]["links"][0]["url"] = "/d/tokentide-costs?a=b"
    assert "the link 'Where the money goes' leads to no board: tokentide-costs" in found(board)


def test_a_link_to_a_board_that_was_not_built(board: Object) -> None:
    built = [board, *(one.json() for one in BOARDS if one.uid not in (board["uid"], Uid.COST))]
    assert any(f"leads to no board: {Uid.COST}" in problem for problem in problems(built))


def test_panels_that_lie_over_each_other(board: Object) -> None:
    panel(board, "Failed")["gridPos"]["x"] -= 1
    assert "lies over" in found(board)


def test_a_uid_that_stands_twice(board: Object) -> None:
    other = {**copy.deepcopy(board), "title": "Another"}
    assert found(board, other) == "uid 'tokentide-overview' stands on 2 boards"


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"at": "DateTime", "spend": "Float64", "week_before": "Float64"}, "no time named time"),
        ({"time": "DateTime", "spend": "String", "week_before": "Bool"}, "no column is a number"),
        ({"time": "DateTime", "spend": "Map(String, Int64)"}, "drawn as JSON or not at all"),
    ],
)
def test_an_answer_that_does_not_fit_its_panel(
    board: Object, columns: dict[str, str], expected: str
) -> None:
    assert expected in " ".join(unfit(panel(board, "Spend an hour"), columns))


def test_types_are_looked_at_below_what_wraps_them(board: Object) -> None:
    columns = {
        "time": "DateTime64(6, 'UTC')",
        "spend": "SimpleAggregateFunction(sum, UInt64)",
        "week_before": "Nullable(Decimal(38, 12))",
        "label": "LowCardinality(Nullable(String))",
    }
    assert list(unfit(panel(board, "Spend an hour"), columns)) == []


def rule(name: str) -> Rule:
    (one,) = [one for one in RULES if one.name == name]
    return one


def test_the_rules_as_they_are_have_no_problem() -> None:
    assert rule_problems(RULES) == []


def test_a_rule_that_stands_twice() -> None:
    twice = replace(rule("quality-drop"), title="Another")
    assert rule_problems([*RULES, twice]) == ["uid 'tokentide-quality-drop' stands on 2 rules"]


@pytest.mark.parametrize(
    ("written", "read", "problem"),
    [
        ("'quality_score'", "'quality'", "it reads the metric 'quality', which nothing writes"),
        ("'anomaly'", "'anomalies'", "it reads the kind 'anomalies', which nothing writes"),
    ],
)
def test_a_dead_rule_over_what_is_never_written(written: str, read: str, problem: str) -> None:
    whole = rule("quality-drop")
    dead = replace(whole, source=whole.source.replace(written, read))
    assert rule_problems([dead]) == [f"rule quality-drop: {problem}"]


def test_a_dead_rule_whose_value_never_gets_beyond_its_limit() -> None:
    dead = replace(rule("anomaly-page"), above=1.0)
    assert rule_problems([dead]) == [
        "rule anomaly-page: its value is 0 or 1, and the limit 1 makes it silent or fire for ever"
    ]
