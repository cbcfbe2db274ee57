-- Grain: one open alert that a receiver was notified of, and one row of 0 for each kind of alert.
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

ALTER TABLE ${database}.alerts_open ${on_cluster}
    COMMENT COLUMN kind 'anomaly, run, budget, slo, pipeline or storm',
    COMMENT COLUMN severity 'Severity of the alert; none in the rows of 0',
    COMMENT COLUMN metric 'What is out of bounds',
    COMMENT COLUMN key 'What it is about, as one text',
    COMMENT COLUMN tenant 'Tenant of what it is about; empty: none',
    COMMENT COLUMN provider 'Provider of what it is about; empty: none',
    COMMENT COLUMN model 'Model of what it is about; empty: none',
    COMMENT COLUMN alert_id 'Id of the alert',
    COMMENT COLUMN firing '1: an open alert; 0: the row that keeps a rule from saying that it has no data';
