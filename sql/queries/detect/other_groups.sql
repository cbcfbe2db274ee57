-- Groups of detect workers besides one's own that have taken a snapshot lately, the latest first.
SELECT
    detect_group,
    max(taken_at_us) AS last_us
FROM ${database}.detector_state
WHERE detect_group NOT IN ('', {group:String}) AND taken_at_us > {since_us:Int64}
GROUP BY detect_group
ORDER BY last_us DESC
