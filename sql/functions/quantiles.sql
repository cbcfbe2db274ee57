-- Percentiles from histograms, for any range of windows and any subset of dimensions:
--
--   SELECT p95_from_hist(sumMap(latency_hist)) FROM windows_1m WHERE … GROUP BY …
--
-- h is a summed histogram, Map(Int16, UInt64): bucket -> count, where bucket b holds the values in
-- (g^(b-1), g^b], g = 1.01/0.99, and -32768 holds zero. The answer is the representative of the
-- bucket that holds the value of rank ceil(q * n), 2 g^b / (g + 1): within 1 % of that value.
-- (DDSketch: Masson, Rim, Lee, VLDB 2019.) q may be any expression between 0 and 1.
-- An empty histogram has no percentile: NULL, which charts draw as a gap and aggregates skip.

CREATE OR REPLACE FUNCTION quantile_from_hist ${on_cluster} AS (h, q) ->
    if(arraySum(mapValues(h)) = 0, NULL,
        arrayMap(b -> if(b = -32768, 0., 2 * pow(1.01 / 0.99, b) / (1.01 / 0.99 + 1)),
            [arraySort(mapKeys(h))[arrayFirstIndex(
                c -> c >= greatest(1, ceil(q * arraySum(mapValues(h)) - 1e-9)),
                arrayCumSum(arraySort((n, b) -> b, mapValues(h), mapKeys(h))))]])[1]);

CREATE OR REPLACE FUNCTION p50_from_hist ${on_cluster} AS (h) -> quantile_from_hist(h, 0.5);

CREATE OR REPLACE FUNCTION p90_from_hist ${on_cluster} AS (h) -> quantile_from_hist(h, 0.9);

CREATE OR REPLACE FUNCTION p95_from_hist ${on_cluster} AS (h) -> quantile_from_hist(h, 0.95);

CREATE OR REPLACE FUNCTION p99_from_hist ${on_cluster} AS (h) -> quantile_from_hist(h, 0.99);
