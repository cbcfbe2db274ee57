"""Creates the Prometheus metrics of one process from their specifications in `core/metrics.py`.

Nothing else creates a metric: a name without a specification is a KeyError.
"""

from __future__ import annotations

import contextlib

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tokentide_jobs.core.metrics import METRICS, MetricSpec

__all__ = ["Metrics"]


class Metrics:
    """The metrics of one process, by the name of their specification."""

    def __init__(self, specs: tuple[MetricSpec, ...] = METRICS) -> None:
        self._registry = CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        self._of_partitions = [
            spec.name for spec in specs if spec.kind == "gauge" and "partition" in spec.labels
        ]
        for spec in specs:
            doc = f"{spec.doc} When this moves, look at: {spec.look_at}."
            if spec.kind == "counter":
                self._counters[spec.name] = Counter(
                    spec.name, doc, spec.labels, registry=self._registry
                )
            elif spec.kind == "gauge":
                self._gauges[spec.name] = Gauge(
                    spec.name, doc, spec.labels, registry=self._registry
                )
            else:
                self._histograms[spec.name] = Histogram(
                    spec.name, doc, spec.labels, registry=self._registry, buckets=spec.buckets
                )

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        counter = self._counters[name]
        (counter.labels(**labels) if labels else counter).inc(amount)

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        gauge = self._gauges[name]
        (gauge.labels(**labels) if labels else gauge).set(value)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add an observation to a histogram."""
        histogram = self._histograms[name]
        (histogram.labels(**labels) if labels else histogram).observe(value)

    def forget(self, partition: int | str) -> None:
        """Drop the gauges of a partition that another worker has now."""
        for name in self._of_partitions:
            with contextlib.suppress(KeyError):  # never set
                self._gauges[name].remove(str(partition))

    def exposition(self) -> bytes:
        """Return the Prometheus text format."""
        return generate_latest(self._registry)
