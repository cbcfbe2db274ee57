"""Rules about the pipeline itself; all limits but freshness are those of the detect job.

`pipeline-freshness` is the one rule that says when ClickHouse cannot be asked.
"""

from __future__ import annotations

from typing import Final

from tokentide_dashboards.kit.limits import (
    DEAD_LETTERS_SHARE,
    LATE_S,
    LOST_SHARE,
    NO_DETECTOR_S,
    PIPELINE,
    SILENT_S,
    STALE_S,
    UNPRICED_SHARE,
)
from tokentide_dashboards.kit.uid import Uid
from tokentide_dashboards.rules.rule import Rule
from tokentide_jobs.core.tables import (
    DEAD_LETTERS,
    DETECTOR_STATE,
    INTENTS,
    POSITIONS,
    RAW_TABLES,
)

__all__ = ["PIPELINE_RULES"]

_STATS: Final = RAW_TABLES["stats"]

_SHOW_LEDGER: Final = {
    "How every partition stands": "SELECT * FROM pipeline_health ORDER BY last_done_at",
    "The last batches": f"""\
SELECT topic, partition, done_at, records, events, dead_letters, insert_ms, retries, worker
FROM {POSITIONS} WHERE written_at > now() - INTERVAL 1 DAY ORDER BY done_at_us DESC LIMIT 20""",
}
_FRESH: Final = f"""\
    SELECT 'ingest' AS job, toUnixTimestamp($__toTime) - max(done_at_us) / 1e6 AS age_s
    FROM {POSITIONS}
    WHERE written_at > $__toTime - 604800 AND done_at_us <= toUnixTimestamp($__toTime) * 1000000
    HAVING count() > 0"""
_LAG: Final = f"""\
    SELECT
        toString(topic) AS topic, toString(partition) AS log_partition,
        maxIf(done_at_us / 1e6 - first_record_ms / 1e3,
            done_at_us > toUnixTimestamp($__fromTime) * 1000000 AND NOT adopted) AS waited_s
    FROM {POSITIONS}
    WHERE written_at > $__toTime - 86400 AND done_at_us <= toUnixTimestamp($__toTime) * 1000000
    GROUP BY topic, log_partition"""
_REFUSED: Final = f"""\
    SELECT
        toString(topic) AS topic,
        sumIf(dead_letters, done_at_us > toUnixTimestamp($__fromTime) * 1000000) AS refused,
        sumIf(events, done_at_us > toUnixTimestamp($__fromTime) * 1000000) AS accepted,
        if(refused < {PIPELINE.dead_letters}, 0, refused / greatest(refused + accepted, 1)) AS share
    FROM {POSITIONS}
    WHERE written_at > $__toTime - 86400 AND done_at_us <= toUnixTimestamp($__toTime) * 1000000
    GROUP BY topic"""
_UNPRICED: Final = f"""\
    SELECT
        toString(provider) AS provider, toString(model) AS model,
        sumIf(requests, window_start > $__fromTime) AS n,
        sumIf(unpriced, window_start > $__fromTime) AS without_price,
        if(without_price < {PIPELINE.unpriced}, 0, without_price / greatest(n, 1)) AS share
    FROM windows_1m
    WHERE window_start > $__toTime - 86400 AND window_start <= $__toTime AND requests > 0
    GROUP BY provider, model"""
