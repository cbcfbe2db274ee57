"""The lifecycle of all alerts: findings and what people did go in, transitions come out.

Time is that of the stream, so that a replay makes the same transitions under the same names. The
wall clock decides what is history, and when the pipeline and SLOs were found as they are. The
stored transitions are the state: a book that goes on from them recognises findings that it had
taken before, and announces nothing twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from typing import Final

from tokentide_jobs.core.alert.alert import NEVER_OPENED, Action, Alert, Rank
from tokentide_jobs.core.alert.alert_memory import remember
from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.core.alert.crowding import UNBOUNDED, least_urgent
from tokentide_jobs.core.alert.finding import SEVERITIES, Finding, Severity
from tokentide_jobs.core.alert.inhibition import leader_of, reason_outside
from tokentide_jobs.core.alert.related_alerts import RelatedAlerts
from tokentide_jobs.core.alert.silence import Silence
from tokentide_jobs.core.alert.storm import Storm
from tokentide_jobs.core.alert.transition import State, Transition
from tokentide_jobs.core.tables import DAY_US, HOUR_US
from tokentide_jobs.counted import counted

__all__ = ["AlertBook"]

_REPEATED_US: Final = 6 * HOUR_US
"""Ended alerts are remembered for so much longer: findings that are given again are recognised."""
_RENEWED_US: Final = 300 * DAY_US
"""Whatever is open for so long is announced once more: transitions are kept for 400 days."""
_BY_CLOCK: Final = ("pipeline", "slo", "test")
"""Kinds that are found beside the stream."""
_MAY_END: Final = ("history", "silence ", "parent ", "incident ", "storm ")
"""Why something is held back that may be announced later."""
_NO_MORE: Final = "it is no longer so"
_ROOM: Final = "it made room: too many alerts are open"


class AlertBook:
    """All alerts.

    Args:
        rules: What decides.

    Attributes:
        rules: May be replaced at any time.
        silences: What is not announced; may be replaced at any time.
        now_us: Time of the stream: of its newest record, or, in recorded time, of its events.
        alerts: By identity: pending, open, acknowledged, and closed ones in their cooldown.
        waiting: Actions of people whose alert is not there yet, or whose clock is ahead.
        storm: Who counts openings.
        unsure: Identities that may be over, which is not known yet since deltas were missed: none
            of them is announced. May be replaced at any time.
        refused: Findings that were dropped since too many alerts are held, all of them as urgent.
    """

    def __init__(self, rules: AlertRules) -> None:
        self.rules = rules
        self.silences: Sequence[Silence] = ()
        self.now_us = 0
        self.alerts: dict[str, Alert] = {}
        self.waiting: list[Action] = []
        self.storm = Storm()
        self.unsure: Collection[str] = ()
        self.refused = 0
        self._related = RelatedAlerts(self.alerts)
        self._is_full_for: set[Severity] = set()
        self._clock_us = 0
        self._made: list[Transition] = []

    @property
    def is_full(self) -> bool:
        """Tell whether as many alerts are held as may be."""
        return len(self.alerts) >= self.rules.most_alerts

    def restore(self, alerts: Iterable[Alert], opens: Iterable[tuple[int, str]]) -> None:
        """Go on from what is stored, instead of what is held.

        Args:
            alerts: Each as its last transition left it, in any order; of several of one identity
                the newest goes on.
            opens: Time and identity of the latest announced openings, for storms.
        """
        in_order = sorted(alerts, key=attrgetter("began_us"))
        self.alerts = {alert.finding.identity: alert for alert in in_order}
        self.storm = Storm(opens)
        self.now_us = max((alert.entered_us for alert in self.alerts.values()), default=0)
        self._related = RelatedAlerts(self.alerts)

    def observe(
        self,
        findings: Iterable[Finding],
        now_us: int,
        clock_us: int,
        actions: Iterable[Action] = (),
    ) -> list[Transition]:
        """Take in findings and what people did, and let time pass.

        Args:
            findings: In any order; earlier times first, and wider keys before narrower ones.
            now_us: Time of the stream, which never goes back; a finding of later moves it no
                further.
            clock_us: The wall clock; also the time of what is not found in the stream.
            actions: New ones.

        Returns:
            The transitions, in the order in which they happened.
        """
        self._made, self._clock_us = [], clock_us
        self._is_full_for.clear()
        self.waiting += actions
        ordered = sorted(findings, key=self._order)
        for at_us, together in groupby(ordered, attrgetter("at_us")):
            group = list(together)
            if self.now_us < min(at_us, now_us):
                ending = {one.identity for one in group if one.change == "ends"}
                self._pass_time(min(at_us, now_us), ending)
            for finding in group:
                if finding.change == "fires":
                    self._fires(finding)
                else:
                    self._ends(finding)
        self._pass_time(max(self.now_us, now_us))
        return self._made

    def _order(self, finding: Finding) -> tuple[int, int, bool, int, int, str]:
        """Earlier before later, wide keys and carriers first, and then the worst first."""
        severity, level = self._rank(finding)
        width, is_carried = len(finding.dimensions), bool(finding.carriers)
        return finding.at_us, width, is_carried, -severity, -level, finding.identity

    def _rank(self, finding: Finding) -> Rank:
        return SEVERITIES.index(self.rules.severity(finding)), finding.level

    def _fires(self, finding: Finding) -> None:
        identity, at_us = finding.identity, finding.at_us
        alert = self.alerts.get(identity)
        if alert is not None and self._is_over(alert, at_us):
            self._forget(identity)
            alert = None
        if finding.is_over and (alert is None or alert.state == "closed"):
            self._record(finding)
            return
        if alert is None:
            if not self._has_room(finding):
                self.refused += 1
                return
            alert = self.alerts[identity] = Alert(finding, at_us)
            self._related.add(identity, finding)
        elif at_us < alert.last_us or (alert.state == "closed" and at_us == alert.last_us):
            if not self._goes_on(alert) or finding.level <= alert.finding.level:
                return
            at_us = alert.last_us  # it got worse by what came late: the rest of an earlier window
        alert.last_us = at_us
        severity, wait_us = self.rules.severity(finding), self.rules.pending_us.get(finding.kind, 0)
        if alert.state is None and wait_us:
            alert.severity, alert.due_us = severity, at_us + wait_us
            self._enter(alert, "pending", at_us, "it fired", "pending")
        elif alert.state is None:
            alert.severity = severity
            self._open(identity, alert, at_us, "it fired")
        elif alert.state == "closed":
            if alert.is_dismissed and self._rank(finding) <= alert.rank:
                return
            away = max(0, at_us - alert.changed_us) / 60e6
            self._replace(identity, alert, finding)
            alert.severity, alert.recorded, alert.leader = severity, NEVER_OPENED, ""
            alert.is_dismissed, alert.flaps = False, alert.flaps + 1
            alert.members.clear()
            self._open(identity, alert, at_us, f"it is back after {away:.0f} min")
        else:
            if finding.level >= alert.finding.level:
                self._replace(identity, alert, finding)
            alert.severity = max(alert.severity, severity, key=SEVERITIES.index)
            if alert.is_live and alert.due_us:
                alert.due_us = 0
                self._enter(alert, "open", at_us, "it is back", "flapping")
            if alert.is_live and alert.rank > alert.recorded:
                self._open(identity, alert, at_us, "it got worse")

    def _record(self, finding: Finding) -> None:
        """Record an alert that was over when it was found: the book does not keep it."""
        alert = Alert(finding, finding.at_us, severity=self.rules.severity(finding))
        self._enter(alert, "open", finding.at_us, "it fired", "history")
        self._close(alert, finding.at_us, "it was over when it was found")

    def _has_room(self, finding: Finding) -> bool:
        """Tell whether there is room for an alert about a finding; less urgent ones make some."""
        severity = self.rules.severity(finding)
        if not self.is_full or finding.kind not in UNBOUNDED:
            return True
        if severity in self._is_full_for:
            return False
        for identity in least_urgent(self.alerts, severity):
            alert = self.alerts[identity]
            if alert.state != "closed":
                self._close(alert, max(alert.entered_us, self.now_us), _ROOM)
            self._forget(identity)
        if self.is_full:
            self._is_full_for.add(severity)
        return not self.is_full

    def _ends(self, finding: Finding) -> None:
        identity = finding.identity
        alert = self.alerts.get(identity)
        if alert is None or finding.at_us < alert.last_us:
            return
        alert.last_us = finding.at_us
        why = finding.sentence or _NO_MORE
        if alert.state == "pending":
            alert.due_us = 0
            self._enter(alert, "closed", finding.at_us, "it went away before it opened", "pending")
        elif alert.state == "closed":
            if alert.is_dismissed:
                alert.is_dismissed = False
                why = f"a person had closed it; now {why}"
                self._enter(alert, "closed", finding.at_us, why, "unannounced")
        elif alert.flaps < self.rules.flaps:
            self._close(alert, finding.at_us, why)
        elif not alert.due_us:
            alert.due_us, alert.ending = finding.at_us + self.rules.cooldown_us, why
            waits = "it ended, and came back too often to be believed at once"
            self._enter(alert, "open", finding.at_us, waits, "flapping")

    def _pass_time(self, now_us: int, ending: Collection[str] = ()) -> None:
        """Do what is due until `now_us`, in the order of time.

        Args:
            now_us: Time of the stream.
            ending: Identities of what ends then: it is not announced in the moment of its end.
        """
        self.now_us = now_us
        due = [
            (alert.due_us, identity)
            for identity, alert in self.alerts.items()
            if 0 < alert.due_us <= self._time_of(alert)
            and not (alert.state == "pending" and identity in self.unsure)
        ]
        for due_us, identity in sorted(due):
            alert, self.alerts[identity].due_us = self.alerts[identity], 0
            if alert.state == "pending":
                lasted = counted(
                    self.rules.pending_us.get(alert.finding.kind, 0) // 10**6, "second"
                )
                self._open(identity, alert, due_us, f"it lasted {lasted}")
            else:
                self._close(alert, due_us, alert.ending)
        self._act()
        for identity, alert in list(self.alerts.items()):
            if alert.is_live and (identity in self.unsure or identity in ending):
                continue
            if alert.is_live and self._time_of(alert) - alert.entered_us >= _RENEWED_US:
                self._renew(alert)
            elif alert.state == "open" and alert.held.startswith(_MAY_END):
                self._announce_late(identity, alert, now_us)
            elif alert.state == "closed" and now_us - alert.changed_us >= (
                self._kept_us(alert) + _REPEATED_US
            ):
                self._forget(identity)
        if (storm := self.storm.over(self.alerts, now_us, self.rules)) is not None:
            self._close(storm, now_us, "the alerts that it stands for are closed")

    def _renew(self, alert: Alert) -> None:
        """Say that a live alert is as it was, before what is stored of it expires."""
        assert alert.state is not None
        held = alert.held if alert.state == "open" else "" if alert.is_reported else "unannounced"
        days = _RENEWED_US // DAY_US
        why = f"nothing has changed for {days} days"
        self._enter(alert, alert.state, self._time_of(alert), why, held)

    def _goes_on(self, alert: Alert) -> bool:
        """Tell whether what an alert is about goes on, for all that was said."""
        return alert.state != "closed" or alert.is_dismissed

    def _kept_us(self, alert: Alert) -> int:
        """Return how long after its end what fires again is the same alert."""
        return DAY_US if alert.is_dismissed else self.rules.cooldown_us

    def _is_over(self, alert: Alert, at_us: int) -> bool:
        """Tell whether an alert has ended so long ago that what fires now is another one."""
        if alert.state != "closed" or at_us <= alert.last_us:
            return False
        was_open = alert.opened_us > 0
        return not was_open or at_us - alert.changed_us >= self._kept_us(alert)

    def _time_of(self, alert: Alert) -> int:
        """Return the time by the clock of its source: that of the stream may stand still."""
        return self._clock_us if alert.finding.kind in _BY_CLOCK else self.now_us

    def _act(self) -> None:
        """Do what people asked for at once, wherever the stream is; wait a day for its alert."""
        if not self.waiting:
            return
        by_id = {alert.id: alert for alert in self.alerts.values()}
        due = sorted(self.waiting, key=attrgetter("at_us", "verb"))
        self.waiting = []
        for action in due:
            alert = by_id.get(action.alert_id)
            is_early = action.at_us > max(self.now_us, self._clock_us)
            if alert is None or alert.state in (None, "pending") or is_early:
                if self.now_us - action.at_us < DAY_US:
                    self.waiting.append(action)
            elif action.at_us <= alert.acted_us or action.at_us < alert.entered_us:
                continue  # done before, or about what was there before it got worse
            elif action.verb == "close" and alert.is_live:
                alert.is_dismissed, alert.acted_us = True, action.at_us
                self._close(alert, action.at_us, action.reason, action.author)
            elif action.verb == "ack" and alert.state == "open":
                held = "" if alert.is_reported else "unannounced"
                alert.acted_us = action.at_us
                self._enter(alert, "acknowledged", action.at_us, action.reason, held, action.author)

    def _open(self, identity: str, alert: Alert, at_us: int, why: str) -> None:
        held = self._reason_to_hold(identity, alert, at_us)
        if not held:
            held = self._swallowed_by(identity, alert)
        for child, other in self._related.children(identity):
            if other.is_live:
                alert.members[child] = other.finding.key
        self._enter(alert, "open", at_us, why, held)

    def _announce_late(self, identity: str, alert: Alert, now_us: int) -> None:
        """Announce what was held back and is still open, once nothing holds it back any more."""
        if self.storm.holds(alert, self.alerts, now_us, self.rules):
            return
        if self._reason_to_hold(identity, alert, now_us):
            return
        why = f"it is still open; it was held back by {alert.held}"
        self._enter(alert, "open", now_us, why, self._swallowed_by(identity, alert))

    def _reason_to_hold(self, identity: str, alert: Alert, at_us: int) -> str:
        """Return why an opening is not announced; empty: it is."""
        if reason := self._reason_outside(alert, at_us):
            return reason
        leader = leader_of(identity, alert, self._related, at_us, self.rules.incident_us)
        if leader is None:
            return ""
        what, alert.leader, other = leader
        other.members[identity] = alert.finding.key if what == "parent" else alert.finding.metric
        return f"{what} {other.id}"

    def _reason_outside(self, alert: Alert, at_us: int) -> str:
        history_us = self._clock_us - self.rules.history_lag_us
        return reason_outside(alert, at_us, history_us, self.silences)

    def _swallowed_by(self, identity: str, alert: Alert) -> str:
        """Count an announced opening; return the storm that swallows it, if there is one."""
        now_us = self.now_us
        if self.storm.count(identity, now_us, self.rules) <= self.rules.storm_opens:
            return ""
        storm = self.storm.alert(self.alerts, now_us, self.rules)
        if not storm.is_live or storm.rank > storm.recorded:
            storm.flaps += storm.state == "closed"
            held = self._reason_outside(storm, now_us)
            self._enter(storm, "open", now_us, "more and more alerts opened", held)
        alert.leader = storm.finding.identity
        return f"storm {storm.id}"

    def _close(self, alert: Alert, at_us: int, why: str, author: str = "") -> None:
        alert.due_us = 0
        held = "" if alert.is_reported else "unannounced"
        self._enter(alert, "closed", at_us, why, held, author)

    def _enter(
        self, alert: Alert, state: State, at_us: int, why: str, held: str = "", author: str = ""
    ) -> None:
        made = alert.enter(state, at_us, why, held, author)
        # By a clock that is ahead it happens later than now, and what people do then was before.
        alert.entered_us = min(at_us, self._clock_us)
        self._made.append(replace(made, memory=remember(alert)))

    def _replace(self, identity: str, alert: Alert, finding: Finding) -> None:
        """Take another finding for what an alert is about."""
        self._related.remove(identity, alert.finding)
        alert.finding = finding
        self._related.add(identity, finding)

    def _forget(self, identity: str) -> None:
        alert = self.alerts.pop(identity)
        self._related.remove(identity, alert.finding)
