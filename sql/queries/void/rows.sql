-- Stored rows of some events, in every raw table. Amounts are those of requests.
SELECT *
FROM
(
    SELECT
        toString(event_id) AS id, 'raw_requests' AS raw_table,
        toUnixTimestamp64Micro(started_at) AS started_at_us,
        tenant, service, environment,
        provider,
        if(response_model = '', request_model, response_model) AS model,
        input_tokens, output_tokens, cost_pico_usd, price_version,
        log_id, _topic, _partition, _offset, _idx
    FROM ${database}.raw_requests
    WHERE event_id IN {ids:Array(UUID)}
    UNION ALL
    SELECT
        toString(event_id) AS id, raw_table,
        toUnixTimestamp64Micro(started_at) AS started_at_us,
        tenant, service, environment,
        '' AS provider, '' AS model,
        NULL AS input_tokens, NULL AS output_tokens, NULL AS cost_pico_usd, '' AS price_version,
        log_id, _topic, _partition, _offset, _idx
    FROM
    (
        SELECT
            'raw_evaluations' AS raw_table, event_id, started_at, tenant, service, environment,
            log_id, _topic, _partition, _offset, _idx
        FROM ${database}.raw_evaluations
        WHERE event_id IN {ids:Array(UUID)}
        UNION ALL
        SELECT
            'raw_feedback' AS raw_table, event_id, started_at, tenant, service, environment,
            log_id, _topic, _partition, _offset, _idx
        FROM ${database}.raw_feedback
        WHERE event_id IN {ids:Array(UUID)}
        UNION ALL
        SELECT
            'raw_changes' AS raw_table, event_id, started_at, tenant, service, environment,
            log_id, _topic, _partition, _offset, _idx
        FROM ${database}.raw_changes
        WHERE event_id IN {ids:Array(UUID)}
        UNION ALL
        SELECT
            'raw_stats' AS raw_table, event_id, started_at, tenant, service, environment,
            log_id, _topic, _partition, _offset, _idx
        FROM ${database}.raw_stats
        WHERE event_id IN {ids:Array(UUID)}
    )
)
ORDER BY id, log_id, _topic, _partition, _offset, _idx
SETTINGS select_sequential_consistency = 1
