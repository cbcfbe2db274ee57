"""Pipeline health: does every event arrive, how late, and what was refused or lost on the way.

All of it is read from ClickHouse, so that it stands when no worker is alive to be asked.
"""

from __future__ import annotations

from tokentide_dashboards.boards.pipeline_store import PARTS, QUERIES, QUERY_CPU
from tokentide_dashboards.kit.board import Board, Row
from tokentide_dashboards.kit.limits import (
    DEAD_LETTERS_SHARE,
    LATE_S,
    LOST_SHARE,
    NO_DETECTOR_S,
    SILENT_S,
    STALE_S,
    up_to,
)
from tokentide_dashboards.kit.override import Override
from tokentide_dashboards.kit.query import any_of
from tokentide_dashboards.kit.series import Lines
from tokentide_dashboards.kit.table import Stat, Table
from tokentide_dashboards.kit.threshold import Threshold
from tokentide_dashboards.kit.uid import Uid
from tokentide_dashboards.kit.unit import Unit
from tokentide_dashboards.kit.variable import Variable

__all__ = ["PIPELINE"]

NO_BATCHES = (
    "No batch was finished in this range: widen it. If services do send, no ingest worker runs, or "
    "none can write: `tokentide status` says which."
)
NO_DEAD_LETTERS = "No event was refused in this range: nothing is to be done."
NO_REPORTS = (
    "No producer reported in this range: widen it, or choose All above. Producers report every "
    "30 s while they run (TOKENTIDE_STATS_INTERVAL_S in docs/producer.md)."
)
LATE_MS = LATE_S * 1_000
STALE = up_to(STALE_S)
ANY = Threshold(((1, "red"),))
TIME = "toStartOfInterval({}, toIntervalSecond($__interval_s))"
DONE = "written_at >= $__fromTime - toIntervalDay(1) AND $__timeFilter(done_at)"
"""Batches that were finished in the range; written_at lets whole months be passed over."""
DONE_TIME = TIME.format("toDateTime(done_at, 'UTC')")

SERVICE = Variable(
    name="service",
    label="Service",
    description="Whose producers and dead letters",
    sql=(
        "SELECT service FROM (SELECT service FROM raw_stats WHERE $__timeFilter(started_at)"
        " UNION DISTINCT SELECT service FROM dead_letters WHERE $__timeFilter(ingested_at))"
        " WHERE service != '' ORDER BY service LIMIT 500"
    ),
)

AGE = Stat(
    title="Since the last finished batch",
    description=(
        "Time from the last batch of any partition that is wholly queryable to the end of the "
        "range. It grows while nothing is sent, too: see events a second beside it."
    ),
    unit=Unit.DURATION_S,
    no_value=NO_BATCHES,
    threshold=STALE,
    sql="""\
SELECT dateDiff('second', max(done_at), $__toTime) AS age
FROM ingest_positions
WHERE done_at <= $__toTime AND written_at >= $__toTime - toIntervalDay(30)
HAVING count() > 0""",
)
DELAY = Stat(
    title="Delay of ingest, p99",
    description=(
        "From the youngest record of a batch being in Kafka to all its rows being queryable, over "
        "batches of the range."
    ),
    unit=Unit.MILLISECONDS,
    no_value=NO_BATCHES,
    threshold=up_to(LATE_MS),
    sql=f"""\
SELECT quantileExact(0.99)(done_at_us / 1000 - last_record_ms) AS p99_ms
FROM ingest_positions WHERE {DONE} HAVING count() > 0""",
)
OPEN = Stat(
    title="Batches sealed and not finished",
    description=(
        "One a partition is work in hand; more, or one that stays, means that inserts fail: the "
        "log of the worker says why."
    ),
    unit=Unit.COUNT,
    no_value=NO_BATCHES,
    threshold=Threshold(((5, "yellow"), (20, "red"))),
    sql="SELECT sum(open_batches) AS open FROM pipeline_health HAVING count() > 0",
)
HOLES = Stat(
    title="Offsets skipped",
    description="Holes between finished batches: anything but 0 is loss; run `tokentide verify`.",
    unit=Unit.COUNT,
    no_value=NO_BATCHES,
    threshold=ANY,
    sql="SELECT sum(missing_offsets) AS missing FROM pipeline_health HAVING count() > 0",
)
REFUSED = Stat(
    title="Events refused",
    description="Share of events that became dead letters, of all that batches of the range held.",
    unit=Unit.RATIO,
    no_value=NO_BATCHES,
    threshold=up_to(DEAD_LETTERS_SHARE),
    overrides=(
        Override(column="refused_share", title="refused"),
        Override(column="n", title="of n", unit=Unit.COUNT, color="text"),
    ),
    sql=f"""\
SELECT sum(dead_letters) / nullIf(n, 0) AS refused_share, sum(events + dead_letters) AS n
FROM ingest_positions WHERE {DONE} HAVING count() > 0""",
)
HEARTBEAT = Stat(
    title="Since detection kept its state",
    description=(
        "Age of the newest snapshot of the detect job at the end of the range: it is kept every "
        "few minutes while records come."
    ),
    unit=Unit.DURATION_S,
    no_value=(
        "The detect job never kept its state: it does not run, or runs since minutes. "
        "`tokentide worker detect` starts it (docs/detect.md)."
    ),
    threshold=Threshold(((NO_DETECTOR_S, "red"),)),
    sql=(
        "SELECT dateDiff('second', fromUnixTimestamp64Micro(max(taken_at_us)), $__toTime) AS age"
        " FROM detector_state HAVING count() > 0"
    ),
)

