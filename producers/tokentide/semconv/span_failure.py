"""What a span that failed reports of the failure, in the words of the event contract."""

from __future__ import annotations

import re

from tokentide.error_codes import known_code
from tokentide.failures import error_type_of, error_type_of_class
from tokentide.semconv.attributes import bounded
from tokentide.semconv.span import SpanData
from tokentide.usage.reading import label

_MESSAGE_CHARS = 2048
_ERROR_STATUS = re.compile(r"Error code: (\d{3})\b")
_ERROR_CODE = re.compile(r"""['"](code|type)['"]: ?['"]([A-Za-z0-9_.-]{1,64})['"]""")
_CANCELS = ("CancelledError", "KeyboardInterrupt", "SystemExit")


def failure_of(span: SpanData) -> dict[str, object]:
    """Return status, error_type, error_code and http_status of a span that failed."""
    raised = next((e.attributes for e in reversed(span.events) if e.name == "exception"), {})
    stated = label(span.attributes.get("error.type")) or ""
    name = stated or label(raised.get("exception.type")) or ""
    if name.endswith(_CANCELS):
        return {"status": "cancelled", "error_type": "cancelled"}
    if name.endswith("GeneratorExit"):
        return {"status": "abandoned", "error_type": "cancelled"}
    text = f"{label(raised.get('exception.message'), _MESSAGE_CHARS)} {span.message}"
    text = text[: 2 * _MESSAGE_CHARS]
    # Both big SDKs put the provider's answer into the exception's text; only its codes are taken.
    written = _ERROR_STATUS.search(text)
    http_status = bounded(span.attributes.get("http.response.status_code"), 100, 599)
    if http_status is None and (digits := stated if stated.isdecimal() else ""):
        http_status = bounded(int(digits[:9]), 100, 599)
    if http_status is None and written:
        http_status = bounded(int(written[1]), 100, 599)
    words = dict(_ERROR_CODE.findall(text)) if written else {}
    code = words.get("code") or words.get("type") or ""
    if not code and stated and not stated.isdecimal() and stated == stated.lower():
        code = "" if stated == "_other" else stated
    failure: dict[str, object] = {
        "status": "error",
        "error_type": error_type_of(code, http_status)
        or error_type_of_class(name.rpartition(".")[2])
        or "unknown",
    }
    if known := known_code(code):
        failure["error_code"] = known
    if http_status is not None:
        failure["http_status"] = http_status
    return failure