_LOST: Final = f"""\
    SELECT
        toString(service) AS service,
        sum(lost_events) AS lost,
        if(lost < {PIPELINE.lost}, 0, lost / greatest(sum(emitted_since), lost, 1)) AS share
    FROM
    (
        SELECT
            service, producer_id,
            min(started_at) AS first_at,
            max(started_at) - toIntervalMillisecond(max(ifNull(uptime_ms, 0))) > $__fromTime AS is_new,
            maxIf(ifNull(dropped, 0) + ifNull(failed, 0), started_at > $__fromTime) AS newest_lost,
            minIf(ifNull(dropped, 0) + ifNull(failed, 0), started_at > $__fromTime) AS oldest_lost,
            maxIf(ifNull(emitted, 0), started_at > $__fromTime) AS newest_emitted,
            minIf(ifNull(emitted, 0), started_at > $__fromTime) AS oldest_emitted,
            newest_lost - if(is_new, 0, oldest_lost) AS lost_events,
            newest_emitted - if(is_new, 0, oldest_emitted) AS emitted_since
        FROM {_STATS}
        WHERE started_at > $__toTime - 86400 AND started_at <= $__toTime
        GROUP BY service, producer_id
    )
    GROUP BY service"""
_SILENT: Final = f"""\
    SELECT
        toString(service) AS service,
        toUnixTimestamp(max(ingested_at)) AS last_s,
        last_s - toUnixTimestamp(min(ingested_at)) AS watched_s,
        uniqExact(toStartOfFiveMinutes(ingested_at)) * 300 >= 0.95 * watched_s AND watched_s >= 21600 AS always_reports,
        if(always_reports, toUnixTimestamp($__toTime) - last_s, 0) AS silent_s
    FROM {_STATS}
    WHERE started_at > $__toTime - 86400 AND ingested_at > $__toTime - 86400 AND ingested_at <= $__toTime
    GROUP BY service"""
_HEARTBEAT: Final = f"""\
    SELECT
        'detect' AS job,
        (SELECT max(taken_at_us) FROM {DETECTOR_STATE} WHERE taken_at_us <= toUnixTimestamp($__toTime) * 1000000) / 1e6 AS snapshot_s,
        (SELECT min(toUnixTimestamp(written_at)) FROM {INTENTS} WHERE written_at <= $__toTime) AS began_s,
        multiIf(snapshot_s > 0, toUnixTimestamp($__toTime) - snapshot_s,
            began_s > 0, toUnixTimestamp($__toTime) - began_s, 0) AS age_s"""
_SHOW_PRODUCERS: Final = {
    "What producers reported last": """\
SELECT service, host, producer_id, max(started_at) AS last_at, max(emitted) AS emitted, max(dropped) AS dropped,
    max(failed) AS failed, argMax(last_error, started_at) AS last_error
FROM producer_stats WHERE started_at > now() - INTERVAL 1 DAY
GROUP BY service, host, producer_id ORDER BY last_at""",
}

