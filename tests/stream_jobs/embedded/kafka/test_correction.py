"""The correction of Kafka's code fits the version that is pinned, and no other."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tokentide_jobs.embedded.kafka.correction import corrected_code, correction_jar
from tokentide_jobs.errors import StackError

CLASS = "org/apache/kafka/storage/internals/log/LogLoader.class"
CATCHES = bytes.fromhex("0087008f009202210087008f00920146")


def storage_jar(folder: Path, code: bytes) -> Path:
    jar = folder / "kafka-storage-4.1.1.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr(CLASS, code)
    return jar


def test_the_jar_holds_the_corrected_class_alone_and_is_written_once(tmp_path: Path) -> None:
    jars = [tmp_path / "other.jar", storage_jar(tmp_path, b"before" + CATCHES + b"after")]

    corrected = correction_jar(jars, tmp_path / "cache")
    written_ns = corrected.stat().st_mtime_ns

    assert correction_jar(jars, tmp_path / "cache") == corrected
    assert corrected.stat().st_mtime_ns == written_ns
    with zipfile.ZipFile(corrected) as archive:
        assert archive.namelist() == [CLASS]
        code = archive.read(CLASS)
    assert code.startswith(b"before") and code.endswith(b"after")
    assert len(code) == len(b"before" + CATCHES + b"after")
    assert CATCHES not in code


@pytest.mark.parametrize("code", [b"another version", CATCHES * 2])
def test_code_that_is_not_the_pinned_one_is_refused(code: bytes) -> None:
    with pytest.raises(StackError, match=r"kafka-storage-5\.jar is not the Kafka"):
        corrected_code(code, "kafka-storage-5.jar")
