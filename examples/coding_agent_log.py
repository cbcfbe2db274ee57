"""One call of Claude Code, sent as a Collector would: to try the path without one.

pip install aiokafka
export TOKENTIDE_KAFKA_BOOTSTRAP=127.0.0.1:9092
python coding_agent_log.py coding_agent_log.json

The file is one request of OTLP logs as JSON. Its records are sent as if they were written now.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from aiokafka import AIOKafkaProducer

TOPIC = "tokentide.otlp.v1"


def value_of(path: Path, now_ns: int) -> bytes:
    """Return the value of a Kafka record: the request of a file, with its records' time now."""
    request = json.loads(path.read_text("utf-8"))
    for resource in request["resourceLogs"]:
        for scope in resource["scopeLogs"]:
            for record in scope["logRecords"]:
                record["timeUnixNano"] = str(now_ns)
    return json.dumps(request).encode()


async def main(path: Path) -> None:
    """Send the request of a file, and wait until Kafka has it."""
    bootstrap = os.environ.get("TOKENTIDE_KAFKA_BOOTSTRAP", "127.0.0.1:9092")
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        sent = await producer.send_and_wait(TOPIC, value_of(path, time.time_ns()))
    print(f"{path.name}: {TOPIC} partition {sent.partition} offset {sent.offset}")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
