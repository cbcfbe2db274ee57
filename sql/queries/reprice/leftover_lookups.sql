-- Lookup tables that interrupted attempts of a run left, unless a rewriting still reads them.
SELECT name
FROM system.tables
WHERE database = '${database}' AND startsWith(name, concat('reprice_', {run_id:String}, '_'))
    AND name NOT IN
    (
        SELECT extract(command, '(reprice_[0-9a-f]+_[0-9]+_[0-9a-f]+)')
        FROM system.mutations
        WHERE is_done = 0
    )
ORDER BY name
