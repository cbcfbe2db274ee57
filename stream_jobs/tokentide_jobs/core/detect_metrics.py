"""Specifies every metric of the detect worker: name, kind, unit, labels and where to look next.

Counters of what was passed over show that it was: nothing is dropped unseen.
"""

from __future__ import annotations

from typing import Final

from tokentide_jobs.core.metrics import MetricSpec

__all__ = ["DETECT_METRICS"]

DETECT_METRICS: Final[tuple[MetricSpec, ...]] = (
    MetricSpec(
        "tokentide_detect_records_total",
        "counter",
        "records",
        (),
        "Records of the delta topic that were decided on.",
        "tokentide_detect_lag_records",
    ),
    MetricSpec(
        "tokentide_detect_lag_records",
        "gauge",
        "records",
        (),
        "Records of the delta topic that are not decided on yet.",
        "the worker's log; CPU of this process",
    ),
    MetricSpec(
        "tokentide_detect_behind_seconds",
        "gauge",
        "seconds",
        (),
        "Age of the newest record that was decided on; marks come every five seconds.",
        "tokentide_detect_lag_records; whether ingest runs",
    ),
    MetricSpec(
        "tokentide_detect_windows_total",
        "counter",
        "windows",
        ("outcome",),
        "Windows that closed: `judged`, those of ten seconds among them, or `given_up` (minutes) "
        "since a source lagged or was silent.",
        "lag of ingest",
    ),
    MetricSpec(
        "tokentide_detect_late_requests_total",
        "counter",
        "requests",
        ("outcome",),
        "After their window had closed: `carried` to the open one, `passed_over` as too old.",
        "how long calls last; `longest_call_seconds` of detect.yaml; backfills",
    ),
    MetricSpec(
        "tokentide_detect_unreadable_records_total",
        "counter",
        "records",
        (),
        "Records that no version of ingest has written; they were passed over.",
        "who else writes to the topic",
    ),
    MetricSpec(
        "tokentide_detect_findings_total",
        "counter",
        "findings",
        ("kind",),
        "What was decided on records, new or not: `alarm` (opened), `extreme`, `run`, `budget`.",
        "what was found: `docs/detect.md` says where",
    ),
    MetricSpec(
        "tokentide_detect_refused_findings_total",
        "counter",
        "findings",
        (),
        "What was found for alerts and became none: too many are open, all of them as urgent.",
        "`tokentide alerts list`; close what is known, or make detect.yaml less sensitive",
    ),
    MetricSpec(
        "tokentide_detect_keys",
        "gauge",
        "keys",
        (),
        "Keys whose windows are judged; each takes 8.4 kB.",
        "`levels` and `fast_levels` of detect.yaml",
    ),
    MetricSpec(
        "tokentide_detect_refused_keys",
        "gauge",
        "keys",
        (),
        "New keys of the last window of each length that are not watched: `most_keys` of it are.",
        "`most_keys` and levels of detect.yaml; a feature or tenant that names every request",
    ),
    MetricSpec(
        "tokentide_detect_live_runs",
        "gauge",
        "runs",
        (),
        "Runs that the guard holds.",
        "`live_runs` of detect.yaml",
    ),
    MetricSpec(
        "tokentide_detect_active",
        "gauge",
        "0 or 1",
        (),
        "1 on the one worker that decides; the others stand by.",
        "the consumer group",
    ),
)
