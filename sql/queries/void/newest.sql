-- The newest decision about events that are taken out or let in again; 0: there is none.
SELECT max(revision) AS revision
FROM ${database}.event_voids
SETTINGS select_sequential_consistency = 1
