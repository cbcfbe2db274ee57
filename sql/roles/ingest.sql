-- The ingest workers: append to what they own, read what the protocol reads back, change nothing.
-- Materialised views run with the rights of their definer, who created them, so the worker
-- needs no right on the rollups.

CREATE ROLE IF NOT EXISTS ${database}_ingest ${on_cluster};

GRANT ${on_cluster} SELECT ON ${database}.* TO ${database}_ingest;

-- How much room the disks have: nothing is stored when it gets too little.
GRANT ${on_cluster} SELECT ON system.disks TO ${database}_ingest;

GRANT ${on_cluster} INSERT ON ${database}.raw_requests TO ${database}_ingest;
GRANT ${on_cluster} INSERT ON ${database}.raw_evaluations TO ${database}_ingest;
GRANT ${on_cluster} INSERT ON ${database}.raw_feedback TO ${database}_ingest;
GRANT ${on_cluster} INSERT ON ${database}.raw_changes TO ${database}_ingest;
GRANT ${on_cluster} INSERT ON ${database}.raw_stats TO ${database}_ingest;
GRANT ${on_cluster} INSERT ON ${database}.windows_10s TO ${database}_ingest;
GRANT ${on_cluster} INSERT ON ${database}.subjects_1h TO ${database}_ingest;
GRANT ${on_cluster} INSERT ON ${database}.ingest_intents TO ${database}_ingest;
GRANT ${on_cluster} INSERT ON ${database}.ingest_positions TO ${database}_ingest;
GRANT ${on_cluster} INSERT ON ${database}.log_incarnations TO ${database}_ingest;
GRANT ${on_cluster} INSERT ON ${database}.dead_letters TO ${database}_ingest;
GRANT ${on_cluster} INSERT ON ${database}.dead_letter_replays TO ${database}_ingest;
GRANT ${on_cluster} INSERT ON ${database}.price_cards TO ${database}_ingest;
GRANT ${on_cluster} INSERT ON ${database}.price_versions TO ${database}_ingest;

-- What the detect job and people write about alerts.
GRANT ${on_cluster} INSERT ON ${database}.alert_events TO ${database}_ingest;
GRANT ${on_cluster} INSERT ON ${database}.alert_actions TO ${database}_ingest;
GRANT ${on_cluster} INSERT ON ${database}.silences TO ${database}_ingest;
GRANT ${on_cluster} INSERT ON ${database}.notifications TO ${database}_ingest;
GRANT ${on_cluster} INSERT ON ${database}.notified_since TO ${database}_ingest;
GRANT ${on_cluster} INSERT ON ${database}.slo_status TO ${database}_ingest;
-- The detect job: what it found, and the state it goes on from.
GRANT ${on_cluster} INSERT ON ${database}.anomaly_points TO ${database}_ingest;
GRANT ${on_cluster} INSERT ON ${database}.run_status TO ${database}_ingest;
GRANT ${on_cluster} INSERT ON ${database}.budget_status TO ${database}_ingest;
GRANT ${on_cluster} INSERT ON ${database}.forecasts TO ${database}_ingest;
GRANT ${on_cluster} INSERT ON ${database}.detector_state TO ${database}_ingest;
