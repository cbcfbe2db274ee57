"""The machine code of Kafka's codecs, unpacked once, where it stays: beside the jars in the cache.

Left alone, each codec unpacks itself into a temporary directory when it is first used. On a full
disk that fails, and the broker refuses the codec until it is started again, however much room there
is by then.
"""

from __future__ import annotations

import platform
import shutil
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tokentide_jobs.embedded.artifacts.cache import exclusive

__all__ = ["native_options"]


@dataclass(frozen=True, slots=True)
class _NativeCode:
    """Where a jar keeps its machine code; `{}` is the platform as this codec spells it."""

    jar: str
    member: str
    spellings: dict[tuple[str, str], str]


_LIKE_JAVA: Final = {
    ("linux", "x86_64"): "linux/amd64",
    ("linux", "aarch64"): "linux/aarch64",
    ("darwin", "x86_64"): "darwin/x86_64",
    ("darwin", "arm64"): "darwin/aarch64",
}
_CODECS: Final = {
    "zstd": _NativeCode("zstd-jni-", "{}/libzstd-jni-", _LIKE_JAVA),
    "lz4": _NativeCode("lz4-java-", "net/jpountz/util/{}/liblz4-java.", _LIKE_JAVA),
    "snappy": _NativeCode(
        "snappy-java-",
        "org/xerial/snappy/native/{}/libsnappyjava.",
        {
            ("linux", "x86_64"): "Linux/x86_64",
            ("linux", "aarch64"): "Linux/aarch64",
            ("darwin", "x86_64"): "Mac/x86_64",
            ("darwin", "arm64"): "Mac/aarch64",
        },
    ),
}


def native_options(
    jars: Iterable[Path], folder: Path, machine: tuple[str, str] | None = None
) -> tuple[str, ...]:
    """Unpack what is missing and return the Java options that use it.

    Args:
        jars: The class path.
        folder: Where the files stay; several processes may fill it at once.
        machine: `sys.platform` and machine; None: of this process. On one that is not listed the
            codecs unpack themselves.
    """
    machine = machine or (sys.platform, platform.machine())
    if machine not in _LIKE_JAVA:
        return ()
    jars = list(jars)
    files = {name: _unpacked(codec, jars, folder, machine) for name, codec in _CODECS.items()}
    return (
        f"-DZstdNativePath={files['zstd']}",
        f"-Dorg.xerial.snappy.lib.path={folder}",
        f"-Dorg.xerial.snappy.lib.name={files['snappy'].name}",
        f"-Djava.library.path={folder}",  # where LZ4 looks before it unpacks itself
    )


def _unpacked(codec: _NativeCode, jars: list[Path], folder: Path, machine: tuple[str, str]) -> Path:
    """Return the file of a codec, after unpacking it if it is not there whole."""
    jar = next(jar for jar in jars if jar.name.startswith(codec.jar))
    begin = codec.member.format(codec.spellings[machine])
    with zipfile.ZipFile(jar) as archive:
        member = next(info for info in archive.infolist() if info.filename.startswith(begin))
        target = folder / Path(member.filename).name
        if not _is_whole(target, member.file_size):
            with exclusive(folder):
                temporary = target.with_suffix(".new")
                with archive.open(member) as packed, temporary.open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
                temporary.replace(target)
    return target


def _is_whole(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False
