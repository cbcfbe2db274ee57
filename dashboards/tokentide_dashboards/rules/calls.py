"""Rules about calls: error budgets, alarms of the detectors, and quality."""

from __future__ import annotations

from typing import Final

from tokentide_dashboards.kit.limits import BURN_FAST, OBJECTIVE
from tokentide_dashboards.kit.uid import Uid
from tokentide_dashboards.rules.rule import Rule
from tokentide_jobs.core.tables import ALERT_EVENTS, SLO_STATUS

__all__ = ["CALL_RULES"]

_QUALITY: Final = "('quality_score', 'feedback_score')"


def _alerts(of: str) -> str:
    """Write the alerts of the detect job, each that was there in a month as it is now."""
    return f"""\
    SELECT
        toString(kind) AS kind, key, toString(metric) AS metric, toString(direction) AS direction,
        toString(tenant) AS tenant,
        argMax(
            (state, held, severity, value, expected, impact_pico_usd_hour), (at, sequence)
        ) AS newest,
        newest.1 IN ('open', 'acknowledged') AND newest.2 IN ('', 'flapping') AS is_open,
        toString(newest.3) AS grade,
        ifNull(newest.4, 0) AS seen,
        ifNull(newest.5, 0) AS usual,
        toFloat64(newest.6) / 1e12 AS usd_per_hour
    FROM {ALERT_EVENTS} FINAL
    WHERE at > $__toTime - 2592000 AND at <= $__toTime AND {of}
    GROUP BY kind, key, metric, direction, tenant"""


_ALERT_LABELS: Final = ("kind", "key", "metric", "direction", "tenant")
_SHOW_ALERTS: Final = {
    "What is open, with candidate causes": """\
SELECT severity, kind, key, metric, sentence, since, impact_usd_per_hour, causes, contributors, first_action
FROM alerts WHERE state IN ('open', 'acknowledged') ORDER BY severity, since""",
    "What people changed in the last day": """\
SELECT * FROM changes WHERE started_at > now() - INTERVAL 1 DAY ORDER BY started_at DESC LIMIT 50""",
}
_ANOMALIES: Final = _alerts(f"kind IN ('anomaly', 'storm') AND metric NOT IN {_QUALITY}")


def _slo(severity: str) -> str:
    return f"""\
    SELECT
        slo, toString(tenant) AS tenant,
        argMax((burn, severity), at) AS newest,
        if(newest.2 = '{severity}', newest.1, 0) AS burning
    FROM {SLO_STATUS} FINAL
    WHERE at > $__toTime - 900 AND at <= $__toTime
    GROUP BY slo, tenant"""


_SHOW_SLOS: Final = {
    "How SLOs stood in the last hours": f"""\
SELECT at, slo, tenant, objective, total, bad, budget_left, burn, severity, sentence
FROM {SLO_STATUS} FINAL WHERE at > now() - INTERVAL 3 HOUR ORDER BY at DESC LIMIT 50""",
    "Errors by kind": "SELECT * FROM errors_by_minute WHERE minute > now() - INTERVAL 1 HOUR "
    "ORDER BY minute DESC LIMIT 50",
    "Latency": "SELECT minute, service, model, sum(requests) AS calls, p95_from_hist(sumMap(latency_hist)) AS "
    "latency_p95_ms\nFROM latency_by_minute WHERE minute > now() - INTERVAL 1 HOUR\n"
    "GROUP BY minute, service, model ORDER BY minute DESC LIMIT 50",
}
_ERRORS: Final = f"""\
    SELECT
        toString(provider) AS provider, toString(model) AS model,
        sumIf(requests - errors_rate_limit, window_start > $__toTime - 3600) AS n,
        sumIf(requests - errors_rate_limit, window_start > $__toTime - 300) AS n_short,
        sumIf(errors - errors_rate_limit, window_start > $__toTime - 3600)
            / greatest(n, 1) / {1 - OBJECTIVE:.2g} AS burn_long,
        sumIf(errors - errors_rate_limit, window_start > $__toTime - 300)
            / greatest(n_short, 1) / {1 - OBJECTIVE:.2g} AS burn_short,
        if(n < 50, 0, least(burn_long, burn_short)) AS burn
    FROM windows_1m
    WHERE window_start > $__toTime - 86400 AND window_start <= $__toTime AND requests > 0
    GROUP BY provider, model"""


def _slo_rule(severity: str) -> Rule:
    is_page = severity == "page"
    return Rule(
        name=f"slo-burn-{severity}",
        title="An error budget burns fast" if is_page else "An error budget burns",
        severity="page" if is_page else "ticket",
        signal="errors",
        source=_slo(severity),
        labels=("slo", "tenant"),
        value="burning",
        above=0.0,
        unit="times what the objective allows",
        board=Uid.ALERTS,
        panel="Service level objectives",
        pending="2m" if is_page else "15m",
        keep_firing="10m" if is_page else "1h",
        meaning="An SLO of slos.yaml, of latency, errors, time to first token or quality, burns over the "
        f"long and the short stretch of a rule that is worth a {severity}. The value is its burn.",
        first_action="See what fails: `tokentide slos show NAME`.",
        look=_SHOW_SLOS,
    )


def _anomaly_rule(severity: str) -> Rule:
    is_page = severity == "page"
    return Rule(
        name=f"anomaly-{severity}",
        title="An incident that is worth a page" if is_page else "Something is unlike what it was",
        severity="page" if is_page else "ticket",
        signal="anomaly",
        source=_ANOMALIES,
        labels=_ALERT_LABELS,
        value=f"is_open AND grade = '{severity}'",
        above=0.0,
        unit="in the unit of the metric",
        seen="seen",
        expected="usual",
        impact="usd_per_hour",
        pending="0s",
        board=Uid.ALERTS,
        panel="Open alerts",
        meaning="The detect job opened an alert: evidence of several windows that a metric of this key is "
        "unlike what it was. Incidents, parents and storms stand for what belongs to them.",
        first_action="Read it in full (`tokentide alerts list`, then `show`): since when, candidate causes, what to do.",
        look=_SHOW_ALERTS,
    )


CALL_RULES: Final = (
    _slo_rule("page"),
    _slo_rule("ticket"),
    Rule(
        name="error-burn",
        title="A model fails",
        severity="page",
        signal="errors",
        source=_ERRORS,
        labels=("provider", "model"),
        value="burn",
        above=BURN_FAST,
        unit="times what 99 % allow",
        range_s=3_600,
        delay_s=60,
        board=Uid.LATENCY,
        panel="Failed over time",
        meaning="Errors of one model, rate limits apart, use up a month's budget at an objective of 99 % in two "
        "days, in the last hour and in the last five minutes. It needs no slos.yaml, and fifty requests in the hour.",
        first_action="Read the errors by kind (view errors_by_minute); see the provider's status page.",
        look=_SHOW_SLOS,
    ),
    _anomaly_rule("page"),
    _anomaly_rule("ticket"),
    Rule(
        name="quality-drop",
        title="Quality dropped",
        severity="ticket",
        signal="quality",
        source=_alerts(f"kind = 'anomaly' AND metric IN {_QUALITY}"),
        labels=_ALERT_LABELS,
        value="is_open AND direction = 'down'",
        above=0.0,
        unit="as score",
        seen="seen",
        expected="usual",
        pending="0s",
        board=Uid.PROMPTS,
        panel="Quality score",
        meaning="Evaluations or ratings of users are lower than they were for this key.",
        first_action="Compare answers of the present prompt and model with those before.",
        look=_SHOW_ALERTS,
    ),
)
"""What is about calls."""
