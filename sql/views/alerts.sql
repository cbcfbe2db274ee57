-- Grain: one alert as it is now. Key: alert_id.
-- Reads: alert_events; 400 days.
-- An alert that closed and came back within the cooldown is one row. `held` says why nobody was notified of the
-- present state.

CREATE OR REPLACE VIEW ${database}.alerts ${on_cluster} AS
SELECT
    alert_id,
    state,
    severity,
    kind,
    key,
    dimensions,
    tenant,
    metric,
    direction,
    sentence,
    since,
    opened_at,
    at AS changed_at,
    sequence,
    flaps,
    value,
    expected,
    lower,
    upper,
    unit,
    n,
    evidence,
    threshold,
    tests,
    usd_from_pico(impact_pico_usd_hour) AS impact_usd_per_hour,
    impact_failed_minute AS impact_failed_per_minute,
    contributors,
    members,
    causes,
    first_action,
    runbook,
    why,
    held,
    author,
    written_at
FROM ${database}.alert_events FINAL
ORDER BY alert_id, sequence DESC
LIMIT 1 BY alert_id
COMMENT 'Alerts as they are now, one row each.';
