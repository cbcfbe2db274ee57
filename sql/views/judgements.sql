-- Grain: one evaluation or feedback, each once, with the call that it judges. Key: kind, and the place in the log.
-- Reads: raw_evaluations and raw_feedback (400 days), raw_requests (90 days), written by the ingest job.
-- A judgement may carry nothing but the id of its call. The call is the one with target_event_id, or, where none was
-- given, with response_id; of several with one id the first in the log. The call's own fields go before those of
-- the judgement: tenant, feature, model, prompt. Without a call (a conversation is judged, or the call is
-- not here) request_event_id is NULL, and the judgement's own fields stand.
-- Looks for the calls in all raw_requests, reading a few columns of each: restrict started_at, and ask for
-- evaluations or feedback where the call does not matter.

CREATE OR REPLACE VIEW ${database}.judgements ${on_cluster} AS
WITH
    verdicts AS
    (
        SELECT
            'evaluation' AS kind, event_id, started_at, service, environment, tenant, team, feature, name,
            if(target_event_id = '', response_id, lower(target_event_id)) AS judged,
            multiIf(target_event_id != '', 'event_id', response_id != '', 'response_id', 'conversation_id') AS judged_by,
            provider, operation, if(response_model = '', request_model, response_model) AS model,
            prompt_name, prompt_version, conversation_id, score, label, evaluator, passed, explanation,
            log_id, _topic, _partition, _offset, _idx
        FROM ${database}.raw_evaluations
        UNION ALL
        SELECT
            'feedback' AS kind, event_id, started_at, service, environment, tenant, team, feature, name,
            if(target_event_id = '', response_id, lower(target_event_id)) AS judged,
            multiIf(target_event_id != '', 'event_id', response_id != '', 'response_id', 'conversation_id') AS judged_by,
            provider, operation, if(response_model = '', request_model, response_model) AS model,
            prompt_name, prompt_version, conversation_id, score, label, '' AS evaluator, NULL AS passed, comment AS explanation,
            log_id, _topic, _partition, _offset, _idx
        FROM ${database}.raw_feedback
    ),
    calls AS
    (
        SELECT
            named,
            argMin(
                (
                    event_id, started_at, tenant, team, feature, provider, operation,
                    if(response_model = '', request_model, response_model), prompt_name, prompt_version,
                    conversation_id, status, duration_ms, cost_pico_usd, finish_reasons, trace_id
                ),
                (log_id, _topic, _partition, _offset, _idx)
            ) AS call
        FROM ${database}.raw_requests
        ARRAY JOIN arrayDistinct([toString(event_id), response_id]) AS named
        WHERE named != '' AND named IN (SELECT judged FROM verdicts)
        GROUP BY named
    )
SELECT
    v.kind AS kind,
    v.event_id AS event_id,
    v.started_at AS started_at,
    v.service AS service,
    v.environment AS environment,
    if(c.call.3 = '', v.tenant, c.call.3) AS tenant,
    if(c.call.4 = '', v.team, c.call.4) AS team,
    if(c.call.5 = '', v.feature, c.call.5) AS feature,
    v.name AS name,
    v.judged_by AS judged_by,
    if(c.call.6 = '', v.provider, c.call.6) AS provider,
    if(c.call.7 = '', v.operation, c.call.7) AS operation,
    if(c.call.8 = '', v.model, c.call.8) AS model,
    if(c.call.9 = '', v.prompt_name, c.call.9) AS prompt_name,
    if(c.call.10 = '', v.prompt_version, c.call.10) AS prompt_version,
    if(c.call.11 = '', v.conversation_id, c.call.11) AS conversation_id,
    v.score AS score,
    v.label AS label,
    v.evaluator AS evaluator,
    v.passed AS passed,
    v.explanation AS explanation,
    if(c.named = '', NULL, c.call.1) AS request_event_id,
    if(c.named = '', NULL, c.call.2) AS request_started_at,
    c.call.12 AS request_status,
    if(c.named = '', NULL, c.call.13) AS request_duration_ms,
    usd_from_pico(c.call.14) AS request_cost_usd,
    c.call.15 AS request_finish_reasons,
    c.call.16 AS request_trace_id,
    v.log_id AS log_id,
    v._topic AS _topic,
    v._partition AS _partition,
    v._offset AS _offset,
    v._idx AS _idx
FROM verdicts AS v
LEFT JOIN calls AS c ON c.named = v.judged
COMMENT 'Evaluations and feedback, each once, with the model, prompt, tenant and cost of the call they judge. 400 days; calls 90 days.';

ALTER TABLE ${database}.judgements ${on_cluster}
    COMMENT COLUMN kind 'evaluation or feedback',
    COMMENT COLUMN event_id 'Identity of the evaluation or feedback',
    COMMENT COLUMN started_at 'When the judgement was made, UTC',
    COMMENT COLUMN service 'Service that emits the judgement',
    COMMENT COLUMN environment 'Environment of that service',
    COMMENT COLUMN tenant 'Customer or account; from the call where one was found',
    COMMENT COLUMN team 'Team that answers for the spend; from the call where one was found',
    COMMENT COLUMN feature 'Product feature; from the call where one was found',
    COMMENT COLUMN name 'What is measured: faithfulness, thumbs, …',
    COMMENT COLUMN judged_by 'What names the judged: event_id, response_id or conversation_id',
    COMMENT COLUMN provider 'Who was called; from the call where one was found',
    COMMENT COLUMN operation 'chat, embeddings, …; from the call where one was found',
    COMMENT COLUMN model 'Model that answered, or that was asked for; from the call where one was found',
    COMMENT COLUMN prompt_name 'Prompt template; from the call where one was found',
    COMMENT COLUMN prompt_version 'Version of the prompt template; from the call where one was found',
    COMMENT COLUMN conversation_id 'Conversation or session; from the call where one was found',
    COMMENT COLUMN score 'The score as a number [gen_ai.evaluation.score.value]',
    COMMENT COLUMN label 'The score as a word [gen_ai.evaluation.score.label]',
    COMMENT COLUMN evaluator 'Who judged',
    COMMENT COLUMN passed 'Whether it passed; a guardrail that did not is a policy violation',
    COMMENT COLUMN explanation 'Why, or what the user wrote',
    COMMENT COLUMN request_event_id 'event_id of the judged call; NULL: it is not here, or a conversation is judged',
    COMMENT COLUMN request_started_at 'When the judged call began, UTC; NULL: no call',
    COMMENT COLUMN request_status 'How the judged call ended; empty: no call',
    COMMENT COLUMN request_duration_ms 'Duration of the judged call, ms; NULL: no call',
    COMMENT COLUMN request_cost_usd 'Exact cost of the judged call, USD; NULL: unpriced or no call',
    COMMENT COLUMN request_finish_reasons 'Why each choice of the judged call stopped',
    COMMENT COLUMN request_trace_id 'Trace of the judged call',
    COMMENT COLUMN log_id 'Incarnation of the log that the event came from',
    COMMENT COLUMN _topic 'Topic that it came from',
    COMMENT COLUMN _partition 'Partition of the topic',
    COMMENT COLUMN _offset 'Offset of the Kafka record',
    COMMENT COLUMN _idx 'Place of the event inside its record, from 0';
