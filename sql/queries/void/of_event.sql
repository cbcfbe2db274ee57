-- Who took an event out, when and why; no row: it is not out.
SELECT DISTINCT decided_by, toString(toDateTime(decided_at, 'UTC')) AS decided_at, reason
FROM ${database}.voided_events
WHERE event_id = {event_id:UUID}
