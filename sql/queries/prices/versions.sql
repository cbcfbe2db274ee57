-- Complete price versions, the latest first.
SELECT price_version
FROM ${database}.price_versions
GROUP BY price_version
ORDER BY min(written_at) DESC, price_version
