-- The decision that holds on each of some events: the first that took it out since it was let in, or the last that let it in.
SELECT
    toString(event_id) AS id,
    held.1 AS revision,
    held.2 AS is_out,
    held.3 AS why,
    held.4 AS who,
    held.5 AS decided_at
FROM
(
    SELECT
        v.event_id AS event_id,
        maxIf(v.revision, NOT v.is_void) AS let_in,
        max(v.revision) > let_in AS is_void_now,
        groupArray((v.revision, v.is_void, v.reason, v.decided_by, v.written_at)) AS made,
        arraySort(arrayFilter(decision -> decision.1 >= let_in + is_void_now, made))[1] AS held
    FROM ${database}.event_voids AS v
    WHERE v.event_id IN {ids:Array(UUID)}
    GROUP BY event_id
)
ORDER BY id
SETTINGS select_sequential_consistency = 1
