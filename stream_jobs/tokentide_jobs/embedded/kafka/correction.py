"""One correction of Kafka's own code, found on the class path before the jar that it corrects.

After a crash Kafka reads its last segments again (`LogLoader.recoverLog`). When the disk refuses a
byte meanwhile, Kafka takes the refusal for damage and cuts the whole segment: acknowledged records,
or the record of which topics there are. Corrected, the start fails and the next one finds it all.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tokentide_jobs.embedded.artifacts.cache import exclusive
from tokentide_jobs.errors import StackError

__all__ = ["corrected_code", "correction_jar"]

_JAR: Final = "kafka-storage-"
_CLASS: Final = "org/apache/kafka/storage/internals/log/LogLoader.class"

_CATCHES: Final = bytes.fromhex("0087008f009202210087008f00920146")
"""`catch (InvalidOffsetException | IOException)` around `recoverSegment`: two entries of the
method's exception table, each of first and last instruction, handler, and what is caught."""
_CATCHES_NOTHING: Final = bytes.fromhex("0087008f009201d30087008f009201d3")
"""The same for `CorruptIndexException`, which `recoverSegment` never raises."""

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def correction_jar(jars: Iterable[Path], folder: Path) -> Path:
    """Return the jar that belongs before all others, after writing it if it is not there whole.

    Args:
        jars: The class path, checked against its lock.
        folder: Where the file stays; several processes may write it at once.

    Raises:
        StackError: Kafka is not the version that the correction is for.
    """
    jar = next(jar for jar in jars if jar.name.startswith(_JAR))
    with zipfile.ZipFile(jar) as archive:
        code = corrected_code(archive.read(_CLASS), jar.name)
    # Java compares the archive of its classes with each jar's name and time: never write twice.
    target = folder / f"correction-{hashlib.sha256(code).hexdigest()[:16]}.jar"
    if not target.exists():
        with exclusive(folder):
            temporary = target.with_suffix(f".{os.getpid()}")
            with zipfile.ZipFile(temporary, "w") as archive:
                archive.writestr(zipfile.ZipInfo(_CLASS, _EPOCH), code)
            if target.exists():
                temporary.unlink()
            else:
                temporary.replace(target)
    return target


def corrected_code(code: bytes, jar_name: str) -> bytes:
    """Return the class without the handler that cuts a segment.

    Raises:
        StackError: The handler is not where Kafka 4.1.1 has it.
    """
    if code.count(_CATCHES) != 1:
        raise StackError(
            f"{jar_name} is not the Kafka that this release corrects: LogLoader.recoverLog "
            "differs. It would lose records when it starts on a full disk"
        )
    return code.replace(_CATCHES, _CATCHES_NOTHING)
