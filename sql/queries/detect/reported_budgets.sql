-- Every budget that was ever reported, as long as rows of it are kept.
SELECT DISTINCT budget
FROM ${database}.budget_status
ORDER BY budget
