"""No rule fires over seven recorded days in which nothing is wrong, and rules do once it ends.

A sample looks every 23 hours, so that each look is at another time of day, knows the minute of each
call, and lets the detect job judge windows of ten minutes; a thorough run looks every hour, knows
ten seconds, and judges windows of a minute.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.dashboards.rules.recorded_week import RecordedWeek, without_its_fault
from tests.dashboards.rules.rows import ask, us
from tests.dashboards.rules.rule_evaluation import Labels, RuleEvaluation, rule_seconds
from tests.sampling import IS_THOROUGH
from tokentide_dashboards.rules.all_rules import RULES
from tokentide_dashboards.rules.rule import Rule
from tokentide_jobs.replay.events import Event
from tokentide_jobs.replay.week import week

if TYPE_CHECKING:
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

pytestmark = pytest.mark.integration

STEP = timedelta(hours=1 if IS_THOROUGH else 23)
WINDOW_S = 60 if IS_THOROUGH else 600
KNOWN_TO_S = 10 if IS_THOROUGH else 60
"""The shortest time that a rule looks at is five minutes."""
OF_FINDINGS = {"run-guard", "anomaly-page", "anomaly-ticket", "quality-drop"}
"""Rules over what was found to be wrong: without any they have no row, and that is well."""
OF_AN_END = {"pipeline-freshness", "producer-silence", "detector-heartbeat"}


def looks(begin: datetime, end: datetime) -> Iterator[datetime]:
    moment = begin
    while moment < end:
        moment = min(end, moment + STEP)
        yield moment


def firing(rule: Rule, table: dict[Labels, float], moment: datetime) -> list[Labels]:
    """Return what fires if all stays as it is at a moment for as long as the rule waits."""
    evaluation = RuleEvaluation(rule.provisioned())
    began_s = us(moment) // 1_000_000
    for now_s in (began_s, began_s + rule_seconds(rule.pending)):
        evaluation.take(now_s, table)
    return evaluation.firing


@pytest.fixture(scope="module")
def events() -> list[tuple[float, Event]]:
    return list(without_its_fault(week(seed=1)))


def test_no_rule_fires_over_seven_normal_days(
    sql_client: Client, sql_server: str, tmp_path: Path, events: list[tuple[float, Event]]
) -> None:
    # Retention is by the clock of the server: the week ends now.
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    played = RecordedWeek(sql_client, sql_server, tmp_path, iter(events), end, WINDOW_S, KNOWN_TO_S)
    fired, seen = [], {rule.name: 0 for rule in RULES}
    try:
        for moment in looks(played.begin, end):
            played.until(moment)
            for rule in RULES:
                table = ask(sql_client, rule, moment)
                seen[rule.name] += bool(table)
                fired += [(rule.name, moment, one) for one in firing(rule, table, moment)]
    finally:
        played.close()
    assert fired == []
    assert {name for name, rows in seen.items() if not rows} == OF_FINDINGS
    # No alert proves something only where rules can fire: an hour later, without data, some do.
    later = end + timedelta(hours=1)
    ended = {rule.name for rule in RULES if firing(rule, ask(sql_client, rule, later), later)}
    assert ended == OF_AN_END


def test_what_is_declared_in_the_second_half_is_taken_out(
    events: list[tuple[float, Event]],
) -> None:
    scores = [
        (at_s, event["score"])
        for at_s, event in events
        if event["type"] == "evaluation" and event["service"] == "support-chat"
    ]
    assert all(one[0] <= other[0] for one, other in pairwise(scores))
    half = scores[-1][0] / 2
    means = []
    for part in (
        [score for at_s, score in scores if at_s < half],
        [score for at_s, score in scores if at_s >= half],
    ):
        means.append(sum(part) / len(part))
    assert abs(means[0] - means[1]) < 0.01, means
