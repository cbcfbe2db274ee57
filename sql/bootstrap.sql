-- What the migration runner needs before it can remember anything: the database and its version
-- table. Run on every `tokentide migrate`; both statements are no-ops after the first time.

CREATE DATABASE IF NOT EXISTS ${database} ${on_cluster};

-- Grain: one row per applied file and checksum. Key: name, applied_at.
-- Written by: `tokentide migrate`, first writer wins (token `migration/<database>/<checksum of all files of a run>`).
-- Retention: for ever.
CREATE TABLE IF NOT EXISTS ${database}.schema_migrations ${on_cluster}
(
    name        String COMMENT 'Path below sql/: migrations/0002_raw_events.sql',
    checksum    String COMMENT 'SHA-256 (hex) of the file as written, before placeholders are filled',
    applied_at  DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    applied_by  String COMMENT 'host:pid of the process that ran it',
    statements  UInt32,
    duration_ms UInt32
)
ENGINE = ${engine:MergeTree}
ORDER BY (name, applied_at)
SETTINGS ${dedup}
COMMENT 'Which SQL files were applied, one row per file and checksum. Written by tokentide migrate. Kept for ever.';
