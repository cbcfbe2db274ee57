"""Writes the figures of bench/results.json into README: the table "Measured", between two marks.

`python -m bench` does it after every measurement, `python -m bench.readme` without measuring. A
measurement that has not been run has no row, so no figure outlives the run it came from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

__all__ = ["BEGIN", "END", "README", "RESULTS", "table", "with_table"]

RESULTS: Final = Path(__file__).parent / "results.json"
README: Final = Path(__file__).parent.parent / "README.md"
BEGIN: Final = "<!-- begin: figures, written by `python -m bench.readme` -->"
END: Final = "<!-- end -->"

Figures = Mapping[str, Any]
Rows = Iterator[tuple[str, str]]


def table(results: Mapping[str, Figures]) -> str:
    """Return the table of the measurements that results hold."""
    rows = ["| | | on |", "|---|---|---|"]
    for name, rows_of in _ROWS_OF.items():
        if name in results:
            day, found = results[name]["day"], results[name]["figures"]
            rows += [f"| {what} | {figure} | {day} |" for what, figure in rows_of(found)]
    return "\n".join(rows)


def with_table(page: str, results: Mapping[str, Figures]) -> str:
    """Return a page with the table in its place.

    Raises:
        ValueError: A mark is missing.
    """
    before, begin, rest = page.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks {BEGIN!r} or, after it, {END!r}: put them in again")
    return f"{before}{BEGIN}\n{table(results)}\n{END}{after}"


def _emit(found: Figures) -> Rows:
    emit, span = found["emit"], found["otel_span"]
    yield (
        "`emit()` on the caller's thread",
        f"p50 {_us(emit['p50_ns'])} µs, p99 {_us(emit['p99_ns'])} µs; an OpenTelemetry span"
        f" (start, 16 attributes, end, batch processor) p50 {_us(span['p50_ns'])} µs",
    )
    yield (
        f"background thread, per event at {found['events_per_s']:,} events/s",
        f"{found['background_us_per_event']:.0f} µs: {found['background_of_orjson']:.0f} times"
        " `orjson.dumps` of it on a thread that wakes as rarely,"
        f" {found['background_of_hot_orjson']:.0f} times that in a hot loop",
    )
    yield (
        "SDK resident memory while it delivers",
        f"{found['sdk_producing_rss_mb']:.0f} MB added to a bare interpreter,"
        f" {found['sdk_producing_rss_mb_in_asyncio_host']:.0f} MB to a host that uses asyncio",
    )


def _producer(found: Figures) -> Rows:
    clients = ("openai", "anthropic")
    for what, key in (
        ("`instrument()`, per call, caller's thread (real clients: openai, anthropic)", "call"),
        ("… per streamed chunk", "chunk"),
    ):
        added = [found[client][f"added_us_per_{key}"] for client in clients]
        ours, wrapper, inference, llmetry = (
            ", ".join(_short(one[name]["caller"]) for one in added)
            for name in ("tokentide", "wrapper", "openinference", "openllmetry")
        )
        yield (
            what,
            f"{ours} µs; a bare wrapper {wrapper}; OpenInference {inference};"
            f" OpenLLMetry {llmetry}",
        )
    call, chunk = found["in_a_loop"]["added_us_per_call"], found["in_a_loop"]["added_us_per_chunk"]
    yield (
        "… in a loop around a client that does nothing (openai)",
        f"call {call['tokentide']:.1f} µs, a bare wrapper {call['wrapper']:.1f};"
        f" chunk {chunk['tokentide']:.2f} µs, a bare wrapper {chunk['wrapper']:.2f}",
    )


def _latency(found: Figures) -> Rows:
    yield (
        f"event to queryable row at {found['events_per_s']:,} events/s",
        f"p50 {found['p50_s']:.2f} s, p99 {found['p99_s']:.2f} s",
    )
    yield "worker resident meanwhile", f"{found['worker_rss_mb']:.0f} MB"


def _throughput(found: Figures) -> Rows:
    times, singles = found["worker_divided_by"], found["rounds"]["worker"]
    yield (
        "one worker, full path into ClickHouse, frames of 200",
        f"{found['events_per_cpu_s']['worker']:,} events per CPU second"
        f" ({min(singles):,.0f} to {max(singles):,.0f} in single rounds)",
    )
    yield (
        "… of fetch + column decode + Arrow write alone (the limit)",
        f"{times['limit'] * 100:.0f} %",
    )
    if "worker_without_subjects" in times:
        yield (
            "… of itself without subjects, where every event is a run",
            f"{times['worker_without_subjects'] * 100:.0f} %",
        )
    yield (
        "… of a Quix Streams tumbling window (count, two sums, max; no sink)",
        f"{times['quix_window']:.1f} times",
    )
    yield (
        "… of idiomatic Faust (one record an event, two windowed tables; no sink)",
        f"{times['faust_idiomatic']:.0f} times",
    )


def _footprint(found: Figures) -> Rows:
    yield (
        f"worker resident, draining a backlog of {found['events']:,} events",
        f"{found['worker_rss_mb_draining_a_backlog']} MB",
    )
    yield "embedded ClickHouse resident after it", f"{found['clickhouse_rss_mb']} MB"
    yield (
        "raw storage, compressed, all ids filled and random",
        f"{found['raw_bytes_per_event']:.0f} bytes an event",
    )


def _detect_latency(found: Figures) -> Rows:
    yield (
        f"end of a window to the alert's row at {found['events_per_s_asked']:,} events/s",
        f"p99 {found['window_end_to_alert_row']['p99_s']:.1f} s",
    )
    yield (
        "call to the used-up budget in the SDK of a service meanwhile",
        f"p99 {found['call_to_budget_used_up_in_the_sdk']['p99_s']:.1f} s",
    )


def _detection(found: Figures) -> Rows:
    clean, faults = found["clean"], found["faults"]
    yield (
        "anomalies: share of injected faults found, on seeds that nothing was tuned on",
        f"{faults['recall'] * 100:.0f} %, beside {clean['false_alarms']} false alarms in"
        f" {clean['metric_key_days']:,} days of a metric and key without a fault",
    )


def _run_guard(found: Figures) -> Rows:
    yield (
        "run guard: false alarms in recorded sessions that were held out from learning",
        f"{found['false_alarms']} in {found['held_out_runs_tried']:,}",
    )
    named = found["named_after_s"]
    yield (
        "… two published loops, and a slow one, whose steps repeat: named after",
        ", ".join(
            f"{after['median']:.0f} s (at {rate.partition(',')[0]})"
            for rate, after in named.items()
            if rate.endswith("recognised")
        ),
    )


def _forecast(found: Figures) -> Rows:
    held_out = found["14 days"]["held out"]
    yield (
        "forecast of spend: held-out ends of a period inside the 80 % interval",
        f"{held_out['coverage of the 80 % interval'] * 100:.0f} % of {held_out['pairs']}; error"
        f" {held_out['error']['mean'] * 100:.0f} %, of a straight line"
        f" {held_out['error of a straight line']['mean'] * 100:.0f} %",
    )


def _dashboards(found: Figures) -> Rows:
    for what, key in (
        ("at rest", "at_rest"),
        ("while ingest runs at half its most", "beside_ingest"),
    ):
        short, long = found[key]["6h"], found[key]["30d"]
        yield (
            f"queries of all boards over {found['requests'] / 1e6:.0f} million requests, {what}",
            f"p95 {short['p95_ms']:.0f} ms for 6 hours, {long['p95_ms']:.0f} ms for 30 days",
        )


def _viewer(found: Figures) -> Rows:
    share = found["share_of_plotly"]
    yield (
        "a board of twelve charts in the viewer, of plotly's time on the same data",
        f"{share['opened_worked_ms'] * 100:.0f} % from the address to the picture"
        f" ({share['opened_cpu_ms'] * 100:.0f} % of the CPU time),"
        f" {share['cold_worked_ms'] * 100:.0f} % for drawing alone"
        f" ({share['cold_cpu_ms'] * 100:.0f} %)",
    )


_ROWS_OF: Final[Mapping[str, Callable[[Figures], Rows]]] = {
    "producer_emit": _emit,
    "producer": _producer,
    "latency": _latency,
    "throughput": _throughput,
    "footprint": _footprint,
    "detect_latency": _detect_latency,
    "run_guard": _run_guard,
    "detection": _detection,
    "forecast": _forecast,
    "dashboards": _dashboards,
    "viewer": _viewer,
}
"""Measurement -> its rows."""


def _us(nanoseconds: float) -> str:
    return _short(nanoseconds / 1000)


def _short(value: float) -> str:
    """Return a figure with two digits, or all before its point."""
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def main() -> None:
    """Write the table of bench/results.json into README."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    page = with_table(README.read_text(encoding="utf-8"), results)
    README.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
