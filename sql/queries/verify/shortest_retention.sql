-- The shortest retention that a tenant has of its own, in days; 0: none has one.
SELECT min(kept) AS kept_days
FROM
(
    SELECT argMax(days, set_at) AS kept FROM ${database}.tenant_retention GROUP BY tenant
)
WHERE kept > 0
