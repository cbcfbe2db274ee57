-- Grain: one refused event nobody has handled yet. Key: (log_id, _topic, _partition, _offset, _idx).
-- Reads: dead_letters (the ingest job) and dead_letter_replays (`tokentide dlq replay`); 30 days.

CREATE OR REPLACE VIEW ${database}.dead_letters_open ${on_cluster} AS
SELECT *
FROM ${database}.dead_letters
WHERE (log_id, _topic, _partition, _offset, _idx) NOT IN
(
    SELECT log_id, _topic, _partition, _offset, _idx FROM ${database}.dead_letter_replays
)
COMMENT 'Dead letters that were neither replayed nor discarded. Kept 30 days.';
