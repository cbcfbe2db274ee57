-- Dead letters one by one, the newest first or the oldest first. An empty parameter is no bound.
SELECT
    log_id,
    _topic AS topic,
    _partition AS partition,
    _offset AS offset,
    _idx AS idx,
    reason,
    field,
    detail,
    base64Encode(value) AS value_base64,
    record_at,
    ingested_at,
    type,
    event_id,
    tenant,
    service,
    sdk_name,
    state
FROM ${database}.dead_letter_states
WHERE ({reason:String} = '' OR reason = {reason:String})
    AND ({field:String} = '' OR field = {field:String})
    AND ingested_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
    AND ingested_at < fromUnixTimestamp64Micro({until_us:Int64}, 'UTC')
    AND (empty({places:Array(String)}) OR place IN {places:Array(String)})
    AND (empty({states:Array(String)}) OR state IN {states:Array(String)})
ORDER BY
    {sign:Int8} * toUnixTimestamp64Milli(ingested_at),
    {sign:Int8} * partition,
    {sign:Int8} * offset,
    {sign:Int8} * idx
LIMIT {limit:UInt64}
