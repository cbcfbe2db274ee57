-- The histogram of one value, of the kind that windows hold (functions p50_from_hist … p99_from_hist):
--
--   SELECT p95_from_hist(sumMap(hist_of(duration_ms))) FROM requests WHERE …
--
-- One entry, or none for NULL. What is below 1e-9 counts as zero. A value that lies on the bound of two buckets
-- may come into the other one here: both stand for it within 1 %.

CREATE OR REPLACE FUNCTION hist_of ${on_cluster} AS (x) ->
    CAST(multiIf(
        x IS NULL, map(),
        x < 1e-9, map(-32768, 1),
        map(toInt16(ceil(log(assumeNotNull(x)) / log(1.01 / 0.99))), 1)), 'Map(Int16, UInt64)');
