-- Grain: one refused event with what became of it. Key: (log_id, _topic, _partition, _offset, _idx).
-- Reads: dead_letters (the ingest job) and dead_letter_replays (`tokentide dlq replay`); 30 days.
-- `place` is the letter's name in the program: PARTITION:OFFSET:INDEX, with `otlp-` in front where the
-- topic is one of OpenTelemetry Collectors.

CREATE OR REPLACE VIEW ${database}.dead_letter_states ${on_cluster} AS
SELECT
    l.*,
    concat(
        if(has(splitByRegexp('[._-]', lower(l._topic)), 'otlp'), 'otlp-', ''),
        toString(l._partition), ':', toString(l._offset), ':', toString(l._idx)
    ) AS place,
    multiIf(
        endsWith(l.detail, 'of which the beginning is kept')
            OR endsWith(l.detail, 'of which nothing is kept')
            OR endsWith(l.detail, 'of which texts are masked'), 'cut', -- cannot be sent again
        r.actions = [], 'open',
        has(r.actions, 'replayed'), 'replayed',
        has(r.actions, 'discarded'), 'discarded',
        r.actions = ['copy'], 'again', -- the copy that a replay sent was refused too
        'interrupted' -- claimed by a replay that never recorded whether it sent it
    ) AS state
FROM ${database}.dead_letters AS l
LEFT JOIN
(
    SELECT
        log_id, _topic, _partition, _offset, _idx,
        groupUniqArray(toString(action)) AS actions
    FROM ${database}.dead_letter_replays
    GROUP BY log_id, _topic, _partition, _offset, _idx
) AS r USING (log_id, _topic, _partition, _offset, _idx)
COMMENT 'Dead letters with their state: open, again, replayed, discarded, interrupted, cut. Kept 30 days.';

ALTER TABLE ${database}.dead_letter_states ${on_cluster}
    COMMENT COLUMN log_id 'Incarnation of the log that the event came from',
    COMMENT COLUMN _topic 'Topic that it came from',
    COMMENT COLUMN _partition 'Partition of the topic',
    COMMENT COLUMN _offset 'Offset of the Kafka record',
    COMMENT COLUMN _idx 'Place of the event inside its record, from 0',
    COMMENT COLUMN reason 'malformed_json, missing_field, out_of_range, …',
    COMMENT COLUMN field 'The field at fault, empty where it is the event as a whole',
    COMMENT COLUMN detail 'One sentence for a person',
    COMMENT COLUMN value 'What is kept of the event: texts that no row would keep are masked',
    COMMENT COLUMN record_at 'Timestamp of the Kafka record, UTC',
    COMMENT COLUMN type 'Kind of event, as far as it could be read',
    COMMENT COLUMN event_id 'Identity of the event, as far as it could be read',
    COMMENT COLUMN tenant 'Tenant, as far as it could be read',
    COMMENT COLUMN service 'Service, as far as it could be read',
    COMMENT COLUMN sdk_name 'Library that made the event, as far as it could be read',
    COMMENT COLUMN ingested_at 'When its batch was sealed, UTC',
    COMMENT COLUMN place 'Name of the letter in the program: PARTITION:OFFSET:INDEX',
    COMMENT COLUMN state 'open, again, replayed, discarded, interrupted or cut';
