"""A YAML file of entries or of sections: its nodes with lines, taken whole or refused whole.

Every bad entry is reported with file, line and reason in one error, so that nothing runs on half
of a file. Values stay the text that was written: what it means is up to the reader of an entry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeVar

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from tokentide_jobs.errors import ConfigError

__all__ = [
    "Named",
    "Problems",
    "content_of",
    "entries",
    "entry_fields",
    "is_null",
    "mapping",
    "named_entries",
    "sections",
    "texts",
    "two_lists",
    "value_text",
]

_MAX_BYTES: Final = 4 << 20
_MAX_TEXT: Final = 512
_SECTIONS: Final = ("run_guard", "anomalies", "pipeline", "alerts", "notify")
"""Of detect.yaml: each has its own reader."""


@dataclass
class Problems:
    """Everything wrong with one file.

    Attributes:
        name: Of the file.
        what: What the file holds, for the first line of the error: `price overrides`.
    """

    name: str
    what: str
    found: list[tuple[int, str]] = field(default_factory=list)

    def add(self, node: Node, reason: str) -> None:
        """Note what is wrong with a node."""
        self.found.append((node.start_mark.line + 1, reason))

    def raise_if_any(self) -> None:
        """Refuse the file, naming every problem in the order of its lines.

        Raises:
            ConfigError: There is one.
        """
        if self.found:
            count = f"{len(self.found)} problem{'s' if len(self.found) > 1 else ''}"
            summary = f"{self.what} refused, {count}; no entry of the file is used:"
            lines = [f"{self.name}:{line}: {why}" for line, why in sorted(self.found)]
            raise ConfigError("\n".join((summary, *lines)))


def content_of(path: Path, what: str, remedy: str) -> bytes:
    """Return the bytes of a file that a setting names.

    Args:
        path: The file.
        what: What it holds, for the error.
        remedy: What to do when it cannot be read, for the error.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{what} {path}: {error.strerror or error}; {remedy}") from error


def entries(content: bytes, key: str, problems: Problems) -> list[Node]:
    """Return the nodes of a file that is a list, or a mapping whose one key holds a list.

    Args:
        content: The file's bytes.
        key: The one key.
        problems: Where to note what is wrong.

    Raises:
        ConfigError: The file is too large or is not YAML.
    """
    return _lists(content, (key,), problems)[0]


def two_lists(
    content: bytes, keys: tuple[str, str], problems: Problems
) -> tuple[list[Node], list[Node]]:
    """Return the nodes of a file that is a list of the first key, or a mapping of either key.

    Raises:
        ConfigError: The file is too large or is not YAML.
    """
    first, second = _lists(content, keys, problems)
    return first, second


def _lists(content: bytes, keys: tuple[str, ...], problems: Problems) -> list[list[Node]]:
    """Return one list of nodes for every key; a file that is a list holds those of the first."""
    root = _compose(content, problems)
    if isinstance(root, SequenceNode):
        return [list(root.value), *([] for _ in keys[1:])]
    fields = mapping(root, keys, "the file", problems) if isinstance(root, MappingNode) else {}
    if root is not None and not isinstance(root, MappingNode) and not is_null(root):
        problems.add(root, f"expected `{keys[0]}:` with a list of entries")
    found: list[list[Node]] = []
    for key in keys:
        listed = fields.get(key)
        if listed is not None and not isinstance(listed, SequenceNode) and not is_null(listed):
            problems.add(listed, f"{key}: expected a list of entries")
        found.append(list(listed.value) if isinstance(listed, SequenceNode) else [])
    return found


class Named(Protocol):
    """An entry with a name."""

    @property
    def name(self) -> str:
        """What the file calls it."""


_Entry = TypeVar("_Entry", bound=Named)


