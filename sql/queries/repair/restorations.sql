-- How often rows of one batch were brought back into one raw table.
SELECT uniqExact(run_id) AS restorations
FROM ${database}.window_repairs
WHERE startsWith(run_id, {prefix:String})
SETTINGS select_sequential_consistency = 1
