-- Receivers that do not take transitions: those whose last attempt was not delivered and is no older
-- than a moment, with the times of their first and last attempt (epoch µs). `waiting`: tried again.
SELECT
    receiver,
    countIf(last_outcome = 'retry') AS waiting,
    countIf(last_outcome != 'retry') AS given_up,
    sum(tries) AS tries,
    min(first_us) AS since_us,
    max(last_us) AS last_try_us,
    argMax(last_status, last_us) AS status,
    argMax(last_detail, last_us) AS detail
FROM
(
    SELECT
        receiver,
        transition_id,
        count() AS tries,
        argMax(n.outcome, n.at) AS last_outcome,
        argMax(n.status, n.at) AS last_status,
        argMax(n.detail, n.at) AS last_detail,
        toUnixTimestamp64Micro(min(n.at)) AS first_us,
        toUnixTimestamp64Micro(max(n.at)) AS last_us
    FROM ${database}.notifications AS n
    WHERE at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC') - INTERVAL 2 DAY
    GROUP BY receiver, transition_id
    HAVING last_outcome != 'delivered' AND last_us >= {since_us:Int64}
)
GROUP BY receiver
ORDER BY receiver
