"""Reference: Faust as its documentation shows it: one record per event, two windowed tables.

`python -m bench.references.faust_idiomatic BOOTSTRAP TOPIC EVENTS`
"""

from __future__ import annotations

import os
import sys
import tempfile

import faust

from bench.references.protocol import Meter


def build(bootstrap: str, topic_name: str, total: int) -> faust.App:
    """Return an app that counts requests and tokens per model in 10 s windows."""
    app = faust.App(
        f"bench-idiomatic-{os.getpid()}",
        broker=f"kafka://{bootstrap}",
        value_serializer="json",
        web_enabled=False,
        topic_partitions=4,
        table_standby_replicas=0,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        datadir=tempfile.mkdtemp(prefix="bench-faust-"),
    )
    topic = app.topic(topic_name)
    requests = app.Table("requests", default=int, partitions=4).tumbling(10.0, expires=60.0)
    tokens = app.Table("tokens", default=int, partitions=4).tumbling(10.0, expires=60.0)
    meter = Meter(total)

    @app.agent(topic)
    async def aggregate(stream: faust.StreamT[dict[str, int]]) -> None:
        async for event in stream:
            model = event["request_model"]
            requests[model] += 1
            tokens[model] += event["input_tokens"] + event["output_tokens"]
            if meter.add(1):
                os._exit(0)

    return app


if __name__ == "__main__":
    application = build(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    sys.argv = [sys.argv[0], "worker", "--loglevel", "error"]
    application.main()
