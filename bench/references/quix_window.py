"""Reference: Quix Streams' tumbling window: count, two sums and a maximum over 10 s, no sink.

`python -m bench.references.quix_window BOOTSTRAP TOPIC EVENTS`
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from typing import Any

from quixstreams import Application
from quixstreams.dataframe.windows import Count, Max, Sum

from bench.references.protocol import Meter


def main(bootstrap: str, topic_name: str, total: int) -> None:
    """Consume `total` events and print the figures."""
    meter = Meter(total)
    app = Application(
        broker_address=bootstrap,
        consumer_group=f"bench-quix-{os.getpid()}",
        auto_offset_reset="earliest",
        state_dir=tempfile.mkdtemp(prefix="bench-quix-"),
        use_changelog_topics=False,
        loglevel=logging.ERROR,
    )
    topic = app.topic(topic_name, value_deserializer="json", key_deserializer="bytes")
    frame = app.dataframe(topic)

    def count(event: dict[str, Any]) -> dict[str, Any]:
        if meter.add(1):
            os._exit(0)
        return event

    frame = frame.apply(count)
    frame.tumbling_window(10_000).agg(
        requests=Count(),
        input_tokens=Sum("input_tokens"),
        output_tokens=Sum("output_tokens"),
        duration_ms=Max("duration_ms"),
    ).final()
    app.run()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
