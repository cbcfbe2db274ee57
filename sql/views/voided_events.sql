-- Grain: one raw row that is taken out now. Key: (log_id, _topic, _partition, _offset, _idx).
-- Reads: event_voids and voided_rows (`tokentide void`); kept for ever. What was let in again is not here.
-- Of several that took an event out, at once or later, the first one since it was let in holds, also for rows that
-- are written down under another of them, as earlier releases did.

CREATE OR REPLACE VIEW ${database}.voided_events ${on_cluster} AS
SELECT
    r.* REPLACE (d.revision AS revision),
    d.held.2 AS reason,
    d.held.3 AS decided_by,
    d.held.4 AS account,
    d.held.5 AS decided_at
FROM ${database}.voided_rows AS r
INNER JOIN
(
    SELECT
        v.event_id AS event_id,
        maxIf(v.revision, NOT v.is_void) AS let_in,
        groupArrayIf((v.revision, v.reason, v.decided_by, v.account, v.written_at), v.is_void) AS taken_out,
        arraySort(arrayFilter(decision -> decision.1 > let_in, taken_out))[1] AS held,
        held.1 AS revision -- 0: it is not out
    FROM ${database}.event_voids AS v
    GROUP BY event_id
) AS d ON r.event_id = d.event_id
WHERE d.revision > 0 AND r.revision > d.let_in
LIMIT 1 BY r.log_id, r._topic, r._partition, r._offset, r._idx -- two runs at once may have written it down twice
COMMENT 'Rows that were taken out with tokentide void: what went, who took it out, when and why. Kept for ever.';

ALTER TABLE ${database}.voided_events ${on_cluster}
    COMMENT COLUMN revision 'Number of the decision that holds (event_voids): the first that took it out',
    COMMENT COLUMN event_id 'Of the event; all of its rows went',
    COMMENT COLUMN raw_table 'Table that the row was in',
    COMMENT COLUMN started_at 'UTC start of the event',
    COMMENT COLUMN tenant 'Of the event',
    COMMENT COLUMN service 'Of the event',
    COMMENT COLUMN environment 'Of the event',
    COMMENT COLUMN provider 'Of a request; empty for other events',
    COMMENT COLUMN model 'Response model of a request, or request model where none was reported',
    COMMENT COLUMN input_tokens 'Input tokens that went with the row, caches included; NULL: not reported',
    COMMENT COLUMN output_tokens 'Output tokens that went with the row, reasoning included; NULL: not reported',
    COMMENT COLUMN cost_pico_usd 'Cost that went with the row, 1e-12 USD; NULL: it had none',
    COMMENT COLUMN price_version 'Card set that had priced the row',
    COMMENT COLUMN log_id 'Incarnation of the log; this and the next four are the place of the row',
    COMMENT COLUMN _topic 'Kafka topic',
    COMMENT COLUMN _partition 'Partition of the topic',
    COMMENT COLUMN _offset 'Offset of the record',
    COMMENT COLUMN _idx 'Place of the event inside its record',
    COMMENT COLUMN written_at 'When the row was written down, clock of the server',
    COMMENT COLUMN reason 'Why it was taken out, in the words of who decided',
    COMMENT COLUMN decided_by 'Account of the operating system, and host',
    COMMENT COLUMN account 'Account of ClickHouse that decided',
    COMMENT COLUMN decided_at 'When it was decided, clock of the server';
