-- Whose decision has a number: the run that was first.
SELECT run_id
FROM ${database}.event_voids
WHERE revision = {revision:UInt32}
ORDER BY written_at, run_id
LIMIT 1
SETTINGS select_sequential_consistency = 1