PARTITIONS = Table(
    title="Partitions",
    description=(
        "Each partition of each log over seven days: where it stands, and how long before the end "
        "of the range its last batch was finished. How far that is from the end of the log only "
        "the broker knows: `tokentide status`."
    ),
    unit=Unit.COUNT,
    no_value=NO_BATCHES,
    sql="""\
SELECT
    topic, partition, dateDiff('second', last_done_at, $__toTime) AS idle_s, last_done_at,
    position, sealed_until - position AS offsets_in_hand, open_batches, missing_offsets,
    events, dead_letters, insert_retries, insert_mean_ms, ingest_p50_delay_ms,
    ingest_p99_delay_ms, worker, log_id
FROM pipeline_health
ORDER BY idle_s DESC LIMIT 100""",
    overrides=(
        Override(column="topic", title="Topic"),
        Override(column="partition", title="Partition"),
        Override(
            column="idle_s",
            title="Last batch ago",
            unit=Unit.DURATION_S,
            threshold=STALE,
            cell="color-text",
        ),
        Override(column="last_done_at", title="Last batch", unit=Unit.MOMENT),
        Override(column="position", title="Next offset", unit=Unit.NONE),
        Override(column="offsets_in_hand", title="Offsets in hand", unit=Unit.NONE),
        Override(column="open_batches", title="Open batches"),
        Override(column="missing_offsets", title="Skipped", threshold=ANY, cell="color-text"),
        Override(column="events", title="Events"),
        Override(column="dead_letters", title="Dead letters"),
        Override(column="insert_retries", title="Inserts repeated"),
        Override(column="insert_mean_ms", title="Insert, mean", unit=Unit.MILLISECONDS),
        Override(column="ingest_p50_delay_ms", title="Delay p50", unit=Unit.MILLISECONDS),
        Override(column="ingest_p99_delay_ms", title="Delay p99", unit=Unit.MILLISECONDS),
        Override(column="worker", title="Worker"),
        Override(column="log_id", title="Log"),
    ),
)

ARRIVED = Lines(
    title="Events that became queryable",
    description="Accepted events a second, by the moment at which their batch was finished.",
    unit=Unit.PER_SECOND,
    no_value=NO_BATCHES,
    by=("topic",),
    sql=f"""\
SELECT {DONE_TIME} AS time, topic, sum(events) / $__interval_s AS events_per_s
FROM ingest_positions WHERE {DONE}
GROUP BY time, topic ORDER BY time""",
)
LAG = Lines(
    title="Delay of ingest by partition",
    description="Worst of the batches: from the youngest record in Kafka to all rows queryable.",
    unit=Unit.MILLISECONDS,
    no_value=NO_BATCHES,
    threshold=up_to(LATE_MS),
    by=("topic", "partition"),
    sql=f"""\
SELECT
    {DONE_TIME} AS time, topic, toString(partition) AS partition,
    max(done_at_us / 1000 - last_record_ms) AS delay_ms
FROM ingest_positions WHERE {DONE}
GROUP BY time, topic, partition ORDER BY time""",
)
WORK = Lines(
    title="Where the time of a batch goes",
    description="Mean of decoding, pricing and folding, and of all inserts with their repetitions.",
    unit=Unit.MILLISECONDS,
    no_value=NO_BATCHES,
    is_stacked=True,
    sql=f"""\
SELECT {DONE_TIME} AS time, avg(compute_ms) AS compute, avg(insert_ms) AS insert
FROM ingest_positions WHERE {DONE}
GROUP BY time ORDER BY time""",
)

