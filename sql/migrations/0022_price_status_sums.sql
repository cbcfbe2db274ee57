-- Sums of calls by price_status, hour and scope, kept by the engine inside raw_requests: how sure a month of
-- costs is, from some thousand rows in place of every call.
-- A projection is part of each part: inserts, merges, repricing, deletions and retention change both at
-- once, so it is never behind the rows and nothing has to be repaired. Queries that group requests by these
-- columns and take the hour by toStartOfHour(started_at, 'UTC') are answered from it without being told to.
-- Parts of before have none and are read row by row, until they are merged into others; for all at once:
--   ALTER TABLE raw_requests MATERIALIZE PROJECTION price_status_sums

ALTER TABLE ${database}.raw_requests ${on_cluster}
    MODIFY SETTING lightweight_mutation_projection_mode = 'rebuild', deduplicate_merge_projection_mode = 'rebuild';

ALTER TABLE ${database}.raw_requests ${on_cluster}
    ADD PROJECTION IF NOT EXISTS price_status_sums
    (
        SELECT
            toStartOfHour(started_at, 'UTC'),
            environment,
            tenant,
            team,
            service,
            provider,
            if(response_model = '', request_model, response_model),
            price_status,
            count(),
            sum(toInt128(cost_pico_usd)),
            min(price_rule)
        GROUP BY
            toStartOfHour(started_at, 'UTC'),
            environment,
            tenant,
            team,
            service,
            provider,
            if(response_model = '', request_model, response_model),
            price_status
    );

-- The copy that refused rows are tried on is made anew, as the table is now, when it is needed.
DROP TABLE IF EXISTS ${database}.raw_requests_probe ${on_cluster};
