"""Links keep range and variables, and `n` beside a ratio gets no line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tokentide_dashboards.kit.link import BoardLink, column
from tokentide_dashboards.kit.panel import Place
from tokentide_dashboards.kit.query import with_names
from tokentide_dashboards.kit.series import Lines, States
from tokentide_dashboards.kit.table import Stat
from tokentide_dashboards.kit.threshold import Threshold
from tokentide_dashboards.kit.unit import Unit

PLACE = Place(1, 0, 0, 24, 8)


def lines(sql: str) -> Lines:
    return Lines(
        title="Errors", description="d", unit=Unit.RATIO, no_value="none", sql=sql, by=("provider",)
    )


def test_a_query_with_a_head_of_its_own_cannot_take_names_of_the_range() -> None:
    assert with_names("SELECT range_s").startswith("WITH\n    toUnixTimestamp")
    assert with_names("WITH 1 AS n SELECT n") == "WITH 1 AS n SELECT n"
    with pytest.raises(ValueError, match="begins with WITH cannot use range_s"):
        with_names("WITH 1 AS n SELECT n + range_s")


def test_a_link_keeps_range_and_variables_and_sets_its_own() -> None:
    link = BoardLink("There", "tokentide-cost", {"model": column("model")})
    assert link.json(["team", "model"])["url"] == (
        "/d/tokentide-cost?${__url_time_range}&${team:queryparam}"
        "&var-model=${__data.fields.model:percentencode}"
    )


def test_n_beside_a_ratio_has_no_line_but_a_name_of_its_own() -> None:
    made = lines("SELECT time, provider, 0.5 AS share, 7 AS n").json(PLACE, [])
    (override,) = made["fieldConfig"]["overrides"]
    assert override["matcher"] == {"id": "byName", "options": "n"}
    properties = {one["id"]: one["value"] for one in override["properties"]}
    assert properties["displayName"] == "${__field.labels.provider} n"
    assert properties["custom.lineWidth"] == 0


def test_without_n_nothing_is_overridden() -> None:
    made = lines("SELECT time, provider, 0.5 AS share, 7 AS network").json(PLACE, [])
    assert made["fieldConfig"]["overrides"] == []


def test_every_query_has_a_letter_of_its_own() -> None:
    made = Lines(
        title="t", description="d", unit=Unit.COUNT, no_value="none", sql=("SELECT 1", "SELECT 2")
    )
    targets = made.json(PLACE, [])["targets"]
    assert [(one["refId"], one["rawSql"]) for one in targets] == [
        ("A", "SELECT 1"),
        ("B", "SELECT 2"),
    ]


def test_states_as_texts_are_split_by_grafana_itself() -> None:
    """The data source makes series of numbers alone: without this, labels are states of a row."""
    states = States(
        title="t", description="d", unit=Unit.TEXT, no_value="none", by=("alert",),
        sql="SELECT at AS time, alert, state FROM alert_events ORDER BY time",
    )  # fmt: skip
    made = states.json(PLACE, [])
    assert [one["id"] for one in made["transformations"]] == ["partitionByValues"]
    assert made["transformations"][0]["options"]["fields"] == ["alert"]
    assert made["fieldConfig"]["defaults"]["displayName"] == "${__field.labels.alert}"
    assert "transformations" not in replace(states, by=()).json(PLACE, [])


def test_a_number_without_a_limit_is_not_green() -> None:
    plain = Stat(
        title="Spent", description="d", unit=Unit.USD, no_value="none", sql="SELECT 1 AS a"
    )
    limited = replace(plain, threshold=Threshold(((1.0, "red"),)))
    colors = [
        one.json(PLACE, [])["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["color"]
        for one in (plain, limited)
    ]
    assert colors == ["text", "green"]
