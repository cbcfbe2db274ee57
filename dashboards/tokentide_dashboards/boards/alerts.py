"""Alerts: what is open, since when, what was expected, what may have caused it, and the SLOs."""

from __future__ import annotations

from tokentide_dashboards.kit.annotation import CHANGES
from tokentide_dashboards.kit.board import Board, Row
from tokentide_dashboards.kit.link import BoardLink
from tokentide_dashboards.kit.override import Override
from tokentide_dashboards.kit.query import any_of, chosen
from tokentide_dashboards.kit.series import Lines, States
from tokentide_dashboards.kit.table import Stat, Table
from tokentide_dashboards.kit.threshold import Threshold
from tokentide_dashboards.kit.uid import Uid
from tokentide_dashboards.kit.unit import Unit
from tokentide_dashboards.kit.variable import Variable

__all__ = ["ALERTS_BOARD"]

WORKS = "if that surprises, see whether detection runs: board Pipeline health (docs/detect.md)."
NONE_OPEN = f"No alert is open: {WORKS}"
NONE_HERE = f"No alert of this choice in this range: widen it, or choose All; {WORKS}"
NO_POINTS = (
    "Detection recorded nothing of this alert in this range: widen it, or choose another alert; "
    "budgets, runs and SLOs have no band."
)
NO_SLOS = (
    "No SLO was judged in this range: name them in slos.yaml and set TOKENTIDE_SLOS_FILE "
    "(docs/slos.md)."
)
NO_NOTICES = (
    "No notification in this range: no alert changed, or no receiver is named in detect.yaml "
    "(docs/alerts.md)."
)
IS_OPEN = "state IN ('open', 'acknowledged') AND kind != 'test'"
CHOSEN = " AND ".join(any_of(name) for name in ("severity", "kind", "tenant"))


def _of_alerts(name: str, label: str, description: str) -> Variable:
    return Variable(
        name=name,
        label=label,
        description=description,
        sql=(
            f"SELECT DISTINCT toString({name}) AS value FROM alert_events"
            f" WHERE at <= $__toTime AND at >= $__fromTime - toIntervalDay(30) AND {name} != ''"
            " ORDER BY value LIMIT 500"
        ),
    )


ALERT = Variable(
    name="alert",
    label="Alert of the band",
    description="Whose values and expected band are drawn; open ones first",
    multi=False,
    sql=(
        "SELECT toString(alert_id), concat(toString(metric), ' · ', key) FROM alerts"
        " WHERE since <= $__toTime AND kind != 'test'"
        " AND (state IN ('open', 'acknowledged') OR changed_at >= $__fromTime)"
        " ORDER BY kind = 'anomaly' DESC, state = 'closed', changed_at DESC LIMIT 200"
    ),
)

COUNTS = Stat(
    title="Open now",
    description="Alerts that are open or acknowledged, by severity; held ones are counted too.",
    unit=Unit.COUNT,
    no_value=NONE_OPEN,
    threshold=Threshold(((1, "orange"),)),
    overrides=(
        Override(column="pages", title="Pages", threshold=Threshold(((1, "red"),))),
        Override(column="tickets", title="Tickets"),
        Override(column="infos", title="For information", threshold=Threshold(((1, "blue"),))),
    ),
    sql=f"""\
SELECT
    countIf(severity = 'page') AS pages, countIf(severity = 'ticket') AS tickets,
    countIf(severity = 'info') AS infos
FROM alerts
WHERE {IS_OPEN} AND since <= $__toTime AND {CHOSEN}""",
    width=10,
)
IMPACT = Stat(
    title="What open alerts cost an hour",
    description=(
        "Spend beyond the expected of all open alerts together; several alerts may count the same "
        "dollars."
    ),
    unit=Unit.USD_PER_HOUR,
    no_value=NONE_OPEN,
    threshold=Threshold(((1, "orange"), (10, "red"))),
    sql=(
        f"SELECT sum(impact_usd_per_hour) AS usd_per_hour FROM alerts"
        f" WHERE {IS_OPEN} AND since <= $__toTime AND {CHOSEN}"
    ),
    width=6,
)
NOISE = Stat(
    title="Opened in the range",
    description="Alerts that opened, and those among them that came back after they had closed.",
    unit=Unit.COUNT,
    no_value=NONE_HERE,
    threshold=Threshold(base="text"),
    overrides=(
        Override(column="opened", title="Opened"),
        Override(column="came_back", title="Came back"),
    ),
    sql=f"""\
SELECT count() AS opened, countIf(flaps > 0) AS came_back
FROM alerts WHERE $__timeFilter(opened_at) AND kind != 'test' AND {CHOSEN}""",
    width=8,
)

