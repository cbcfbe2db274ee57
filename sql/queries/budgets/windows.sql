-- What one scope spent, window by window, in one statement: hours from windows_1h in `hours`, minutes from
-- windows_1m in `minutes`; both are half-open ranges of epoch seconds that begin and end with a window.
-- Of each dimension the values that count; none: all of them.
SELECT
    start_s,
    length_s,
    sum(w.cost_pico_usd) AS cost_pico_usd,
    sum(w.requests) AS requests,
    sum(w.unpriced) AS unpriced
FROM
(
    SELECT *, toInt64(toUnixTimestamp(window_start)) AS start_s, toInt64(3600) AS length_s
    FROM ${database}.windows_1h
    WHERE window_start >= toDateTime(arrayMin(r -> r.1, {hours:Array(Tuple(Int64, Int64))}), 'UTC')
        AND window_start < toDateTime(arrayMax(r -> r.2, {hours:Array(Tuple(Int64, Int64))}), 'UTC')
        AND arrayExists(r -> start_s >= r.1 AND start_s < r.2, {hours:Array(Tuple(Int64, Int64))})
    UNION ALL
    SELECT *, toInt64(toUnixTimestamp(window_start)) AS start_s, toInt64(60) AS length_s
    FROM ${database}.windows_1m
    WHERE window_start >= toDateTime(arrayMin(r -> r.1, {minutes:Array(Tuple(Int64, Int64))}), 'UTC')
        AND window_start < toDateTime(arrayMax(r -> r.2, {minutes:Array(Tuple(Int64, Int64))}), 'UTC')
        AND arrayExists(r -> start_s >= r.1 AND start_s < r.2, {minutes:Array(Tuple(Int64, Int64))})
) AS w
WHERE (empty({tenant:Array(String)}) OR tenant IN {tenant:Array(String)})
    AND (empty({service:Array(String)}) OR service IN {service:Array(String)})
    AND (empty({environment:Array(String)}) OR environment IN {environment:Array(String)})
    AND (empty({operation:Array(String)}) OR operation IN {operation:Array(String)})
    AND (empty({provider:Array(String)}) OR provider IN {provider:Array(String)})
    AND (empty({model:Array(String)}) OR model IN {model:Array(String)})
    AND (empty({prompt_name:Array(String)}) OR prompt_name IN {prompt_name:Array(String)})
    AND (empty({prompt_version:Array(String)}) OR prompt_version IN {prompt_version:Array(String)})
    AND (empty({feature:Array(String)}) OR feature IN {feature:Array(String)})
    AND (empty({team:Array(String)}) OR team IN {team:Array(String)})
GROUP BY start_s, length_s
