"""budgets.yaml is taken whole or refused whole, with every problem at its line."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.each import each
from tokentide_jobs.core.budget.budget import Budget, Scope
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.files.budget_file import load_budgets, parse_budgets

GOOD = """
budgets:
  - name: search team
    scope: {team: search}
    period: month
    time_zone: Europe/Berlin
    amount_usd: 1200.50
    kind: hard
  - name: one key
    scope: {key: key-7}
    period: day
    amount_usd: "0.000000000001"
    thresholds: [100, 10]
"""


def parsed(text: str) -> tuple[Budget, ...]:
    return parse_budgets(text.encode(), "budgets.yaml")


def one(**changed: str) -> str:
    fields = {"name": "b", "scope": "{}", "period": "day", "amount_usd": "1"} | changed
    return "- {" + ", ".join(f"{key}: {value}" for key, value in fields.items()) + "}\n"


def test_entries_are_read_with_their_defaults() -> None:
    first, second = parsed(GOOD)
    assert first == Budget(
        name="search team", scope=Scope((("team", "search"),)), period="month",
        zone=ZoneInfo("Europe/Berlin"), zone_name="Europe/Berlin",
        amount_pico_usd=1_200_500_000_000_000, thresholds=(50, 80, 95, 100), kind="hard",
    )  # fmt: skip
    assert second.scope == Scope(subject=("key", "key-7"))
    assert (second.amount_pico_usd, second.thresholds) == (1, (10, 100))
    assert (second.kind, second.zone_name) == ("soft", "UTC")


@pytest.mark.parametrize("text", ["", "budgets:\n", "budgets: []", "[]"])
def test_a_file_may_hold_no_budget(text: str) -> None:
    assert parsed(text) == ()


def test_dimensions_stand_in_one_order_and_may_be_empty() -> None:
    (found,) = parsed(one(scope='{team: "", tenant: "007", model: gpt-4o}'))
    assert found.scope.dimensions == (("tenant", "007"), ("model", "gpt-4o"), ("team", ""))
    assert str(found.scope) == "tenant 007, model gpt-4o, team (none)"
    assert str(Scope()) == "everything"


@each(
    ("changed", "reason"),
    [
        ({"amount_usd": "0.0000000000001"}, "finer than a pico-USD"),
        ({"amount_usd": "0"}, "0 is no budget"),
        ({"amount_usd": "-5"}, "'-5' is no amount in dollars"),
        ({"amount_usd": "1e3"}, "'1e3' is no amount"),
        ({"amount_usd": "$5"}, "is no amount"),
        ({"amount_usd": "[1]"}, "a list or mapping"),
        ({"period": "year"}, "'year' is none of hour, day, week, month"),
        ({"kind": "firm"}, "'firm' is none of soft, hard"),
        ({"time_zone": "Berlin"}, "'Berlin' is no time zone"),
        ({"time_zone": "../etc"}, "'../etc' is no time zone"),
        ({"time_zone": "Europe"}, "'Europe' is no time zone"),
        ({"thresholds": "[50, 50]"}, "different whole percentages"),
        ({"thresholds": "[0]"}, "different whole percentages"),
        ({"thresholds": "[50.5]"}, "different whole percentages"),
        ({"thresholds": "[]"}, "different whole percentages"),
        ({"thresholds": "80"}, "different whole percentages"),
        ({"scope": "{key: a, tenant: b}"}, "key stands alone"),
        ({"scope": "{user: a, run: b}"}, "user stands alone"),
        ({"scope": "{colour: red}"}, "colour: unknown in scope; known: tenant, service"),
        ({"scope": "{team: }"}, "scope.team: has no value"),
        ({"scope": '{user: ""}'}, "scope.user: expected a text"),
        ({"scope": "{model: gpt-*}"}, "'gpt-\\*' is a pattern"),
        ({"scope": "everything"}, "expected fields"),
        ({"name": '""'}, "name: expected a text"),
        ({"limit": "5"}, "limit: unknown in a budget"),
    ],
)
def test_a_bad_field_is_named_with_its_value(changed: dict[str, str], reason: str) -> None:
    with pytest.raises(ConfigError, match=rf"budgets refused, 1 problem.*\n.*yaml:1: .*{reason}"):
        parsed(one(**changed))


def test_every_problem_of_a_file_is_listed_with_its_line_and_nothing_is_used() -> None:
    text = one() + "- {name: c}\n" + one(name="d", period="week", kind="x") + one()
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    assert str(caught.value).splitlines() == [
        "budgets refused, 5 problems; no entry of the file is used:",
        "budgets.yaml:2: amount_usd: missing",
        "budgets.yaml:2: period: missing",
        "budgets.yaml:2: scope: missing",
        "budgets.yaml:3: kind: 'x' is none of soft, hard",
        "budgets.yaml:4: name: 'b' is the budget of line 1",
    ]


def test_what_is_not_yaml_is_refused_at_its_line() -> None:
    with pytest.raises(ConfigError, match=r"budgets.yaml:2: not valid YAML"):
        parsed("- {name: a}\n  - [")


def test_a_missing_file_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="TOKENTIDE_BUDGETS_FILE is not set"):
        load_budgets(None)
    with pytest.raises(ConfigError, match=r"nowhere.yaml: No such file.*TOKENTIDE_BUDGETS_FILE"):
        load_budgets(tmp_path / "nowhere.yaml")
