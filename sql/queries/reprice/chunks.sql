-- The chunks of a run as far as they have come.
SELECT
    chunk AS number,
    max(c.state) AS state,
    any(c.from_us) AS from_us,
    any(c.to_us) AS to_us,
    argMax(c.rows, c.state) AS rows
FROM ${database}.reprice_chunks AS c
WHERE run_id = {run_id:String}
GROUP BY number
ORDER BY number
