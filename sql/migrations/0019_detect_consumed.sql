-- Snapshots of the detect job say which batches its windows hold and what they come to, so that `tokentide verify`
-- compares it with the ledger.

ALTER TABLE ${database}.detector_state ${on_cluster}
    ADD COLUMN IF NOT EXISTS consumed String COMMENT 'JSON: offsets of each source, and events and pico-USD that were merged of them; empty: before this was written' CODEC(ZSTD(3)) AFTER detect_group;
