"""Codecs stay where they were unpacked: a full disk cannot take them from a broker that starts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from tokentide_jobs.embedded.artifacts.cache import default_cache_dir
from tokentide_jobs.embedded.kafka.apache import KafkaBroker
from tokentide_jobs.embedded.kafka.artifacts import class_path
from tokentide_jobs.embedded.kafka.natives import native_options
from tokentide_jobs.embedded.kafka.produce_probe import PROBE, produce_problem


@pytest.mark.parametrize(
    "machine",
    [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "x86_64"), ("darwin", "arm64")],
)
def test_every_codec_is_unpacked_for_every_machine_and_mended_when_it_is_cut_off(
    tmp_path: Path, machine: tuple[str, str]
) -> None:
    jars = class_path(default_cache_dir())
    options = native_options(jars, tmp_path, machine)
    files = {path.name: path.read_bytes() for path in tmp_path.glob("lib*")}
    assert len(files) == 3
    magic = b"\x7fELF" if machine[0] == "linux" else b"\xcf\xfa\xed\xfe"
    assert all(content.startswith(magic) or b"\xca\xfe\xba\xbe" in content[:4]
               for content in files.values())  # fmt: skip

    victim = next(tmp_path.glob("libzstd*"))
    victim.write_bytes(b"\x7fELF")
    assert native_options(jars, tmp_path, machine) == options
    assert {path.name: path.read_bytes() for path in tmp_path.glob("lib*")} == files


def test_on_a_machine_that_is_not_known_the_codecs_are_left_to_themselves(tmp_path: Path) -> None:
    assert native_options(class_path(default_cache_dir()), tmp_path, ("sunos5", "sparc")) == ()


async def produce_with_every_codec(bootstrap: str) -> None:
    for codec in ("zstd", "lz4", "snappy"):
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type=codec)
        await producer.start()
        await producer.send_and_wait(PROBE.name, b"x" * 1000)
        await producer.stop()


@pytest.mark.integration
def test_a_broker_loads_its_codecs_from_the_cache_and_unpacks_none(tmp_path: Path) -> None:
    broker = KafkaBroker(tmp_path, port=0, cache_dir=default_cache_dir())
    record = broker.start()
    try:
        asyncio.run(produce_with_every_codec(broker.bootstrap))
        maps = Path(f"/proc/{record.pid}/maps")
        if maps.exists():  # Linux says which files a process runs
            loaded = {line.split()[-1] for line in maps.read_text().splitlines() if ".so" in line}
            ours = [path for path in loaded if str(default_cache_dir() / "kafka-") in path]
            assert len([path for path in ours if "native" in path]) == 3, sorted(loaded)
        left = [path.name for path in (tmp_path / "kafka" / "tmp").iterdir()]
        assert not [name for name in left if "zstd" in name or "lz4" in name or "snappy" in name]
        assert produce_problem(broker.bootstrap, 10, lambda: True) == ""
    finally:
        broker.stop()
    assert "a record is refused" in produce_problem(broker.bootstrap, 10, lambda: True)
