-- What tables and views were when they were made, so that `tokentide migrate` names what was changed since.

-- Grain: one row per table or view. Key: name.
-- Written by: `tokentide migrate`, after what it ran.
-- Retention: for ever.
CREATE TABLE IF NOT EXISTS ${database}.schema_definitions ${on_cluster}
(
    name           LowCardinality(String) COMMENT 'Of the table or view',
    definition     String COMMENT 'JSON: engine, keys and columns of a table, the text of a view, in the words of the server',
    server_version LowCardinality(String) COMMENT 'Of the server whose words they are: another one may say the same otherwise',
    recorded_at    DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC')
)
ENGINE = ${engine:ReplacingMergeTree(recorded_at)}
ORDER BY name
SETTINGS ${dedup}
COMMENT 'What each table and view was when it was made, the newest row. Written by tokentide migrate. Kept for ever.';
