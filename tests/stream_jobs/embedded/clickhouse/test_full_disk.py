"""An insert that a full disk cuts short is reported as such, not as a broken connection."""

from __future__ import annotations

import asyncio
import errno
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, cast

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader

from tokentide_jobs.embedded.clickhouse.engine.waiting_space import WaitingSpace
from tokentide_jobs.embedded.clickhouse.exceptions import ClickHouseError
from tokentide_jobs.embedded.clickhouse.request.form import read_form
from tokentide_jobs.embedded.clickhouse.request.read_deadline import ReadDeadline
from tokentide_jobs.embedded.clickhouse.run.inserts import spool_body, spool_file

pytestmark = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="only this device is always full"
)
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="ids"; filename="ids"\r\n\r\n1\n2\n\r\n--b--\r\n'
)


def full_disk(**_about: Any) -> IO[bytes]:
    return Path("/dev/full").open("wb")


def no_disk(**_about: Any) -> IO[bytes]:
    raise OSError(errno.EIO, "Input/output error")


async def sent_form(tmp_path: Path, error: OSError | None = None) -> None:
    loop = asyncio.get_running_loop()
    content = StreamReader(BaseProtocol(loop), 1 << 16, loop=loop)
    if error is None:
        content.feed_data(FORM)
        content.feed_eof()
    else:
        content.set_exception(error)
    request = SimpleNamespace(
        headers={"Content-Type": "multipart/form-data; boundary=b"}, content=content
    )
    space = WaitingSpace(1 << 20, 0, tmp_path)
    with ExitStack() as keeping, space.claimed() as claim:
        asked = SimpleNamespace(sql_in_url=b"", table_fields={})
        deadline = ReadDeadline(5, "a form")
        await read_form(cast("Any", request), cast("Any", asked), deadline, claim, keeping)


async def test_external_data_that_the_disk_has_no_room_for_is_243(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", full_disk)
    with pytest.raises(ClickHouseError, match="No space left on device; make room") as refused:
        await sent_form(tmp_path)
    assert refused.value.code == 243


async def test_a_disk_that_fails_in_another_way_is_not_called_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", no_disk)
    with pytest.raises(ClickHouseError, match="data directory: Input/output error") as refused:
        await sent_form(tmp_path)
    assert refused.value.code == 1002


@pytest.mark.parametrize(
    "error", [ConnectionResetError("Connection lost"), OSError(errno.EHOSTUNREACH, "No route")]
)
async def test_a_connection_that_breaks_is_210(tmp_path: Path, error: OSError) -> None:
    with pytest.raises(ClickHouseError, match="The form ended early") as refused:
        await sent_form(tmp_path, error)
    assert refused.value.code == 210


@pytest.mark.parametrize("size_bytes", [10, 1 << 20])
async def test_insert_data_that_the_disk_has_no_room_for_is_243(
    size_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"1" * size_bytes

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", full_disk)
    statement = SimpleNamespace(inline_data=b"")
    with (
        pytest.raises(ClickHouseError, match="No space left on device") as refused,
        spool_file() as spool,  # closing it would raise its own error of the full disk
    ):
        await spool_body(cast("Any", statement), body(), spool)
    assert refused.value.code == 243
