"""Codecs stay where they were unpacked: a full disk cannot take them from a broker that starts."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.protocol.admin import CreateAclsRequest

from tokentide_jobs.embedded.artifacts.cache import default_cache_dir
from tokentide_jobs.embedded.kafka import properties
from tokentide_jobs.embedded.kafka.apache import KafkaBroker
from tokentide_jobs.embedded.kafka.artifacts import class_path
from tokentide_jobs.embedded.kafka.natives import native_options
from tokentide_jobs.embedded.kafka.produce_probe import PROBE, produce_problem
from tokentide_jobs.errors import ServiceUnreachable
from tokentide_jobs.io.kafka.clients import admin_client, plain_client
from tokentide_jobs.tasks import dead_letters
from tokentide_jobs.tasks.dead_letters import Place, StoredDeadLetter, Target

pytestmark = pytest.mark.integration  # the codecs are in Kafka's jars, which a new machine fetches


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


async def let_broker_refuse(bootstrap: str, *, by: str) -> None:
    async with admin_client(bootstrap) as admin:
        if by == "size":
            smallest = {"max.message.bytes": "10"}
            await admin.alter_configs(
                [ConfigResource(ConfigResourceType.TOPIC, PROBE.name, smallest)]
            )
    if by == "rights":
        topic, literal, everything, write, deny, allow = 2, 3, 2, 4, 2, 3
        of_topic = (topic, PROBE.name, literal, "User:ANONYMOUS", "*")
        async with plain_client(bootstrap) as client:
            for operation, permission in ((everything, allow), (write, deny)):
                rule = CreateAclsRequest(*of_topic, operation, permission)
                answer = await client.send(client.get_random_node(), rule)
                assert [code for code, _text in answer.creation_responses] == [0]


def refused(broker: KafkaBroker, words: str) -> str:
    """Probe until what was just set is in force; return what the probe says of it."""
    give_up_s = time.monotonic() + 60
    while words not in (answer := produce_problem(broker.bootstrap, 10, lambda: True)):
        assert time.monotonic() < give_up_s, answer
    return answer


def sent_again(broker: KafkaBroker) -> str:
    """Send a dead letter to the topic of the probe; return why that fails."""
    at = datetime(2026, 11, 30, tzinfo=UTC)
    letter = StoredDeadLetter(
        Place("log", PROBE.name, 0, 1, 0), "bad_value", "", "", b"{}" * 99, at, at, "", "", "", "",
        "", "open",
    )  # fmt: skip

    async def send() -> None:
        async with dead_letters._producer(broker.bootstrap) as producer:
            target = Target(broker.bootstrap, PROBE.name, "log")
            await dead_letters._send(producer, [letter], target)

    with pytest.raises(ServiceUnreachable) as failure:
        asyncio.run(send())
    return str(failure.value)


def test_a_broker_loads_its_codecs_from_the_cache_and_unpacks_none_and_what_it_refuses_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
    monkeypatch.setitem(properties._SETTINGS, "authorizer.class.name", authorizer)
    monkeypatch.setitem(properties._SETTINGS, "allow.everyone.if.no.acl.found", "true")
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

        asyncio.run(let_broker_refuse(broker.bootstrap, by="size"))
        too_large = f"a record is larger than topic {PROBE.name} takes: set its max.message.bytes"
        assert refused(broker, too_large).startswith("a record is refused: ")
        assert too_large in sent_again(broker)
        asyncio.run(let_broker_refuse(broker.bootstrap, by="rights"))
        not_allowed = f"this account may not write to topic {PROBE.name}: allow it to"
        assert refused(broker, not_allowed).startswith("a record is refused: ")
        again = sent_again(broker)
        assert not_allowed in again
        assert "dlq list --state interrupted" in again
        assert "\n" not in again
    finally:
        broker.stop()
    assert "a record is refused" in produce_problem(broker.bootstrap, 10, lambda: True)
