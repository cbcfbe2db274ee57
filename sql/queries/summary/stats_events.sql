-- Events that producers sent about themselves.
SELECT count() AS events
FROM ${database}.raw_stats
