-- The engine of raw_requests; no row: there is no such table.
SELECT engine
FROM system.tables
WHERE database = '${database}' AND name = 'raw_requests'
