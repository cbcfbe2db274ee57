-- The newest decision about each of some events.
SELECT
    toString(v.event_id) AS id,
    max(v.revision) AS newest,
    argMax(v.is_void, v.revision) AS is_out,
    argMax(v.tenant, v.revision) AS of_tenant,
    argMax(v.reason, v.revision) AS why,
    argMax(v.decided_by, v.revision) AS who,
    argMax(v.written_at, v.revision) AS decided_at
FROM ${database}.event_voids AS v
WHERE v.event_id IN {ids:Array(UUID)}
GROUP BY v.event_id
ORDER BY id
SETTINGS select_sequential_consistency = 1
