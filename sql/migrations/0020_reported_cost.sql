-- What others say a call cost (gateways, providers, coding agents), beside the computed cost: an optional field of every
-- request. It is never part of a sum of ours; the view cost_reported_vs_computed compares the two.

ALTER TABLE ${database}.raw_requests ${on_cluster}
    ADD COLUMN IF NOT EXISTS reported_cost_pico_usd Nullable(Int64) CODEC(GCD, T64, ZSTD(1)) COMMENT 'Cost as somebody else reports it, pico-USD; never part of cost_pico_usd' AFTER inference_geo,
    ADD COLUMN IF NOT EXISTS reported_cost_source LowCardinality(String) COMMENT 'Who reports it: a provider, a gateway or a coding agent' AFTER reported_cost_pico_usd;

-- The copy that refused rows are tried on is made anew, with these columns, when it is needed.
DROP TABLE IF EXISTS ${database}.raw_requests_probe ${on_cluster};
