"""A batch job: the results of an OpenAI batch arrive as a file, long after, past every client.

pip install tokentide
export TOKENTIDE_KAFKA_BOOTSTRAP=127.0.0.1:9092 TOKENTIDE_SERVICE=nightly
python batch_job.py batch_output.jsonl

One event per line, priced as a batch. The event's id is made from the batch's own id of the line,
so a job that runs again repeats ids that are known, and `tokentide verify` counts them.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import tokentide
from tokentide.usage.flavour import flavour

CHAT = flavour("openai_chat")
FULL = 5_000
"""Events that may wait before the job waits for them: a job has time, a service has not."""


def event_of(line: dict[str, Any]) -> dict[str, object]:
    """Turn one result into an event."""
    reply = line.get("response") or {}
    body = reply.get("body") or {}
    error = line.get("error") or body.get("error") or {}
    event: dict[str, object] = {
        "type": "request",
        "event_id": str(uuid.uuid5(uuid.NAMESPACE_URL, line["id"])),
        "provider": "openai",
        "operation": "chat",
        "processing": "batch",
        "feature": "nightly_labels",
        "tags": {"custom_id": line["custom_id"]},
        "request_model": body.get("model", "unknown"),
        "duration_ms": 0.0,
        "started_at_us": int(body.get("created", time.time()) * 1_000_000),
        "status": "error" if error else "ok",
        **CHAT.read_response(body),
    }
    if error:
        event["error_type"] = "server_error"
        event["error_code"] = str(error.get("code", ""))
        event["http_status"] = reply.get("status_code")
    return event


def main(path: Path) -> int:
    """Emit every line; return 0 only when all of them have arrived."""
    telemetry = tokentide.Telemetry()
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            telemetry.emit(event_of(json.loads(line)))
            if number % FULL == 0:
                telemetry.flush(60)
    telemetry.close(60)
    stats = telemetry.stats()
    print(f"{stats.delivered} delivered, {stats.dropped_total + stats.failed} lost")
    return 0 if stats.delivered == stats.emitted else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
