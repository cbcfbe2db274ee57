"""Alert rules in a running Grafana held against our files: there, the same, alive, and no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tokentide_dashboards.live.finding import Finding, some
from tokentide_dashboards.rules.rule import Rule
from tokentide_jobs.counted import counted

__all__ = ["LastEvaluation", "evaluations", "not_ours", "rule_health", "rules_there"]

_LATE_S: Final = 600
"""Groups are evaluated once a minute; what was not for so long is not evaluated any more."""
_NEVER: Final = 1971
"""Grafana writes the year 1 where a rule was never evaluated."""
_STATES: Final = ("noDataState", "execErrState", "isPaused", "title")
_OWN_PREFIX: Final = "tokentide-"


def rules_there(ours: Iterable[Rule], provisioned: Mapping[str, Any]) -> Finding:
    """Report whether every rule of our files is in Grafana, and is the same there.

    Args:
        ours: Rules of our files.
        provisioned: Those in Grafana, by uid.
    """
    rules = list(ours)
    missing = [rule.uid for rule in rules if rule.uid not in provisioned]
    if missing:
        return Finding(
            "rules", "problem",
            f"{counted(len(missing), 'rule is', 'rules are')} not in Grafana: {some(missing)}",
            "mount provisioning/alerting into Grafana and restart it",
            tuple(missing),
        )  # fmt: skip
    other = [
        f"{rule.uid} ({', '.join(what)})"
        for rule in rules
        if (what := _differences(rule.provisioned(), provisioned[rule.uid]))
    ]
    if other:
        return Finding(
            "rules", "problem", f"not as in our files: {some(other)}",
            "mount the files of this version and restart Grafana; what was changed by hand there "
            "goes into the builders",
            tuple(other),
        )  # fmt: skip
    paused = sum(rule.is_paused for rule in rules)
    left = f", {paused} of them retired" if paused else ""
    return Finding(
        "rules", "ok",
        f"{counted(len(rules), 'rule')}{left}: queries, thresholds and states are those of our "
        "files",
    )  # fmt: skip


def not_ours(ours: Iterable[Rule], provisioned: Mapping[str, Any]) -> Finding:
    """Name rules that stand where ours are, or under our names, and are not in our files.

    Args:
        ours: Rules of our files.
        provisioned: Those in Grafana, by uid.
    """
    known = {rule.uid for rule in ours}
    our_folders = {rule.get("folderUID") for uid, rule in provisioned.items() if uid in known}
    found = {
        uid: rule
        for uid, rule in provisioned.items()
        if uid not in known
        and (uid.startswith(_OWN_PREFIX) or rule.get("folderUID") in our_folders)
    }
    names = [f"{uid} ({rule.get('title')})" for uid, rule in sorted(found.items())]
    alive = [uid for uid, rule in found.items() if not rule.get("isPaused")]
    if alive:
        return Finding(
            "other rules", "problem",
            f"in our folder and not in our files: {some(names)}",
            "a rule of an older version: keep it in the files, paused, since Grafana cannot "
            "delete it; a rule of your own: move it into a folder of your own",
            tuple(names),
        )  # fmt: skip
    if names:
        return Finding("other rules", "ok", f"paused, and not in our files: {some(names)}")
    if not our_folders:
        words = "no rule of ours is there, and so their folder is not known"
        return Finding("other rules", "unknown", words)
    return Finding("other rules", "ok", "no rule in our folder but ours")


@dataclass(frozen=True, slots=True)
class LastEvaluation:
    """How Grafana last evaluated a rule: its health, its error, and when; None: never."""

    health: str
    error: str
    at: datetime | None


def evaluations(answer: Any) -> dict[str, LastEvaluation]:
    """Read the states of rules, by uid."""
    found: dict[str, LastEvaluation] = {}
    for group in _list(answer, "data", "groups"):
        for rule in _list(group, "rules"):
            if isinstance(rule, dict) and isinstance(rule.get("uid"), str):
                found[rule["uid"]] = LastEvaluation(
                    str(rule.get("health", "")),
                    " ".join(str(rule.get("lastError") or "").split()),
                    _moment(rule.get("lastEvaluation")),
                )
    return found


def rule_health(
    ours: Iterable[Rule], found: Mapping[str, LastEvaluation], now: datetime
) -> Finding:
    """Report whether Grafana evaluates our rules, and without an error."""
    rules = [rule for rule in ours if not rule.is_paused]
    failing = [
        f"{rule.uid}: {one.error or 'it does not say why'}"
        for rule in rules
        if (one := found.get(rule.uid)) is not None and (one.error or one.health == "error")
    ]
    if failing:
        return Finding(
            "rule health", "problem",
            f"{counted(len(failing), 'rule fails', 'rules fail')}: {some(failing)}",
            "ClickHouse must answer Grafana; where it does, run `tokentide migrate --roles`",
            tuple(failing),
        )  # fmt: skip
    late = [
        f"{rule.uid} ({(now - one.at).total_seconds() / 60:.0f} min ago)"
        for rule in rules
        if (one := found.get(rule.uid)) is not None
        and one.at is not None
        and (now - one.at).total_seconds() > _LATE_S
    ]
    if late:
        return Finding(
            "rule health", "problem", f"not evaluated any more: {some(late)}",
            "see whether alerting of Grafana is on, and what its log says", tuple(late),
        )  # fmt: skip
    never = [rule.uid for rule in rules if rule.uid not in found or found[rule.uid].at is None]
    if never:
        return Finding(
            "rule health", "unknown",
            f"{counted(len(never), 'rule was', 'rules were')} not evaluated yet: {some(never)}",
            "ask again in a minute", tuple(never),
        )  # fmt: skip
    empty = sum(found[rule.uid].health == "nodata" for rule in rules)
    without = f"; {empty} found no row" if empty else ""
    return Finding(
        "rule health", "ok", f"{counted(len(rules), 'rule')} evaluated without an error{without}"
    )


def _differences(ours: Mapping[str, Any], theirs: Any) -> list[str]:
    """Name what is not the same; annotations and labels hold variables of Grafana's environment."""
    if not isinstance(theirs, dict):
        return ["unreadable"]
    found = [name for name in _STATES if theirs.get(name, False) != ours[name]]
    queries = {
        one["refId"]: one
        for one in _list(theirs, "data")
        if isinstance(one, dict) and isinstance(one.get("refId"), str)
    }
    for query in ours["data"]:
        there = queries.pop(query["refId"], {})
        model = there.get("model")
        model = model if isinstance(model, dict) else {}
        if model.get("rawSql") != query["model"].get("rawSql"):
            found.append(f"query {query['refId']}")
        elif query["relativeTimeRange"] != there.get("relativeTimeRange"):
            found.append(f"range of {query['refId']}")
        elif _threshold(model) != _threshold(query["model"]):
            found.append("threshold")
    return [*found, *(f"query {name}" for name in queries)]


def _threshold(model: Mapping[str, Any]) -> list[Any]:
    return [
        (one["evaluator"].get("type"), (one["evaluator"].get("params") or [None])[0])
        for one in _list(model, "conditions")
        if isinstance(one, dict) and isinstance(one.get("evaluator"), dict)
    ]


def _list(value: Any, *names: str) -> list[Any]:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, list) else []


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    if moment.year < _NEVER:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
