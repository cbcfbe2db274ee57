-- Runs that were planned and not finished, the oldest first.
SELECT
    run_id,
    any(r.from_us) AS from_us,
    any(r.to_us) AS to_us,
    any(r.price_version) AS price_version,
    any(r.chunks) AS chunks
FROM ${database}.reprice_runs AS r
GROUP BY run_id
HAVING countIf(state = 'done') = 0
ORDER BY min(written_at), run_id
