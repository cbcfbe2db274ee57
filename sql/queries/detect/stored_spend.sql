-- What a budget's scope spent of what is stored already, in three parts of time: [before_us, begin_us),
-- [begin_us, end_us), and later. Only rows before the offset `ends` of their source count, where the
-- sources are (log_id, topic, partition) as texts joined by a line feed; rows of other sources do not.
-- Of each dimension the values that count; none: all of them. kind '': any subject.
SELECT
    multiIf(at_us < {begin_us:Int64}, 0, at_us < {end_us:Int64}, 1, 2) AS part,
    min(toUnixTimestamp64Micro(started_at) AS at_us) AS first_us,
    sum(toInt128(ifNull(r.cost_pico_usd, 0))) AS cost_pico_usd,
    count() AS requests,
    countIf(isNull(r.cost_pico_usd)) AS unpriced
FROM ${database}.raw_requests AS r
WHERE started_at >= fromUnixTimestamp64Micro({before_us:Int64})
    AND _offset < {ends:Array(Int64)}[indexOf({sources:Array(String)}, concat(log_id, '\n', _topic, '\n', toString(_partition)))]
    AND (empty({tenant:Array(String)}) OR tenant IN {tenant:Array(String)})
    AND (empty({service:Array(String)}) OR service IN {service:Array(String)})
    AND (empty({environment:Array(String)}) OR environment IN {environment:Array(String)})
    AND (empty({operation:Array(String)}) OR operation IN {operation:Array(String)})
    AND (empty({provider:Array(String)}) OR provider IN {provider:Array(String)})
    AND (empty({model:Array(String)}) OR if(response_model != '', response_model, request_model) IN {model:Array(String)})
    AND (empty({prompt_name:Array(String)}) OR prompt_name IN {prompt_name:Array(String)})
    AND (empty({prompt_version:Array(String)}) OR prompt_version IN {prompt_version:Array(String)})
    AND (empty({feature:Array(String)}) OR feature IN {feature:Array(String)})
    AND (empty({team:Array(String)}) OR team IN {team:Array(String)})
    AND ({kind:String} != 'user' OR user_hash = {subject:String})
    AND ({kind:String} != 'key' OR key_id = {subject:String})
    AND ({kind:String} != 'agent' OR if(agent_name = '', agent_id, agent_name) = {subject:String})
    AND ({kind:String} != 'run' OR run = {subject:String})
GROUP BY part
ORDER BY part
