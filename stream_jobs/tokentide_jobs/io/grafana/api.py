"""Grafana as everything else sees it: two verbs that give JSON, and two errors.

`Grafana` is the seam: what is asked for and what an answer means is known above it, how a request
is sent below it, in one file. An answer that is no good JSON is an error that states what to do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Protocol

from tokentide_jobs.errors import ConfigError, ServiceUnreachable

__all__ = [
    "Answer",
    "Grafana",
    "GrafanaRefused",
    "GrafanaUnreachable",
    "list_of",
    "read_answer",
]

_MOST_WORDS: Final = 300
_REDIRECTS: Final = range(300, 400)
_LATER: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
"""Answers that ask for another try, besides those of a broken server."""
_AWAY: Final = (
    0,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)
"""After these the next request would fail likewise; any other failure is of one request."""

_REMEDIES: Final[Mapping[int, str]] = {
    401: "the token or password is wrong, expired or of another Grafana: make a token for a "
    "service account, and write it into the file that TOKENTIDE_GRAFANA_TOKEN_FILE names",
    403: "give the service account the permission, or the role Editor (Admin for alert rules)",
    404: "is TOKENTIDE_GRAFANA_URL the address of Grafana, with the path that it is below?",
    429: "Grafana, or a proxy before it, takes no more requests for now",
}


class Grafana(Protocol):
    """A Grafana server, with an account that may sign in."""

    @property
    def address(self) -> str:
        """Where it is, for people: without an account."""
        ...

    def get(self, path: str) -> Any:
        """Return the JSON of a path below `/api`, `/health`.

        Raises:
            GrafanaRefused: It answers, and not with that.
            GrafanaUnreachable: It does not answer, or not now.
        """
        ...

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send JSON to a path, and return the JSON of the answer; raises as `get` does."""
        ...


class GrafanaRefused(ConfigError):
    """Grafana answers, and needs a person: token, permission, address, or what was sent.

    Attributes:
        status: Of the answer.
        body: Its JSON; None where it has none.
        detail: Grafana's own words.
    """

    def __init__(self, message: str, status: int, body: Any = None, detail: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.body = body
        self.detail = detail


class GrafanaUnreachable(ServiceUnreachable):
    """Grafana does not answer, or cannot now.

    Attributes:
        status: Of the answer; 0: there was none.
        detail: Grafana's own words.
    """

    def __init__(self, message: str, status: int = 0, detail: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.detail = detail

    @property
    def is_away(self) -> bool:
        """Whether nothing more need be asked: Grafana does not answer, or takes no requests."""
        return self.status in _AWAY


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from Grafana, or from whatever is at its address."""

    status: int
    body: bytes
    content_type: str = ""
    retry_after: str = ""
    location: str = ""


def read_answer(asked: str, answer: Answer) -> Any:
    """Return the JSON of an answer.

    Args:
        asked: What was asked, for the error: `GET /api/health of http://127.0.0.1:3000`.
        answer: What came back.

    Raises:
        GrafanaRefused: It is an error that a person must end.
        GrafanaUnreachable: It is an error that may pass.
    """
    body = _json(answer.body)
    status = answer.status
    if status in _REDIRECTS:
        where = _short(answer.location) or "nowhere"
        raise GrafanaRefused(
            f"{asked}: it redirects to {where}, which is not followed, since the token would go "
            "there: set TOKENTIDE_GRAFANA_URL to the address that Grafana has in the end",
            status,
        )
    if status < 400:
        if body is None:
            raise GrafanaRefused(
                f"{asked}: the answer is {_kind(answer)} and not JSON: is this Grafana, and not a "
                "login page or a proxy before it?",
                status,
            )
        return body
    detail = _message_of(body) or _kind(answer)
    if status >= 500 or status in _LATER:
        wait = f"; try again {_when(answer.retry_after)}" if answer.retry_after else ""
        remedy = f" ({_REMEDIES[status]})" if status in _REMEDIES else ""
        raise GrafanaUnreachable(f"{asked}: {status}, {detail}{remedy}{wait}", status, detail)
    remedy = f": {_REMEDIES[status]}" if status in _REMEDIES else ""
    raise GrafanaRefused(f"{asked}: {status}, {detail}{remedy}", status, body, detail)


def list_of(grafana: Grafana, path: str) -> list[dict[str, Any]]:
    """Return the objects of a list.

    Raises:
        GrafanaRefused: The answer is no list of objects, or it is refused.
        GrafanaUnreachable: Grafana does not answer.
    """
    found = grafana.get(path)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        where = f"GET /api{path.partition('?')[0]} of {grafana.address}"
        raise GrafanaRefused(f"{where}: the answer is no list: is this Grafana?", 200, found)
    return found


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _message_of(body: Any) -> str:
    """Return Grafana's own words: it has two ways to say them."""
    if not isinstance(body, dict):
        return ""
    detail = body.get("message") or body.get("error") or ""
    return _short(detail) if isinstance(detail, str) else ""


def _kind(answer: Answer) -> str:
    if not answer.body:
        return "empty"
    return _short(answer.content_type.partition(";")[0]) or "of no known type"


def _when(retry_after: str) -> str:
    """Say when to try again: a server names seconds, or a date."""
    when = _short(retry_after)
    return f"in {when} s" if when.isdecimal() else f"after {when}"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MOST_WORDS else f"{text[: _MOST_WORDS - 1]}…"
