"""The page of each rule in docs/runbooks: what it means, what to do first, what to look at."""

from __future__ import annotations

from collections.abc import Mapping

from tokentide_dashboards.rules.all_rules import GROUPS, RULES
from tokentide_dashboards.rules.rule import Rule

__all__ = ["pages"]


def pages() -> Mapping[str, str]:
    """Return the text of every page by the name of its file."""
    return {"README.md": _index(), **{f"{rule.name}.md": _page(rule) for rule in RULES}}


def _index() -> str:
    lines = [
        "# Runbooks",
        "",
        "One page for each alert rule of Grafana; [alerts](../alerts.md) has those of the detect job.",
        "",
    ]
    for group, rules in GROUPS.items():
        lines += [f"## {group}", "", "| rule | severity | meaning |", "|---|---|---|"]
        lines += [
            f"| [{rule.name}]({rule.name}.md) | {rule.severity} | {rule.title} |" for rule in rules
        ]
        lines += [""]
    return "\n".join(lines)


def _page(rule: Rule) -> str:
    limit = f"It fires when the value is above {rule.above:g} ({rule.unit}) for {rule.pending}, and for {rule.keep_firing} after it ended."
    lines = [
        f"# {rule.title}",
        "",
        f"Rule `{rule.uid}`, {rule.severity}, one alert for each {' · '.join(rule.labels)}. {limit}",
        "",
        "## What it means",
        "",
        rule.meaning,
        "",
        "## What to do first",
        "",
        rule.first_action,
        "",
        "## What to look at",
        "",
        f"The board `{rule.board}` in Grafana; or by `tokentide sql`:",
        "",
    ]
    for what, sql in rule.look.items():
        lines += [f"{what}:", "", "```sql", sql, "```", ""]
    lines += [
        "## Who, and how to silence it",
        "",
        f"It is for {rule.owner}. Grafana: Alerting, Silences, matcher `alertname={rule.title}` and the labels of what is",
        "known, with an end. What the detect job announces itself is silenced by `tokentide alerts silence`.",
        *_renamed(rule),
        "",
    ]
    return "\n".join(lines)


def _renamed(rule: Rule) -> list[str]:
    """Return how to silence what Grafana calls by a name of its own."""
    names = {
        name: when
        for state, own, name, when in (
            (rule.error, "Error", "DatasourceError", "ClickHouse cannot be asked"),
            (rule.no_data, "NoData", "DatasourceNoData", "the query has no row"),
        )
        if state == own
    }
    return [
        f"While {when}, its name is another: matchers `alertname={name}` and `rulename={rule.title}`."
        for name, when in names.items()
    ]
