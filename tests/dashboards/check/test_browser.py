"""Variables go into a query as the plugin puts them in, and values stay values."""

from __future__ import annotations

import json

import pytest

from tokentide_dashboards.check.browser import ALL, VariableError, expand
from tokentide_dashboards.check.time_range import TimeRange
from tokentide_dashboards.kit.query import any_of, chosen

SPAN = TimeRange(1_000_000, 2_000_000, 60_000)
PLUGIN = "select stuff from table where $__conditionalAll(fieldVal in ($fieldVal), $fieldVal);"


def test_all_is_no_condition() -> None:
    assert expand(PLUGIN, SPAN, {"fieldVal": ALL}) == "select stuff from table where 1=1;"
    assert expand(PLUGIN, SPAN, {"fieldVal": ""}) == "select stuff from table where 1=1;"


def test_values_are_the_condition() -> None:
    assert expand(PLUGIN, SPAN, {"fieldVal": ("val1", "val2")}) == (
        "select stuff from table where fieldVal in ('val1','val2');"
    )


def test_every_condition_is_decided_by_its_own_variable() -> None:
    sql = "$__conditionalAll(a in ($x), $x) and $__conditionalAll(b in (${y}), ${y})"
    assert expand(sql, SPAN, {"x": ("1",), "y": ALL}) == "a in ('1') and 1=1"


def test_a_condition_is_put_in_as_javascript_does() -> None:
    assert expand("$__conditionalAll(a = $$b, $x)", SPAN, {"x": ("1",)}) == "a = $b"


def test_formats_quote_as_grafana_does() -> None:
    values = {"x": ("it's", 'a\\"b')}
    assert expand("${x:singlequote}", SPAN, values) == r"""'it\'s','a\"b'"""
    assert expand("${x:sqlstring}", SPAN, values) == r"""'it''s','a\\"b'"""
    assert expand("[[x:csv]] $unknown", SPAN, values) == r"""it's,a\"b $unknown"""
    assert expand("${x:json}", SPAN, values) == r'["it' + r"'s" + r'","a\\\"b"]'


def test_ranges_are_variables_too() -> None:
    assert expand("$__interval $__from ${__to} $__range_s", SPAN, {}) == "1m 1000000 2000000 1000"


def test_all_values_are_never_written_out() -> None:
    with pytest.raises(VariableError, match=r"write out all values of x"):
        expand("a IN (${x:json})", SPAN, {"x": ALL})


def test_a_format_that_is_not_known_is_named() -> None:
    with pytest.raises(VariableError, match=r"\$\{x:lucene\}"):
        expand("${x:lucene}", SPAN, {"x": "a"})


@pytest.mark.parametrize("value", ["plain", "it's", "back\\slash", "x\\' OR 1=1 -- ", '"', "a/*b"])
def test_the_filter_of_boards_carries_any_value_unchanged(value: str) -> None:
    sql = expand(any_of("model"), SPAN, {"model": (value, "other")})
    text = sql.split("$tokentide$")[1]
    assert json.loads(text) == [value, "other"]
    assert (
        sql == f"has(JSONExtract($tokentide${text}$tokentide$, 'Array(String)'), toString(model))"
    )
    assert expand(chosen("model"), SPAN, {"model": value}) == f"$tokentide${value}$tokentide$"
