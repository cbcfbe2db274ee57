-- Whether a repair asks ingest to begin no batch now, and which process asks; false without one.
SELECT
    argMax(held_until, written_at) > now64(3) AS is_held,
    argMax(held_by, written_at) AS held_by
FROM ${database}.ingest_holds
