-- Receivers of notifications: since when each of them is told of transitions of each severity.

-- Grain: one state of the list `notify` of detect.yaml, as a worker that sends found it changed.
-- Written by: the detect job (token `notified_since/<digest>`).
-- Retention: for ever; a few rows a year.
CREATE TABLE IF NOT EXISTS ${database}.notified_since ${on_cluster}
(
    at    DateTime64(6, 'UTC') COMMENT 'When it was found',
    since Map(String, DateTime64(6, 'UTC')) COMMENT 'By receiver/severity; 1970: of everything that is stored'
)
ENGINE = ${engine:MergeTree}
ORDER BY at
SETTINGS ${dedup}
COMMENT 'Since when receivers are told of which severities; the newest row holds. Kept for ever.';