PIPELINE_RULES: Final = (
    Rule(
        name="pipeline-freshness",
        title="Nothing new is stored, or ClickHouse cannot be asked",
        severity="page",
        signal="pipeline",
        source=_FRESH,
        labels=("job",),
        value="age_s",
        above=STALE_S,
        unit="s since the last batch",
        range_s=900,
        keep_firing="5m",
        no_data="Alerting",
        error="Error",
        board=Uid.PIPELINE,
        panel="Since the last finished batch",
        meaning="No batch was finished for ten minutes; producers report every 30 seconds, so a running pipeline "
        "always has one. Without any row no batch was ever finished. As DatasourceError: Grafana cannot query "
        "ClickHouse, and this is the only rule that says so, all others keep their state.",
        first_action="Run `tokentide status`: it says what is wrong and what to do.",
        look=_SHOW_LEDGER,
    ),
    Rule(
        name="pipeline-lag",
        title="Records wait too long to be stored",
        severity="page",
        signal="pipeline",
        source=_LAG,
        labels=("topic", "log_partition"),
        value="waited_s",
        above=LATE_S,
        unit="s from Kafka to rows",
        range_s=300,
        board=Uid.PIPELINE,
        panel="Delay of ingest by partition",
        meaning="The oldest record of a batch of the last five minutes waited for more than three minutes: "
        "windows, budgets and alerts are behind. Replayed batches do not count.",
        first_action="Run `tokentide status`: see whether workers run, and whether the store takes their rows.",
        look=_SHOW_LEDGER,
    ),
    Rule(
        name="dead-letters",
        title="Many events are refused",
        severity="ticket",
        signal="pipeline",
        source=_REFUSED,
        labels=("topic",),
        value="share",
        above=DEAD_LETTERS_SHARE,
        unit="of all events",
        range_s=600,
        board=Uid.PIPELINE,
        panel="Events refused",
        meaning="A producer sends what the contract does not allow, or a backfill reaches too far back. "
        "Refused events are kept for 30 days and can be replayed.",
        first_action="See why events are refused: `tokentide dlq list`.",
        look={
            "Why, and whose": f"""\
SELECT service, reason, field, count() AS n, any(detail) AS detail
FROM {DEAD_LETTERS} WHERE ingested_at > now() - INTERVAL 1 HOUR
GROUP BY service, reason, field ORDER BY n DESC LIMIT 50"""
        },
        owner="the team of the service that sends them",
    ),
    Rule(
        name="unpriced-share",
        title="Requests have no price",
        severity="ticket",
        signal="cost",
        source=_UNPRICED,
        labels=("provider", "model"),
        value="share",
        above=UNPRICED_SHARE,
        unit="of the requests",
        range_s=3_600,
        delay_s=60,
        pending="10m",
        board=Uid.COST,
        panel="Calls without a cost",
        meaning="Requests of this model have no price, so budgets and spend say less than was spent.",
        first_action="Add the model to prices.yaml, then `tokentide reprice`.",
        look={"Models without a price": "SELECT * FROM unpriced LIMIT 50"},
    ),
    Rule(
        name="producer-loss",
        title="A producer loses events",
        severity="ticket",
        signal="pipeline",
        source=_LOST,
        labels=("service",),
        value="share",
        above=LOST_SHARE,
        unit="of what it emitted",
        range_s=900,
        board=Uid.PIPELINE,
        panel="Producers that lose events or went silent",
        meaning="By their own counters, producers of this service dropped events or could not deliver them.",
        first_action="See what producers report (view producer_stats): the broker was away, or the queue is too small.",
        look=_SHOW_PRODUCERS,
        owner="the team of the service",
    ),
    Rule(
        name="producer-silence",
        title="A service that always reported is silent",
        severity="ticket",
        signal="pipeline",
        source=_SILENT,
        labels=("service",),
        value="silent_s",
        above=SILENT_S,
        unit="s since its last report",
        range_s=900,
        board=Uid.PIPELINE,
        panel="Producers that lose events or went silent",
        meaning="Its producers reported in nearly every five minutes for six hours or more, and do no more. "
        "It ends when they report again, or after a day.",
        first_action="See whether the service runs, and whether it reaches Kafka: `tokentide check-producer`.",
        look=_SHOW_PRODUCERS,
        owner="the team of the service",
    ),
    Rule(
        name="detector-heartbeat",
        title="The detect job says nothing",
        severity="page",
        signal="pipeline",
        source=_HEARTBEAT,
        labels=("job",),
        value="age_s",
        above=NO_DETECTOR_S,
        unit="s since its last snapshot",
        range_s=900,
        pending="5m",
        no_data="Alerting",
        board=Uid.PIPELINE,
        panel="Since detection kept its state",
        meaning="The detect job stores a snapshot every five minutes, also while nothing comes, and three are "
        "missing: no alert, budget or forecast is made. Where none was ever stored, time counts from the first batch.",
        first_action="Start it (`tokentide worker detect`), or read its log.",
        look={
            "The last snapshots": f"""\
SELECT slot, fromUnixTimestamp64Micro(max(taken_at_us)) AS taken_at, any(worker) AS worker, count() AS pieces, any(chunks) AS of
FROM {DETECTOR_STATE} GROUP BY slot, snapshot_id ORDER BY taken_at DESC"""
        },
    ),
)
"""What is about the pipeline."""
