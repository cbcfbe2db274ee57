-- Grain: one refused event that was not handled yet. Key: (log_id, _topic, _partition, _offset, _idx).
-- Reads: dead_letters (the ingest job) and dead_letter_replays (`tokentide dlq replay`); 30 days.

CREATE OR REPLACE VIEW ${database}.dead_letters_open ${on_cluster} AS
SELECT *
FROM ${database}.dead_letters
WHERE (log_id, _topic, _partition, _offset, _idx) NOT IN
(
    SELECT log_id, _topic, _partition, _offset, _idx FROM ${database}.dead_letter_replays
)
COMMENT 'Dead letters that were neither replayed nor discarded. Kept 30 days.';

ALTER TABLE ${database}.dead_letters_open ${on_cluster}
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
    COMMENT COLUMN ingested_at 'When its batch was sealed, UTC';
