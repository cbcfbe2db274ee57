-- Runs, agents and keys: who made a call on whose behalf, as optional fields of every request.
--
-- `run` is the effective run, computed once, here: the run the producer named, else the conversation,
-- else the trace; '' where a call names none of them.
-- Written by: the ingest job, as everything in raw_requests.

ALTER TABLE ${database}.raw_requests ${on_cluster}
    ADD COLUMN IF NOT EXISTS agent_version LowCardinality(String) AFTER agent_name,
    ADD COLUMN IF NOT EXISTS parent_agent_name LowCardinality(String) AFTER agent_version,
    ADD COLUMN IF NOT EXISTS run_id String CODEC(ZSTD(3)) AFTER parent_agent_name,
    ADD COLUMN IF NOT EXISTS parent_run_id String CODEC(ZSTD(3)) AFTER run_id,
    ADD COLUMN IF NOT EXISTS skill LowCardinality(String) AFTER workflow_name,
    ADD COLUMN IF NOT EXISTS mcp_server LowCardinality(String) COMMENT 'Of the tool that led here' AFTER tool_calls_count,
    ADD COLUMN IF NOT EXISTS key_id LowCardinality(String) COMMENT 'API key or credential: its id, never the key' AFTER mcp_server,
    ADD COLUMN IF NOT EXISTS run String MATERIALIZED if(run_id != '', run_id, if(conversation_id != '', conversation_id, trace_id)) CODEC(ZSTD(3)) COMMENT 'run_id, else conversation_id, else trace_id' AFTER parent_run_id,
    ADD INDEX IF NOT EXISTS run_bloom run TYPE bloom_filter(0.025) GRANULARITY 1;

-- The copy that refused rows are tried on is made anew, with these columns, when it is needed.
DROP TABLE IF EXISTS ${database}.raw_requests_probe ${on_cluster};