OPEN = Table(
    title="Open alerts",
    description=(
        "The most severe first: what is seen and expected, the usual band, what it costs, and "
        "what to do first. `held` states why no receiver was notified. `tokentide alerts ack` "
        "acknowledges an alert."
    ),
    unit=Unit.NONE,
    no_value=NONE_OPEN,
    sql=f"""\
SELECT
    severity, sentence, since, state, value, expected, lower, upper, unit, n,
    impact_usd_per_hour, impact_failed_per_minute, first_action,
    arrayStringConcat(arraySlice(causes, 1, 2), '; ') AS likely_causes,
    held, key, dimensions['provider'] AS provider, dimensions['model'] AS model, runbook
FROM alerts
WHERE {IS_OPEN} AND since <= $__toTime AND {CHOSEN}
ORDER BY indexOf(['page', 'ticket', 'info'], toString(severity)), impact_usd_per_hour DESC
LIMIT 100""",
    overrides=(
        Override(column="severity", title="Severity", width=80),
        Override(
            column="sentence",
            title="What",
            width=420,
            links=(
                BoardLink("Calls, the most expensive and the slowest", Uid.REQUESTS),
                BoardLink("Where the money goes", Uid.COST),
            ),
        ),
        Override(column="since", title="Since", unit=Unit.AGE),
        Override(column="state", title="State"),
        Override(column="value", title="Seen"),
        Override(column="expected", title="Expected"),
        Override(column="lower", title="Usual from"),
        Override(column="upper", title="Usual to"),
        Override(column="unit", title="Unit"),
        Override(column="n", title="n", unit=Unit.COUNT),
        Override(column="impact_usd_per_hour", title="Costs", unit=Unit.USD_PER_HOUR),
        Override(column="impact_failed_per_minute", title="Calls that fail", unit=Unit.PER_MINUTE),
        Override(column="first_action", title="Do first", width=300),
        Override(column="likely_causes", title="May be because", width=300),
        Override(column="held", title="Held"),
        Override(column="key", title="Of"),
        Override(column="provider", title="Provider"),
        Override(column="model", title="Model"),
        Override(column="runbook", title="Section of docs/alerts.md"),
    ),
)

TIMELINE = States(
    title="Timeline",
    description=(
        "State of each alert from one transition to the next; the last state lasts to the end of "
        "the range unless it is closed."
    ),
    unit=Unit.TEXT,
    no_value=NONE_HERE,
    by=("alert",),
    sql=f"""\
SELECT greatest(at, toDateTime64($__fromTime, 6, 'UTC')) AS time,
    concat(toString(metric), ' · ', key) AS alert, toString(state) AS state
FROM (
    SELECT * FROM alert_events FINAL
    WHERE at <= $__toTime AND at >= $__fromTime - toIntervalDay(30) AND kind != 'test'
        AND {CHOSEN}
)
WHERE at >= $__fromTime OR (alert_id, sequence) IN (
    SELECT alert_id, max(sequence) FROM alert_events
    WHERE at < $__fromTime AND at >= $__fromTime - toIntervalDay(30)
    GROUP BY alert_id HAVING argMax(state, sequence) != 'closed'
)
ORDER BY time, sequence LIMIT 1000""",
)

_BAND_POINTS = f"""\
    SELECT window_start AS at, value, expected, lower, upper, n FROM anomaly_points FINAL
    WHERE $__timeFilter(window_start) AND (dimensions, toString(metric)) IN (
        SELECT dimensions, toString(metric) FROM alert_events
        WHERE toString(alert_id) = {chosen("alert")})
    UNION ALL
    SELECT toDateTime(at, 'UTC'), value, expected, lower, upper, n FROM alert_events FINAL
    WHERE $__timeFilter(at) AND toString(alert_id) = {chosen("alert")}"""
BAND = Lines(
    title="Seen and expected",
    description=(
        "Windows that detection recorded for the alert chosen above, in the unit of its metric: "
        "what was seen, what was expected, and the band in which it looks no closer."
    ),
    unit=Unit.NONE,
    no_value=NO_POINTS,
    style="points",
    is_joined=True,
    sql=f"""\
SELECT at AS time, any(value) AS seen, any(expected) AS as_expected,
    any(if(isNaN(lower), NULL, lower)) AS usual_from, any(if(isNaN(upper), NULL, upper)) AS usual_to
FROM (
{_BAND_POINTS}
)
GROUP BY time ORDER BY time LIMIT 5000""",
    overrides=(
        Override(column="seen", title="seen", color="red"),
        Override(column="as_expected", title="expected", color="blue"),
        Override(column="usual_from", title="usual from", color="green", is_dashed=True),
        Override(column="usual_to", title="usual to", color="green", is_dashed=True),
    ),
)
CAUSES = Table(
    title="Candidate causes",
    description=(
        "Changes that may explain alerts of the range, the likeliest first, and narrower keys "
        "that hold a large share. Candidates, not proof."
    ),
    unit=Unit.TEXT,
    no_value=(
        "No change is near an alert of this range. Send change events for deploys, prompts, models "
        "and prices (docs/events.md), or nothing was changed."
    ),
    sql=f"""\
SELECT since, key, metric, place, cause
FROM (
    SELECT since, key, metric, one.1 AS place, one.2 AS cause
    FROM alerts
    ARRAY JOIN arrayConcat(
        arrayMap((text, i) -> (toString(i), text), causes, arrayEnumerate(causes)),
        arrayMap(text -> ('part', text), contributors)) AS one
    WHERE since <= $__toTime AND ({IS_OPEN} OR changed_at >= $__fromTime) AND {CHOSEN}
)
ORDER BY since DESC, place LIMIT 200""",
    overrides=(
        Override(column="since", title="Since", unit=Unit.MOMENT),
        Override(column="key", title="Alert of"),
        Override(column="metric", title="Metric"),
        Override(column="place", title="Place", width=70),
        Override(column="cause", title="Change, or part", width=420),
    ),
)

