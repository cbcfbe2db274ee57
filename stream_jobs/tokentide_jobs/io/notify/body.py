"""What is sent: the body, its headers, and the signature of Standard Webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from tokentide_jobs.core.alert.outbox import Message
from tokentide_jobs.io.notify.receiver import Receiver

__all__ = ["request_of", "sign"]

_MARKS: Final = {"page": "🔴", "ticket": "🟠", "info": "🔵"}
_MOST_TEXT: Final = 3_000
_HARMLESS: Final = str.maketrans({
    "&": "&amp;", "<": "&lt;", ">": "&gt;",
    "@": "@\u200b",  # what follows is no name
    "*": "\u2217", "~": "\u223c", "`": "\u02cb",  # they look the same and mark nothing
})  # fmt: skip
_OUTER_LINE: Final = re.compile(r"(?<!\w)_|_(?!\w)")
"""A low line that marks; one inside a name marks nothing."""


def sign(secret: bytes, message_id: str, timestamp_s: int, body: bytes) -> str:
    """Return the signature `v1,…` of a message."""
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp_s, body)
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def request_of(
    receiver: Receiver, message: Message, timestamp_s: int
) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a notification.

    Args:
        receiver: For whom.
        message: What.
        timestamp_s: Of this attempt; receivers refuse old ones.
    """
    content = json.loads(message.payload)
    if receiver.kind == "slack":
        body = json.dumps(_slack(content), ensure_ascii=False).encode()
        return body, {"content-type": "application/json"}
    event = {
        "type": f"alert.{content['state']}",
        "timestamp": _iso(content["at_us"]),
        "data": content,
    }
    body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
    return body, {
        "content-type": "application/json",
        "webhook-id": message.id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": sign(receiver.secret, message.id, timestamp_s, body),
    }


def _slack(content: Mapping[str, Any]) -> dict[str, Any]:
    is_closed = content["state"] == "closed"
    mark = "✅" if is_closed else _MARKS[content["severity"]]
    lines = [f"{mark} *{content['severity']}, {content['state']}*: {_plain(content['sentence'])}"]
    if not is_closed:
        lines += [f"• or perhaps: {_plain(_cause(one))}" for one in content["causes"][1:]]
        if content["members"]:
            lines.append(f"• stands for: {_plain(', '.join(content['members'][:10]))}")
        lines.append(f"• first: {_plain(content['first_action'])}")
    lines.append(f"_{content['kind']} {content['alert_id'][:12]}, see {content['runbook']}_")
    return {"text": "\n".join(lines)[:_MOST_TEXT]}


def _cause(cause: Mapping[str, Any]) -> str:
    to = f" to {cause['to_version']}" if cause["to_version"] else ""
    return f"{cause['kind']} of {cause['subject']}{to} at {_iso(cause['at_us'])}"


def _plain(text: str) -> str:
    """Return text in one line, in which Slack sees neither links nor mentions nor marks.

    Names of runs, agents and labels are part of it, and any producer may choose them.
    """
    line = "".join(one if one.isprintable() else " " for one in text)
    line = _OUTER_LINE.sub("\u02cd", line.replace("://", ":\u200b//"))
    return line.translate(_HARMLESS)


def _iso(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="seconds")
