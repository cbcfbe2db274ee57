-- Grain: one open alert that somebody was notified of, and one row of 0 for each kind of alert.
-- Reads: alerts.
-- The shape that Grafana's alert rules take: labels are strings, and `firing` is the only number. The rows of 0 keep a
-- rule that has nothing to report from saying "no data".

CREATE OR REPLACE VIEW ${database}.alerts_open ${on_cluster} AS
SELECT
    toString(kind) AS kind,
    toString(severity) AS severity,
    toString(metric) AS metric,
    key,
    toString(tenant) AS tenant,
    dimensions['provider'] AS provider,
    dimensions['model'] AS model,
    toString(alert_id) AS alert_id,
    toFloat64(1) AS firing
FROM ${database}.alerts
WHERE state IN ('open', 'acknowledged') AND held IN ('', 'flapping') AND kind != 'test'
UNION ALL
SELECT
    arrayJoin(['anomaly', 'run', 'budget', 'slo', 'pipeline', 'storm']) AS kind,
    'none' AS severity,
    '' AS metric,
    '' AS key,
    '' AS tenant,
    '' AS provider,
    '' AS model,
    '' AS alert_id,
    toFloat64(0) AS firing
COMMENT 'Open alerts for rules of Grafana: string labels and one number.';
