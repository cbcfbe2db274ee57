"""Grafana is asked with the right account, within bounds, and never goes where it is sent to."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from aiohttp import web

from tests.dashboards.live.grafana_server import TOKEN, GrafanaServer, answer_of, serving
from tests.producers.delivery.secure_kafka import Authority
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.grafana import by_grafana_api
from tokentide_jobs.io.grafana.access import GrafanaAccess, grafana_access
from tokentide_jobs.io.grafana.api import GrafanaRefused, GrafanaUnreachable, list_of
from tokentide_jobs.io.grafana.by_grafana_api import GrafanaByApi
from tokentide_jobs.settings import Settings

Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
def server() -> Iterator[GrafanaServer]:
    with serving(GrafanaServer()) as running:
        yield running


def client(server: GrafanaServer, timeout_s: float = 20.0) -> GrafanaByApi:
    return GrafanaByApi(GrafanaAccess(server.url, secret=TOKEN), timeout_s)


def replying(status: int, text: str, kind: str = "application/json", **headers: str) -> Reply:
    async def reply(_request: web.Request) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=text, content_type=kind, headers=named)

    return reply


def refused(server: GrafanaServer, path: str = "/org") -> GrafanaRefused:
    with pytest.raises(GrafanaRefused) as caught:
        client(server).get(path)
    assert TOKEN not in str(caught.value)
    return caught.value


def unreachable(server: GrafanaServer, timeout_s: float = 20.0) -> GrafanaUnreachable:
    with pytest.raises(GrafanaUnreachable) as caught:
        client(server, timeout_s).get("/org")
    assert TOKEN not in str(caught.value)
    return caught.value


def test_a_token_signs_in(server: GrafanaServer) -> None:
    assert client(server).get("/org")["name"] == "Main Org."


def test_a_user_with_any_password_signs_in_below_a_path(server: GrafanaServer) -> None:
    user, password = server.login
    access = GrafanaAccess(f"{server.url}/below/it", user, password)
    assert GrafanaByApi(access).get("/org")["name"] == "Main Org."


def test_json_is_sent_and_read(server: GrafanaServer) -> None:
    made = client(server).post("/folders", {"uid": "u", "title": "Über"})
    assert made["uid"] == "u"
    assert server.folders == {"u": "Über"}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "make a token for a service account"),
        (403, "give the service account the permission"),
        (404, "is TOKENTIDE_GRAFANA_URL the address of Grafana"),
        (412, "412, no, because"),
    ],
)
def test_a_refusal_says_what_to_do(server: GrafanaServer, status: int, words: str) -> None:
    server.faults["/org"] = replying(status, '{"message": "no,\\n because"}')
    exc = refused(server)
    assert str(exc).startswith(f"GET /api/org of {server.url}: {status}, no, because")
    assert words in str(exc)
    assert (exc.status, exc.detail) == (status, "no, because")


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (429, {"Retry_After": "17"}, "takes no more requests for now); try again in 17 s"),
        (429, {}, "takes no more requests for now)"),
        (500, {}, "500, said"),
        (503, {"Retry_After": "9"}, "503, said; try again in 9 s"),
        (
            503,
            {"Retry_After": "Mon, 30 Nov 2026 10:00:00 GMT"},
            "503, said; try again after Mon, 30 Nov 2026 10:00:00 GMT",
        ),
    ],
)
def test_what_may_pass_is_unreachable(
    server: GrafanaServer, status: int, headers: dict[str, str], words: str
) -> None:
    server.faults["/org"] = replying(status, '{"message": "said"}', **headers)
    exc = unreachable(server)
    assert str(exc).endswith(words)
    assert exc.status == status


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_named_and_not_followed(server: GrafanaServer, status: int) -> None:
    with serving(GrafanaServer()) as other:
        server.faults["/folders"] = replying(status, "", Location=f"{other.url}/api/folders")
        with pytest.raises(GrafanaRefused, match=f"redirects to {other.url}/api/folders") as caught:
            client(server).post("/folders", {"title": "x"})
    assert TOKEN not in str(caught.value)
    assert other.asked == []


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (200, "<html>a login page</html>", "text/html", "text/html and not JSON"),
        (204, "", "application/json", "empty and not JSON"),
        (200, "", "application/json", "empty and not JSON"),
        # grafana-api looks for the word in text that is no JSON, and fails on it.
        (404, "<html>no message here</html>", "text/html", "404, text/html"),
        (403, "[]", "application/json", "403, application/json"),
        (400, '"message"', "application/json", "400, application/json"),
        (418, '{"message": 7}', "application/json", "418, application/json"),
    ],
)
def test_what_is_not_grafanas_json_is_an_error(
    server: GrafanaServer, status: int, body: str, kind: str, words: str
) -> None:
    server.faults["/org"] = replying(status, body, kind)
    assert words in str(refused(server))


def test_words_of_grafana_are_one_short_line(server: GrafanaServer) -> None:
    server.faults["/org"] = replying(400, '{"message": "' + "a\\u001b[2J " * 200 + '"}')
    assert len(refused(server).detail) == 300
    assert "\n" not in str(refused(server))


def test_no_list_is_an_error(server: GrafanaServer) -> None:
    for body in ("{}", "[1]", "7"):
        server.faults["/folders"] = replying(200, body)
        with pytest.raises(GrafanaRefused, match="the answer is no list"):
            list_of(client(server), "/folders?limit=1")


def test_what_fails_before_it_is_sent_is_said_as_it_is(server: GrafanaServer) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        client(server).post("/folders", {"title": object()})
    assert server.asked == []


def test_no_server_answers(server: GrafanaServer) -> None:
    server.url = "http://127.0.0.1:1"
    assert "nothing answers there" in str(unreachable(server))


def test_an_answer_that_never_comes(server: GrafanaServer) -> None:
    async def never(_request: web.Request) -> web.Response:
        await asyncio.sleep(20)
        return answer_of(200, "late")

    server.faults["/org"] = never
    assert "no answer within 0.2 s" in str(unreachable(server, 0.2))


def test_an_answer_that_comes_drop_by_drop_ends_at_the_deadline(server: GrafanaServer) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _second in range(400):
            await response.write(b" ")
            await asyncio.sleep(0.05)
        return response

    server.faults["/org"] = drip
    assert "not complete after 0.5 s" in str(unreachable(server, 0.5))


def test_an_answer_that_stops_half_way(server: GrafanaServer) -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"{")
        assert request.transport is not None
        request.transport.close()
        return response

    server.faults["/org"] = half
    assert "broke off (" in str(unreachable(server))


def test_an_answer_has_a_largest_size(
    server: GrafanaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_grafana_api, "_MOST_BYTES", 1 << 20)

    async def bomb(_request: web.Request) -> web.Response:
        body = gzip.compress(b" " * (64 << 20))
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    server.faults["/org"] = bomb
    assert "has over 1 MB" in str(refused(server))


def test_a_compressed_answer_is_read(server: GrafanaServer) -> None:
    async def packed(_request: web.Request) -> web.Response:
        text = b'{"name": "' + b"x" * 300_000 + b'"}'
        return web.Response(body=gzip.compress(text), headers={"Content-Encoding": "gzip"})

    server.faults["/org"] = packed
    assert len(client(server).get("/org")["name"]) == 300_000


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """Return a server's certificate for localhost, and the file of its authority."""
    authority = Authority.new(tmp_path / "authority")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue("localhost"))
    return context, Path(authority.ca_file)


