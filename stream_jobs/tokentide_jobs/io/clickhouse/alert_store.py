"""Alerts in ClickHouse: transitions, what people did about them, and who was notified.

Nothing here retries. Every insert has a token made of what it holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from tokentide_jobs.core.alert.alert import Action, Alert
from tokentide_jobs.core.alert.alert_memory import recall
from tokentide_jobs.core.alert.finding import Finding
from tokentide_jobs.core.alert.outbox import Attempt, Message
from tokentide_jobs.core.alert.runbook import first_action, slug_of
from tokentide_jobs.core.alert.silence import Silence, Weekly
from tokentide_jobs.core.alert.transition import Transition
from tokentide_jobs.core.digest import digest
from tokentide_jobs.core.tables import (
    ALERT_ACTIONS,
    ALERT_EVENTS,
    NOTIFICATIONS,
    NOTIFIED_SINCE,
    SILENCES,
)
from tokentide_jobs.io.clickhouse.client import ClickHouse

__all__ = ["AlertStore", "Stored", "payload_of"]

_TEXTS: Final = pa.list_(pa.string())
_TEXT_MAP: Final = pa.map_(pa.string(), pa.string())
_TIME: Final = pa.timestamp("us", "UTC")
_EVENTS: Final = pa.schema(
    {
        **dict.fromkeys(("id", "alert_id", "identity"), pa.string()),
        "sequence": pa.uint32(),
        **dict.fromkeys(("state", "severity", "why", "held", "author"), pa.string()),
        **dict.fromkeys(("kind", "key", "tenant", "metric", "direction", "sentence"), pa.string()),
        **dict.fromkeys(("at", "since", "opened_at"), _TIME),
        "dimensions": _TEXT_MAP,
        **dict.fromkeys(("value", "expected", "lower", "upper"), pa.float64()),
        **dict.fromkeys(("n", "evidence", "threshold"), pa.float64()),
        "unit": pa.string(),
        "tests": pa.uint64(),
        "flaps": pa.uint32(),
        "impact_pico_usd_hour": pa.string(),
        "impact_failed_minute": pa.float64(),
        **dict.fromkeys(("contributors", "members", "causes"), _TEXTS),
        **dict.fromkeys(("first_action", "runbook", "payload", "memory"), pa.string()),
    }
)
_NOTIFICATIONS: Final = pa.schema(
    {
        **dict.fromkeys(("transition_id", "alert_id", "receiver", "outcome"), pa.string()),
        "status": pa.uint16(),
        "detail": pa.string(),
        "took_ms": pa.float64(),
        "at": _TIME,
    }
)
_ACTIONS: Final = pa.schema(
    {**dict.fromkeys(("id", "alert_id", "verb", "author", "reason"), pa.string()), "at": _TIME}
)
_NOTIFIED_SINCE: Final = pa.schema({"at": _TIME, "since": pa.map_(pa.string(), _TIME)})
_SILENCES: Final = pa.schema(
    {
        "id": pa.string(),
        "matchers": _TEXT_MAP,
        "start_at": _TIME,
        "end_at": _TIME,
        "days": _TEXTS,
        "begin_minute": pa.uint16(),
        "length_minutes": pa.uint32(),
        **dict.fromkeys(("zone", "author", "reason"), pa.string()),
    }
)
_RUNBOOK_PAGE: Final = "docs/alerts.md"


@dataclass(frozen=True, slots=True)
class Stored:
    """What a book goes on from.

    Attributes:
        alerts: Each as its last transition left it.
        opens: Time and identity of the latest announced openings.
        unreadable: Alerts that another version remembers; they are found again.
    """

    alerts: list[Alert]
    opens: list[tuple[int, str]]
    unreadable: int


class AlertStore:
    """Reads and writes everything about alerts.

    Args:
        store: ClickHouse.
    """

    def __init__(self, store: ClickHouse) -> None:
        self._store = store

    def append(self, transitions: Sequence[Transition]) -> None:
        """Store transitions; storing them again changes nothing."""
        if transitions:
            rows = pa.Table.from_pylist([_event(one) for one in transitions], schema=_EVENTS)
            token = digest(*(one.id for one in transitions))
            self._store.insert(ALERT_EVENTS, rows, f"{ALERT_EVENTS}/{token}")

    def stored(self, ended_since_us: int, storm_us: int) -> Stored:
        """Return what a book goes on from: of everything the newest alert.

        Args:
            ended_since_us: Alerts that closed before are of no use any more.
            storm_us: Openings this long before the last one count towards a storm.
        """
        alerts, unreadable = [], 0
        for row in self._store.select("alerts/memories", {"ended_since_us": ended_since_us}):
            try:
                alerts.append(recall(row["memory"]))
            except ValueError:
                unreadable += 1
        values = {"since_us": ended_since_us, "span_us": storm_us}
        opens = self._store.select("alerts/opens", values)
        return Stored(alerts, [(row["at_us"], row["identity"]) for row in opens], unreadable)

    def clock_us(self) -> int:
        """Return the server's time: a person's machine may be minutes off."""
        return int(self._store.rows("SELECT toUnixTimestamp64Micro(now64(6))")[0][0])

    def actions(self, since_us: int) -> tuple[list[Action], int]:
        """Return what people did since a moment of the server, and the moment of the last."""
        rows = self._store.select("alerts/actions", {"since_us": since_us})
        names = ("alert_id", "verb", "author", "reason", "at_us")
        found = [Action(**{name: row[name] for name in names}) for row in rows]
        return found, max((row["written_us"] for row in rows), default=since_us)

    def act(self, action: Action) -> None:
        """Store what a person did."""
        name = digest(action.alert_id, action.verb, action.author, action.at_us)
        row = {
            "id": name, "alert_id": action.alert_id, "verb": action.verb, "author": action.author,
            "reason": action.reason, "at": action.at_us,
        }  # fmt: skip
        rows = pa.Table.from_pylist([row], schema=_ACTIONS)
        self._store.insert(ALERT_ACTIONS, rows, f"{ALERT_ACTIONS}/{name}")

    def silences(self, now_us: int) -> list[Silence]:
        """Return the silences that are not over."""
        rows = self._store.select("alerts/silences", {"since_us": now_us})
        return [
            Silence(
                id=row["id"],
                matchers=tuple(sorted(row["matchers"].items())),
                start_us=row["start_us"],
                end_us=row["end_us"],
                weekly=_weekly(row),
                author=row["author"],
                reason=row["reason"],
            )
            for row in rows
        ]

    def silence(self, silence: Silence) -> None:
        """Store a silence, or another end of it."""
        weekly = silence.weekly or Weekly(days=(), begin_minute=0, length_minutes=0, zone="UTC")
        row = {
            "id": silence.id, "matchers": list(silence.matchers), "start_at": silence.start_us,
            "end_at": silence.end_us, "days": list(weekly.days),
            "begin_minute": weekly.begin_minute, "length_minutes": weekly.length_minutes,
            "zone": weekly.zone, "author": silence.author, "reason": silence.reason,
        }  # fmt: skip
        rows = pa.Table.from_pylist([row], schema=_SILENCES)
        self._store.insert(SILENCES, rows, f"{SILENCES}/{silence.id}/{silence.end_us}")

    def read_notified_since(self) -> dict[str, int] | None:
        """Return since when receivers are notified of severities; None: none ever was."""
        rows = self._store.select("alerts/receivers_since")
        return dict(rows[0]["since"]) if rows else None

    def write_notified_since(self, since: Mapping[str, int], at_us: int) -> None:
        """Store since when receivers are notified of severities."""
        rows = pa.Table.from_pylist(
            [{"at": at_us, "since": sorted(since.items())}], schema=_NOTIFIED_SINCE
        )
        token = digest(at_us, *(f"{key} {since_us}" for key, since_us in sorted(since.items())))
        self._store.insert(NOTIFIED_SINCE, rows, f"{NOTIFIED_SINCE}/{token}")

    def unsent(
        self, receiver: str, notified_since: Mapping[str, int], since_us: int
    ) -> list[Message]:
        """Return what is still to be sent to a receiver, each alert in its order.

        Args:
            receiver: Its name.
            notified_since: By severity that it is notified of, since when.
            since_us: Older transitions are left out in any case.
        """
        values = {
            "receiver": receiver, "severities": list(notified_since),
            "begins_us": list(notified_since.values()), "since_us": since_us,
        }  # fmt: skip
        return [
            Message(row["id"], row["alert_id"], row["written_us"], row["payload"])
            for row in self._store.select("alerts/unsent", values)
        ]

    def record(self, attempt: Attempt) -> None:
        """Store the result of an attempt."""
        row = {
            "transition_id": attempt.message.id, "alert_id": attempt.message.alert_id,
            "receiver": attempt.receiver, "outcome": attempt.result.outcome,
            "status": attempt.result.status, "detail": attempt.result.detail,
            "took_ms": attempt.result.took_ms, "at": attempt.at_us,
        }  # fmt: skip
        rows = pa.Table.from_pylist([row], schema=_NOTIFICATIONS)
        token = digest(attempt.message.id, attempt.receiver, attempt.at_us)
        self._store.insert(NOTIFICATIONS, rows, f"{NOTIFICATIONS}/{token}")

    def listed(self, since_us: int, alert_id: str = "", most: int = 1_000) -> list[dict[str, Any]]:
        """Return alerts that are open or changed since then, the latest first.

        Args:
            since_us: Closed ones are left out before.
            alert_id: Begin of the id.
            most: How many.
        """
        values = {"since_us": since_us, "alert_id": alert_id, "most": most}
        return self._store.select("alerts/list", values)

    def openings(self, since_us: int) -> list[dict[str, Any]]:
        """Return alerts that opened since then, each as it was when it did, by time."""
        return self._store.select("alerts/openings", {"since_us": since_us})

    def notified(self, alert_id: str) -> list[dict[str, Any]]:
        """Return the attempts to notify receivers of an alert."""
        return self._store.select("alerts/notified", {"alert_id": alert_id})


def payload_of(one: Transition) -> str:
    """Return what receivers are sent of a transition, as JSON."""
    finding = one.finding
    more = {"first_action": first_action(finding), "runbook": _runbook(finding)}
    return json.dumps({**one.to_dict(), **more}, ensure_ascii=False)


def _runbook(finding: Finding) -> str:
    return f"{_RUNBOOK_PAGE}#{slug_of(finding)}"


def _event(one: Transition) -> dict[str, Any]:
    finding = one.finding
    evidence = finding.evidence
    return {
        "id": one.id,
        "alert_id": one.alert_id,
        "identity": finding.identity,
        "sequence": one.sequence,
        "state": one.state,
        "severity": one.severity,
        "why": one.why,
        "held": one.held,
        "author": one.author,
        "kind": finding.kind,
        "key": finding.key,
        "tenant": dict(finding.dimensions).get("tenant", ""),
        "metric": finding.metric,
        "direction": finding.direction,
        "sentence": one.sentence,
        "at": one.at_us,
        "since": one.since_us,
        "opened_at": one.opened_us,
        "dimensions": list(finding.dimensions),
        "value": evidence.value,
        "expected": evidence.expected,
        "lower": evidence.lower,
        "upper": evidence.upper,
        "n": evidence.n,
        "evidence": evidence.evidence,
        "threshold": evidence.threshold,
        "unit": evidence.unit,
        "tests": finding.tests,
        "flaps": one.flaps,
        "impact_pico_usd_hour": str(finding.impact.pico_usd_per_hour),
        "impact_failed_minute": finding.impact.failed_per_minute,
        "contributors": list(finding.contributors),
        "members": list(one.members),
        "causes": [str(cause) for cause in finding.causes],
        "first_action": first_action(finding),
        "runbook": _runbook(finding),
        "payload": payload_of(one),
        "memory": one.memory,
    }


def _weekly(row: dict[str, Any]) -> Weekly | None:
    if not row["days"]:
        return None
    return Weekly(
        days=tuple(row["days"]),
        begin_minute=row["begin_minute"],
        length_minutes=row["length_minutes"],
        zone=row["zone"],
    )
