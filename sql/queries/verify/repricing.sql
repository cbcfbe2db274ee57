-- Parts of repricings in which raw rows and windows may hold different prices: [from_us, to_us).
SELECT run_id, from_us, to_us
FROM
(
    SELECT run_id, chunk, max(state) AS reached, any(from_us) AS from_us, any(to_us) AS to_us
    FROM ${database}.reprice_chunks
    GROUP BY run_id, chunk
)
WHERE reached IN (1, 2) -- corrected, applied
ORDER BY from_us, run_id