SLOS = Table(
    title="Service level objectives",
    description=(
        "How each SLO stands by its newest judgement in the range: what is left of its error "
        "budget, and how fast it burns; 1 uses it up exactly at the end of its window."
    ),
    unit=Unit.COUNT,
    no_value=NO_SLOS,
    sql=f"""\
SELECT
    slo, tenant, objective, 1 - bad / nullIf(total, 0) AS good_share, total AS n, bad,
    budget_left, burn, severity, window_days, at AS judged_at, sentence
FROM slo_status FINAL
WHERE $__timeFilter(at) AND {any_of("tenant")}
ORDER BY at DESC LIMIT 1 BY slo, tenant LIMIT 100""",
    overrides=(
        Override(column="slo", title="SLO"),
        Override(column="tenant", title="Tenant"),
        Override(column="objective", title="Objective", unit=Unit.RATIO, decimals=2),
        Override(column="good_share", title="Good", unit=Unit.RATIO, decimals=3),
        Override(column="n", title="of n"),
        Override(column="bad", title="Bad"),
        Override(
            column="budget_left",
            title="Budget left",
            unit=Unit.RATIO,
            threshold=Threshold(((0, "yellow"), (0.25, "green")), base="red"),
            cell="color-text",
        ),
        Override(
            column="burn",
            title="Burn",
            unit=Unit.TIMES,
            decimals=1,
            threshold=Threshold(((1, "yellow"), (6, "red"))),
            cell="color-text",
        ),
        Override(column="severity", title="Burns as"),
        Override(column="window_days", title="Days"),
        Override(column="judged_at", title="Judged", unit=Unit.AGE),
        Override(column="sentence", title="In words", width=360),
    ),
)
BUDGETS_LEFT = Lines(
    title="Error budgets",
    description="What was left of each error budget; below 0 more is used up than there was.",
    unit=Unit.RATIO,
    no_value=NO_SLOS,
    threshold=Threshold(((0, "green"),), base="red"),
    by=("slo", "tenant"),
    sql=f"""\
SELECT
    toStartOfInterval(at, toIntervalSecond($__interval_s)) AS time, slo, tenant,
    argMax(budget_left, at) AS budget_share, argMax(total, at) AS n
FROM slo_status FINAL
WHERE $__timeFilter(at) AND {any_of("tenant")}
GROUP BY time, slo, tenant ORDER BY time""",
)
NOTICES = Table(
    title="Notifications",
    description="Attempts to notify receivers, by outcome; refused and expired ones are lost.",
    unit=Unit.COUNT,
    no_value=NO_NOTICES,
    sql="""\
SELECT
    receiver, countIf(outcome = 'delivered') / n AS delivered_share, count() AS n,
    countIf(outcome = 'retry') AS tried_again, countIf(outcome IN ('refused', 'expired')) AS lost,
    quantile(0.95)(took_ms) AS p95_ms, max(at) AS last_at, argMax(detail, at) AS last_detail
FROM notifications
WHERE $__timeFilter(at)
GROUP BY receiver ORDER BY lost DESC, receiver LIMIT 100""",
    overrides=(
        Override(column="receiver", title="Receiver"),
        Override(column="delivered_share", title="Delivered", unit=Unit.RATIO),
        Override(column="n", title="of n attempts"),
        Override(column="tried_again", title="Tried again"),
        Override(column="lost", title="Lost", threshold=Threshold(((1, "red"),))),
        Override(column="p95_ms", title="p95", unit=Unit.MILLISECONDS),
        Override(column="last_at", title="Last", unit=Unit.AGE),
        Override(column="last_detail", title="Last answer", width=300),
    ),
)

ALERTS_BOARD = Board(
    uid=Uid.ALERTS,
    title="Alerts",
    description="What is wrong, since when, what was expected, and what may have caused it.",
    variables=(
        _of_alerts("severity", "Severity", "How grave"),
        _of_alerts("kind", "Kind", "Anomaly, budget, run, SLO, pipeline, storm"),
        _of_alerts("tenant", "Tenant", "Whose; All shows those without one too"),
        ALERT,
    ),
    layers=(CHANGES,),
    since="now-24h",
    rows=(
        Row((COUNTS, IMPACT, NOISE), height=4),
        Row((OPEN,), height=9),
        Row((TIMELINE,), height=8),
        Row((BAND, CAUSES), title="Evidence", height=9),
        Row((SLOS,), title="SLOs", height=7),
        Row((BUDGETS_LEFT, NOTICES)),
    ),
)