def test_a_certificate_of_a_known_authority_is_trusted(tls: tuple[ssl.SSLContext, Path]) -> None:
    context, ca_file = tls
    with serving(GrafanaServer(), context) as server:
        access = GrafanaAccess(server.url, secret=TOKEN, ca_file=ca_file)
        with closing(GrafanaByApi(access)) as grafana:
            assert grafana.get("/org")["name"] == "Main Org."


def test_a_certificate_of_an_unknown_issuer_ends_the_connection(
    tls: tuple[ssl.SSLContext, Path],
) -> None:
    shaken: list[str] = []

    def shake(listening: socket.socket) -> None:
        accepted, _address = listening.accept()
        with accepted:
            try:
                tls[0].wrap_socket(accepted, server_side=True).close()
            except ssl.SSLError as exc:
                shaken.append(str(exc.reason))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=shake, args=[listening])
        thread.start()
        url = f"https://localhost:{listening.getsockname()[1]}"
        with pytest.raises(GrafanaUnreachable, match="name the certificates of its authority"):
            GrafanaByApi(GrafanaAccess(url, secret=TOKEN)).get("/org")
        thread.join(20)
    assert shaken == ["TLSV1_ALERT_UNKNOWN_CA"]


def access_of(tmp_path: Path, **variables: str) -> GrafanaAccess:
    environ = {f"TOKENTIDE_GRAFANA_{name}": value for name, value in variables.items()}
    return grafana_access(Settings.from_env(environ, tmp_path), environ)


def test_the_token_comes_from_a_file_or_a_variable(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    url = "https://grafana.example/g/"
    expected = GrafanaAccess("https://grafana.example/g", "", TOKEN)
    assert access_of(tmp_path, URL=url, TOKEN_FILE=str(file)) == expected
    assert access_of(tmp_path, URL=url, TOKEN=TOKEN) == expected
    assert TOKEN not in repr(expected)


def test_a_user_of_the_url_has_its_password_there_or_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("p@ss: wörd\n")
    with_file = access_of(tmp_path, URL="http://admin@[::1]:3000", TOKEN_FILE=str(file))
    assert with_file == GrafanaAccess("http://[::1]:3000", "admin", "p@ss: wörd")
    assert access_of(tmp_path, URL="http://admin:p%40ss@h:3000").secret == "p@ss"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "TOKENTIDE_GRAFANA_URL is not set"),
        ({"URL": "http://h"}, "no token is set"),
        ({"URL": "http://admin@h"}, "no token is set"),
        ({"URL": "http://u:s3cret@h", "TOKEN": "s3cret"}, "both TOKENTIDE_GRAFANA_TOKEN and the"),
        ({"URL": "grafana:s3cret@h", "TOKEN": "t"}, "expected http"),
        ({"URL": "http://h?token=s3cret", "TOKEN": "t"}, "expected http"),
        ({"URL": "http://h", "TOKEN": "s3cret\r\nX: y"}, "characters that no token has"),
        ({"URL": "http://h", "TOKEN": "s3cret ä"}, "characters that no token has"),
        ({"URL": "http://u%3Ax:s3cret@h"}, "has a colon"),
        ({"URL": "http://h", "TOKEN_FILE": "/nowhere/s"}, "'/nowhere/s': cannot be read"),
        ({"URL": "http://h", "TOKEN_FILE": "/dev/null"}, "the file is empty"),
        ({"URL": "http://h", "TOKEN": "t", "CA_FILE": "/nowhere"}, "there is no such file"),
    ],
)
def test_a_setting_that_is_wrong_is_named_without_its_secret(
    tmp_path: Path, variables: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        access_of(tmp_path, **variables)
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)
