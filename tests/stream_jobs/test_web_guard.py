"""Pages of other origins are told from the clients of a server on loopback by their headers."""

from __future__ import annotations

import pytest

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
    assert refusal(headers, PORT) is None


@pytest.mark.parametrize(
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
    assert refusal(headers, PORT)


def test_a_server_for_other_machines_takes_any_name_but_no_foreign_page() -> None:
    assert refusal({"Host": "worker-1:9464"}, PORT, any_host=True) is None
    assert refusal({"Host": "10.0.0.7"}, PORT, any_host=True) is None
    own = {"Host": "worker-1:9464", "Origin": "http://worker-1:9464"}
    assert refusal(own, PORT, any_host=True) is None
    foreign = {"Host": "worker-1:9464", "Origin": "http://evil.example"}
    assert refusal(foreign, PORT, any_host=True)
    assert refusal({"Host": "worker-1:9464", "Sec-Fetch-Site": "cross-site"}, PORT, any_host=True)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_addresses_of_this_machine_alone_are_known(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
