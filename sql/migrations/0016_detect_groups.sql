-- Snapshots of the detect job say which consumer group wrote them: a second group on one database would replace
-- the snapshots of the first and notify of everything twice, so it is refused.

ALTER TABLE ${database}.detector_state ${on_cluster}
    ADD COLUMN IF NOT EXISTS detect_group LowCardinality(String) COMMENT 'Consumer group of the worker; empty: before this was written' AFTER worker;
