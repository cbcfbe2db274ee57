-- The pieces of one snapshot, in their order.
SELECT chunk, any(data) AS data
FROM ${database}.detector_state
WHERE slot = {slot:UInt32} AND snapshot_id = {snapshot_id:String}
GROUP BY chunk
ORDER BY chunk