def named_entries(
    content: bytes,
    key: str,
    noun: str,
    read: Callable[[Node, Problems], _Entry | None],
    problems: Problems,
) -> tuple[_Entry, ...]:
    """Return the entries of a file, whose names are unique in it.

    Args:
        content: The file's bytes.
        key: The one key that holds the list.
        noun: What an entry is called.
        read: Reads one, or notes what is wrong with it.
        problems: Where to note what is wrong.

    Raises:
        ConfigError: At least one entry is bad; the message lists every problem with its line.
    """
    lines: dict[str, int] = {}
    found = []
    for node in entries(content, key, problems):
        entry = read(node, problems)
        if entry is None:
            continue
        if entry.name in lines:
            problems.add(node, f"name: {entry.name!r} is the {noun} of line {lines[entry.name]}")
        lines[entry.name] = node.start_mark.line + 1
        found.append(entry)
    problems.raise_if_any()
    return tuple(found)


def sections(content: bytes, problems: Problems) -> dict[str, Node]:
    """Return the sections of a detect.yaml that are there and not empty.

    Raises:
        ConfigError: The file is too large or is not YAML.
    """
    root = _compose(content, problems)
    if root is None or is_null(root):
        return {}
    found = mapping(root, _SECTIONS, "the file", problems)
    return {name: node for name, node in found.items() if not is_null(node)}


def mapping(node: Node, known: tuple[str, ...], where: str, problems: Problems) -> dict[str, Node]:
    """Return the values of a mapping by their keys, each of them known and given once."""
    if not isinstance(node, MappingNode):
        problems.add(node, f"{where}: expected fields `name: value`")
        return {}
    fields: dict[str, Node] = {}
    for key_node, value in node.value:
        key = str(key_node.value)
        if key not in known:
            problems.add(key_node, f"{key}: unknown in {where}; known: {', '.join(known)}")
        elif key in fields:
            problems.add(key_node, f"{key}: given twice")
        else:
            fields[key] = value
    return fields


def entry_fields(
    node: Node,
    required: tuple[str, ...],
    optional: tuple[str, ...],
    where: str,
    problems: Problems,
) -> dict[str, Node] | None:
    """Return the values of an entry by their keys; None when a key is unknown, twice or missing."""
    before = len(problems.found)
    fields = mapping(node, (*required, *optional), where, problems)
    if isinstance(node, MappingNode):
        for name in required:
            if name not in fields:
                problems.add(node, f"{name}: missing")
    return None if len(problems.found) > before else fields


def value_text(key: str, node: Node, problems: Problems, most: int = _MAX_TEXT) -> str:
    """Return a value as the text it is written as, without blanks around it."""
    if not isinstance(node, ScalarNode) or not node.value.strip() or len(node.value) > most:
        problems.add(node, f"{key}: expected a text of 1 to {most} characters")
        return ""
    return str(node.value).strip()


def texts(node: Node) -> list[str]:
    """Return the texts of a list as they are written; none where it is not a list of texts."""
    listed = node.value if isinstance(node, SequenceNode) else []
    if not all(isinstance(one, ScalarNode) for one in listed):
        return []
    return [str(one.value) for one in listed]


def _compose(content: bytes, problems: Problems) -> Node | None:
    reason, line = "", 1
    if len(content) > _MAX_BYTES:
        reason = f"larger than {_MAX_BYTES:,} bytes"
    else:
        try:
            root: Node | None = yaml.compose(content, Loader=yaml.SafeLoader)
        except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
            # Not every escape that the grammar allows is a character.
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark is not None else 1
            reason = getattr(error, "problem", None) or f"{error} ".splitlines()[0]
            reason = f"not valid YAML: {reason}"
        else:
            _check_texts(root, problems)
            return root
    problems.found.append((line, reason))
    problems.raise_if_any()
    return None


def _check_texts(root: Node | None, problems: Problems) -> None:
    """Refuse texts that cannot be stored, or handed to the system.

    Raises:
        ConfigError: There is one.
    """
    seen: set[int] = set()
    left = [root]
    while left:
        node = left.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, MappingNode):
            left += [one for pair in node.value for one in pair]
        elif isinstance(node, SequenceNode):
            left += node.value
        elif any(one == "\0" or "\ud800" <= one <= "\udfff" for one in node.value):
            problems.add(node, f"{node.value[:80]!a}: a character that no text may have")
    problems.raise_if_any()


def is_null(node: Node) -> bool:
    """Return whether nothing was written where a value may be."""
    return isinstance(node, ScalarNode) and node.value in ("", "null")
