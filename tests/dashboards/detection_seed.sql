-- What detection stored by 2026-11-18 12:00 UTC: an open alert, one that closed, and how budgets, runs and SLOs stand.

INSERT INTO ${database}.alert_events
    (id, alert_id, sequence, state, at, severity, why, kind, key, dimensions, tenant, metric, direction,
     sentence, value, expected, lower, upper, unit, n, evidence, threshold, since, opened_at,
     impact_pico_usd_hour, impact_failed_minute, causes, first_action, runbook, payload, identity)
SELECT
    leftPad(toString(number), 32, 'e'), leftPad(toString(number % 2), 32, 'a'), intDiv(number, 2),
    if(number = 3, 'closed', 'open'), toDateTime64('2026-11-18 09:00:00', 6, 'UTC') + toIntervalHour(intDiv(number, 2)),
    ['page', 'ticket'][number % 2 + 1], 'evidence', ['anomaly', 'budget'][number % 2 + 1],
    ['provider=openai, model=gpt-4.1', 'budget=search'][number % 2 + 1],
    if(number % 2 = 0, map('provider', 'openai', 'model', 'gpt-4.1'), map('team', 'search')), '',
    ['cost_per_request_usd', 'spend'][number % 2 + 1], 'up',
    'costs three times what it did', 3, 1, 0.8, 1.2, 'usd', 200, 12, 8,
    toDateTime64('2026-11-18 08:30:00', 6, 'UTC'), toDateTime64('2026-11-18 09:00:00', 6, 'UTC'),
    4200000000000, 1.5, ['prompt answer v1 -> v2'], 'look at the prompt', 'cost',
    ['{"causes": [{"shared": ["model"]}]}', '{"causes": [{"shared": []}]}'][number % 2 + 1],
    leftPad(toString(number % 2), 32, 'i')
FROM numbers(4);

INSERT INTO ${database}.anomaly_points
    (id, window_start, window_s, level, key, dimensions, tenant, metric, unit, what, test, value, expected, lower,
     upper, n, score, evidence, threshold, since, opened_at, is_young, cost_usd, reason)
SELECT
    leftPad(toString(number), 32, 'p'), toDateTime('2026-11-18 09:00:00', 'UTC') + toIntervalMinute(number), 60,
    'provider+model', 'provider=openai, model=gpt-4.1', map('provider', 'openai', 'model', 'gpt-4.1'), '',
    'cost_per_request_usd', 'usd', ['opened', 'extreme', 'closed'][number % 3 + 1], 'up', 3, 1, 0.8, 1.2, 200, 1, 12, 8,
    toDateTime('2026-11-18 08:30:00', 'UTC'), toDateTime('2026-11-18 09:00:00', 'UTC'), false, 1, 'costs more'
FROM numbers(30);

INSERT INTO ${database}.run_status
    (id, at, tenant, run, agent, rule, value, allowed, learned_from, spend_pico_usd, per_minute_pico_usd, calls,
     tools, is_history, sentence, seen_at)
SELECT
    leftPad(toString(number), 32, 'r'), toDateTime64('2026-11-18 10:00:00', 6, 'UTC') + toIntervalMinute(number),
    'acme', concat('r', toString(number)), 'researcher', ['budget', 'repeats', 'spend_rate'][number % 3 + 1],
    5000000000000, 2000000000000, 'agent', 5000000000000, 100000000000, 80, ['search'], false, 'spends too much',
    toDateTime64('2026-11-18 10:00:00', 6, 'UTC')
FROM numbers(6);

INSERT INTO ${database}.budget_status
    (budget, revision, scope, tenant, kind, period, period_start, period_end, amount_pico_usd, spent_pico_usd, requests,
     unpriced, thresholds, reached, reached_at, at)
VALUES
    ('search', 'x', map('team', 'search'), '', 'hard', 'month', '2026-11-01 00:00:00', '2026-12-01 00:00:00',
     100000000000000, 62000000000000, 5000, 10, [50, 80, 100], [50], ['2026-11-15 00:00:00'], '2026-11-18 11:59:00'),
    ('everything', 'x', map(), '', 'soft', 'day', '2026-11-18 00:00:00', '2026-11-19 00:00:00',
     1000000000000, 900000000000, 900, 1, [80], [80], ['2026-11-18 11:00:00'], '2026-11-18 11:59:00');

INSERT INTO ${database}.forecasts
    (budget, tenant, period_start, period_end, made_at, amount_pico_usd, spent_pico_usd, expected_pico_usd,
     low_pico_usd, high_pico_usd, method, rests_on, verdict)
SELECT
    ['search', 'everything'][number % 2 + 1], '',
    ['2026-11-01 00:00:00', '2026-11-18 00:00:00'][number % 2 + 1],
    ['2026-12-01 00:00:00', '2026-11-19 00:00:00'][number % 2 + 1],
    toDateTime('2026-11-18 00:00:00', 'UTC') + toIntervalHour(intDiv(number, 2)),
    100000000000000, 62000000000000, 105000000000000, 90000000000000, 120000000000000, 'profile', 'four weeks', 'over'
FROM numbers(24);

INSERT INTO ${database}.slo_status
    (slo, tenant, scope, at, objective, window_days, total, bad, budget_left, burn, severity, sentence)
SELECT
    'answers', '', map(), toDateTime('2026-11-18 00:00:00', 'UTC') + toIntervalHour(number), 0.99, 30, 10000, 40, 0.6,
    0.8, '', 'is kept'
FROM numbers(12);

INSERT INTO ${database}.notifications (transition_id, alert_id, receiver, outcome, status, detail, took_ms, at)
VALUES ('e', 'a', 'on-call', 'delivered', 200, '', 40, '2026-11-18 09:00:01');

INSERT INTO ${database}.detector_state
    (slot, chunk, chunks, snapshot_id, taken_at_us, version, topic_id, partitions, offsets, worker, bytes, data)
VALUES (0, 0, 1, 's', 1795003140000000, 1, 't', [0], [12], 'host:1', 4, 'data');
