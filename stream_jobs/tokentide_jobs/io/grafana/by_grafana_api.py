"""Grafana through the package grafana-api: the one file that knows it.

The package sends requests and signs them. It reads answers of any size, follows redirects (a POST
becomes a GET), and fails with errors of its own on an error page that is no JSON: so answers are
taken from its session, within bounds, and read by `api.py`.
"""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import requests
import urllib3
from grafana_api.grafana_api import GrafanaException
from grafana_api.grafana_face import GrafanaFace

from tokentide_jobs.io.grafana.access import GrafanaAccess
from tokentide_jobs.io.grafana.api import (
    Answer,
    GrafanaRefused,
    GrafanaUnreachable,
    read_answer,
)

__all__ = ["GrafanaByApi"]

_CONNECT_S: Final = 5.0
_MOST_BYTES: Final = 32 << 20
_PIECE: Final = 1 << 16


class GrafanaByApi:
    """A Grafana server, asked one question at a time.

    Args:
        access: Where it is, and who asks.
        timeout_s: For one whole answer.
    """

    def __init__(self, access: GrafanaAccess, timeout_s: float = 40.0) -> None:
        self._url = access.url
        self._timeout_s = timeout_s
        self._begun_s = 0.0
        self._answers: list[Answer] = []
        parts = urlsplit(access.url)
        path = parts.path.strip("/")
        user, secret = access.user.encode(), access.secret.encode()
        self._face = GrafanaFace(
            auth=(user, secret) if access.user else access.secret,
            host=parts.netloc,
            url_path_prefix=f"{path}/" if path else "",
            protocol=parts.scheme,
            verify=True if access.ca_file is None else str(access.ca_file),
            timeout=(_CONNECT_S, timeout_s),
        )
        self._face.api.s.hooks["response"].append(self._take)

    @property
    def address(self) -> str:
        """Where it is, without an account."""
        return self._url

    def close(self) -> None:
        """Close its connections."""
        self._face.api.s.close()

    def get(self, path: str) -> Any:
        """Return the JSON of a path below `/api`."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send JSON to a path, and return the JSON of the answer."""
        return self._ask("POST", path, body)

    def _ask(self, verb: str, path: str, body: Mapping[str, Any] | None) -> Any:
        asked = f"{verb} /api{path.partition('?')[0]} of {self._url}"
        self._begun_s = time.monotonic()
        self._answers.clear()
        try:
            getattr(self._face.api, verb)(path, json=body)
        except requests.RequestException as exc:
            if not self._answers:
                raise _no_answer(asked, exc, self._timeout_s) from None
        except urllib3.exceptions.ReadTimeoutError:
            raise GrafanaUnreachable(
                f"{asked}: the answer is not complete after {self._timeout_s:g} s"
            ) from None
        except urllib3.exceptions.HTTPError as exc:
            raise GrafanaUnreachable(
                f"{asked}: the answer broke off ({type(exc).__name__})"
            ) from None
        except (GrafanaException, ValueError, TypeError):
            # What the package makes of an answer is read below; without one it is an own fault.
            if not self._answers:
                raise
        return read_answer(asked, self._answers[-1])

    def _take(self, response: requests.Response, **_sent: Any) -> requests.Response:
        """Keep an answer, and give the package one that is read already and leads nowhere."""
        body = bytearray()
        while piece := response.raw.read1(_PIECE, decode_content=True):
            body += piece
            if len(body) > _MOST_BYTES:
                response.close()
                raise GrafanaRefused(
                    f"{self._url}: the answer has over {_MOST_BYTES >> 20} MB: is this Grafana?",
                    response.status_code,
                )
            if time.monotonic() - self._begun_s > self._timeout_s:
                response.close()
                raise GrafanaUnreachable(
                    f"{self._url}: the answer is not complete after {self._timeout_s:g} s"
                )
        headers = response.headers
        self._answers.append(
            Answer(
                response.status_code,
                bytes(body),
                headers.get("Content-Type", ""),
                headers.get("Retry-After", ""),
                headers.get("Location", ""),
            )
        )
        read = requests.Response()
        read.status_code, read.request = response.status_code, response.request
        read.url, read.raw = response.url, io.BytesIO(body)
        return read


def _no_answer(asked: str, exc: requests.RequestException, timeout_s: float) -> GrafanaUnreachable:
    """Say why there is no answer, without the address as the library writes it."""
    if isinstance(exc, requests.exceptions.SSLError):
        why = (
            "its certificate is not trusted, or it speaks no TLS: name the certificates of its "
            "authority in TOKENTIDE_GRAFANA_CA_FILE"
        )
    elif isinstance(exc, requests.exceptions.ProxyError):
        why = "the proxy that HTTP_PROXY or HTTPS_PROXY names does not let it through"
    elif isinstance(exc, requests.exceptions.ConnectTimeout):
        why = f"no connection within {_CONNECT_S:g} s: is TOKENTIDE_GRAFANA_URL right?"
    elif isinstance(exc, requests.exceptions.Timeout):
        why = f"no answer within {timeout_s:g} s"
    elif isinstance(exc, requests.exceptions.ConnectionError):
        why = "nothing answers there: is Grafana running, and TOKENTIDE_GRAFANA_URL right?"
    else:
        why = f"no answer ({type(exc).__name__})"
    return GrafanaUnreachable(f"{asked}: {why}")
