"""Pages of other origins are recognised by their headers, on a server on loopback."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from tests.each import each
from tokentide_jobs.web_guard import is_loopback, refusal

PORT = 8123
OWN = {"Host": f"127.0.0.1:{PORT}"}


@pytest.mark.parametrize(
    "headers",
    [
        OWN,
        {"Host": f"localhost:{PORT}"},
        {"Host": f"LOCALHOST:{PORT}"},
        {"Host": f"[::1]:{PORT}"},
        {**OWN, "Origin": f"http://127.0.0.1:{PORT}", "Sec-Fetch-Site": "same-origin"},
        {**OWN, "Sec-Fetch-Site": "none"},
    ],
)
def test_own_clients_and_own_pages_are_let_in(headers: dict[str, str]) -> None:
    assert refusal(CIMultiDict(headers), "/", PORT) is None


@each(
    "headers",
    [
        {},
        {"Host": ""},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:8124"},
        {"Host": "evil.example:8123"},
        {"Host": "127.0.0.1.evil.example:8123"},
        {"Host": "127.0.0.1:8123.evil.example"},
        {"Host": "evil.example@127.0.0.1:8123"},
        {"Host": "127.0.0.1:8123\n"},
        {"Host": "localhost.:8123"},
        {"Host": "0.0.0.0:8123"},
        {**OWN, "Origin": "null"},
        {**OWN, "Origin": "http://evil.example"},
        {**OWN, "Origin": "https://127.0.0.1:8123"},
        {**OWN, "Origin": "http://127.0.0.1:9999"},
        {**OWN, "Origin": "http://localhost:8123"},
        {**OWN, "Origin": ""},
        {**OWN, "Sec-Fetch-Site": "cross-site"},
        {**OWN, "Sec-Fetch-Site": "same-site"},
        {**OWN, "Sec-Fetch-Site": "something new"},
    ],
)
def test_foreign_hosts_origins_and_sites_are_refused(headers: dict[str, str]) -> None:
    assert refusal(CIMultiDict(headers), "/", PORT)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("Host", f"127.0.0.1:{PORT}", "evil.example:8123"),
        ("Host", f"127.0.0.1:{PORT}", f"127.0.0.1:{PORT}"),
        ("Origin", f"http://127.0.0.1:{PORT}", "http://evil.example"),
        ("Sec-Fetch-Site", "same-origin", "cross-site"),
    ],
)
def test_a_header_that_comes_twice_is_read_twice(name: str, good: str, bad: str) -> None:
    rest = [pair for pair in OWN.items() if pair[0] != name]
    assert refusal(CIMultiDict([*rest, (name, good)]), "/", PORT) is None
    assert refusal(CIMultiDict([*rest, (name, good), (name.lower(), bad)]), "/", PORT)
    assert refusal(CIMultiDict([*rest, (name, bad), (name, good)]), "/", PORT)


@each(
    ("target", "is_ours"),
    [
        ("/ping", True),
        ("/?query=SELECT+1", True),
        ("//evil.example/", True),  # a path: no authority stands in it
        ("/http://evil.example/", True),
        (f"http://127.0.0.1:{PORT}/?query=SELECT+1", True),
        (f"HTTP://127.0.0.1:{PORT}", True),
        ("http://evil.example/?query=SELECT+1", False),
        (f"http://evil.example:{PORT}", False),
        (f"http://127.0.0.1:{PORT}@evil.example/", False),
        (f"http://evil.example@127.0.0.1:{PORT}/", False),
        (f"http://localhost:{PORT}/", False),  # Host says another name
        ("http://127.0.0.1/", False),
        ("http:///", False),
        ("ftp://evil.example/", False),
        ("evil.example:443", False),
        ("*", False),
    ],
)
def test_a_whole_url_is_answered_only_when_it_names_the_host(target: str, is_ours: bool) -> None:
    assert (refusal(CIMultiDict(OWN), target, PORT) is None) is is_ours
    assert (refusal(CIMultiDict(OWN), target, PORT, any_host=True) is None) is is_ours


def test_a_server_for_other_machines_takes_any_name_but_no_foreign_page() -> None:
    def refused(**headers: str) -> str | None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return refusal(CIMultiDict(named), "/", PORT, any_host=True)

    assert refused(Host="worker-1:9464") is None
    assert refused(Host="10.0.0.7") is None
    assert refused(Host="worker-1:9464", Origin="http://worker-1:9464") is None
    assert refused(Host="worker-1:9464", Origin="http://evil.example")
    assert refused(Host="worker-1:9464", Sec_Fetch_Site="cross-site")


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_addresses_of_this_machine_alone_are_known(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