DEAD_LETTERS_BY_REASON = Lines(
    title="Dead letters",
    description="Refused events by reason; each is kept with its bytes for 30 days.",
    unit=Unit.COUNT,
    no_value=NO_DEAD_LETTERS,
    by=("reason",),
    style="bars",
    is_stacked=True,
    sql=f"""\
SELECT {TIME.format("toDateTime(ingested_at, 'UTC')")} AS time, reason, count() AS refused_events
FROM dead_letters
WHERE $__timeFilter(ingested_at) AND {any_of("service")}
GROUP BY time, reason ORDER BY time""",
)
DEAD_LETTERS_BY_SERVICE = Table(
    title="Dead letters by service and reason",
    description=(
        "Most frequent first, with one example. `tokentide dlq list` shows them; what was fixed "
        "`tokentide dlq replay` sends again."
    ),
    unit=Unit.COUNT,
    no_value=NO_DEAD_LETTERS,
    sql=f"""\
SELECT
    if(service = '', 'unknown', service) AS of_service, reason, field, count() AS refused_events,
    countIf(state IN ('open', 'again')) AS still_open,
    min(ingested_at) AS first_at, max(ingested_at) AS last_at,
    argMax(detail, ingested_at) AS example
FROM dead_letter_states
WHERE $__timeFilter(ingested_at) AND {any_of("service")}
GROUP BY of_service, reason, field
ORDER BY refused_events DESC LIMIT 50""",
    overrides=(
        Override(column="of_service", title="Service"),
        Override(column="reason", title="Reason"),
        Override(column="field", title="Field"),
        Override(column="refused_events", title="Dead letters"),
        Override(column="still_open", title="Not handled"),
        Override(column="first_at", title="First", unit=Unit.MOMENT),
        Override(column="last_at", title="Last", unit=Unit.MOMENT),
        Override(column="example", title="Example", width=420),
    ),
)

PRODUCERS = Table(
    title="Producers that lose events or went silent",
    description=(
        "Events that a producer dropped or could not deliver in the range, of those it took, and "
        "how long before the end of the range it last reported; losses first. A producer that "
        "ended well is silent too: look where a whole service is."
    ),
    unit=Unit.COUNT,
    no_value=NO_REPORTS,
    sql=f"""\
SELECT
    service, host, pid, lost / nullIf(n, 0) AS lost_share, taken AS n,
    dropped_since AS dropped, failed_since AS failed, last_queued AS queued,
    dateDiff('second', last_at, $__toTime) AS silent_s, error
FROM (
    SELECT
        service, any(host) AS host, toString(any(pid)) AS pid,
        min(started_at) - toIntervalMillisecond(toInt64(ifNull(argMin(uptime_ms, started_at), 0)))
            >= $__fromTime AS is_new,
        max(ifNull(dropped, 0)) - if(is_new, 0, min(ifNull(dropped, 0))) AS dropped_since,
        max(ifNull(failed, 0)) - if(is_new, 0, min(ifNull(failed, 0))) AS failed_since,
        dropped_since + failed_since AS lost,
        max(ifNull(emitted, 0)) - if(is_new, 0, min(ifNull(emitted, 0))) AS taken,
        argMax(queued, started_at) AS last_queued, max(started_at) AS last_at,
        argMax(last_error, started_at) AS error
    FROM raw_stats
    WHERE $__timeFilter(started_at) AND {any_of("service")}
    GROUP BY service, producer_id
)
ORDER BY lost DESC, silent_s DESC LIMIT 100""",
    overrides=(
        Override(column="service", title="Service"),
        Override(column="host", title="Host"),
        Override(column="pid", title="Process"),
        Override(
            column="lost_share",
            title="Lost",
            unit=Unit.RATIO,
            threshold=Threshold(((1e-9, "yellow"), (LOST_SHARE, "red"))),
            cell="color-text",
        ),
        Override(column="n", title="of n taken"),
        Override(column="dropped", title="Dropped"),
        Override(column="failed", title="Not delivered"),
        Override(column="queued", title="Waiting"),
        Override(
            column="silent_s",
            title="Silent for",
            unit=Unit.DURATION_S,
            threshold=up_to(SILENT_S),
            cell="color-text",
        ),
        Override(column="error", title="Last error", width=300),
    ),
)
REPORTING = Lines(
    title="Producers that report",
    description="Processes that sent a report, by service: a line that ends is a service gone.",
    unit=Unit.COUNT,
    no_value=NO_REPORTS,
    by=("service",),
    sql=f"""\
SELECT
    {TIME.format("toDateTime(started_at, 'UTC')")} AS time, service,
    uniqExact(producer_id) AS producers
FROM raw_stats
WHERE $__timeFilter(started_at) AND {any_of("service")}
GROUP BY time, service ORDER BY time""",
)

PIPELINE = Board(
    uid=Uid.PIPELINE,
    title="Pipeline health",
    description="Does every event arrive, how late, and what was refused or lost on the way?",
    variables=(SERVICE,),
    rows=(
        Row((AGE, DELAY, OPEN, HOLES, REFUSED, HEARTBEAT), height=4),
        Row((PARTITIONS,), height=7),
        Row((ARRIVED, LAG, WORK)),
        Row((DEAD_LETTERS_BY_REASON, DEAD_LETTERS_BY_SERVICE), title="Dead letters"),
        Row((REPORTING, PRODUCERS), title="Producers"),
        Row((PARTS, QUERIES), title="Store", height=9),
        Row((QUERY_CPU,)),
    ),
)
