"""How each kind of setting is declared, read from text and checked.

Every refusal names the setting or variable as it was given, the value, and what to give instead.
Invariant: the value of a secret is in no message.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import field
from importlib.util import find_spec
from typing import Any

Meta = Mapping[str, Any]


class SettingsError(ValueError):
    """A setting has a value that cannot be used; the message names it, the value and the remedy."""


def number(env: str, default: float, low: float, high: float, unit: str, doc: str) -> Any:
    """Declare a number between two bounds; whole when the default is."""
    kind = as_int if isinstance(default, int) else as_float
    return _declare(env, default, doc, kind, unit=unit, range=(low, high))


def switch(env: str, default: bool, doc: str) -> Any:
    """Declare a yes or no."""
    return _declare(env, default, doc, as_bool, choices=("true", "false"))


def choice(env: str, default: str, choices: tuple[str, ...], doc: str) -> Any:
    """Declare one word out of several."""
    return _declare(env, default, doc, as_choice, choices=choices)


def several(env: str, choices: tuple[str, ...], doc: str) -> Any:
    """Declare any number of words out of several, separated by commas; `all` means every one."""
    return _declare(env, "", doc, as_several, choices=choices, several=True)


def text(env: str, default: str, doc: str, max_length: int = 128) -> Any:
    """Declare free text; it may be empty only where the default is."""
    return _declare(env, default, doc, as_text, max_length=max_length)


def addresses(env: str, default: str, doc: str) -> Any:
    """Declare a list of `host:port`."""
    return _declare(env, default, doc, as_addresses, max_length=4096)


def secret(env: str, doc: str, max_length: int = 4096) -> Any:
    """Declare text that is never shown."""
    return _declare(env, "", doc, as_text, shown=False, max_length=max_length, secret=True)


def file(env: str, doc: str) -> Any:
    """Declare the path of a file that has to exist."""
    return _declare(env, "", doc, as_file, max_length=4096)


def directory(env: str, doc: str) -> Any:
    """Declare the path of the disk spool's directory, which may be made later."""
    return _declare(env, "", doc, as_directory, max_length=4096)


def hook(env: str, doc: str) -> Any:
    """Declare a function of the host: a callable, or `module:function` to import."""
    return _declare(env, "", doc, as_hook, hook=True)


def _declare(
    env: str, default: object, doc: str, check: object, *, shown: bool = True, **more: object
) -> Any:
    meta = {"env": env, "doc": doc, "check": check, "default": default, **more}
    return field(default=default, repr=shown, metadata=meta)


def checked(label: str, value: object, meta: Meta) -> object:
    """Return `value` as the field's type.

    Args:
        label: Name of the setting or variable under which the value was given.
        value: What was given.
        meta: How the field was declared.

    Raises:
        SettingsError: The value cannot be used.
    """
    check: Callable[[str, object, Meta], object] = meta["check"]
    return check(label, value, meta)


def as_bool(label: str, value: object, meta: Meta) -> bool:
    """Read true or false, and the usual other words for them."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in {"true", "1", "yes", "on"}:
        return True
    if word in {"false", "0", "no", "off"}:
        return False
    raise SettingsError(f"{label}={value!r}: give true or false")


def as_choice(label: str, value: object, meta: Meta) -> str:
    """Read one word out of the declared ones, in any case."""
    choices: tuple[str, ...] = meta["choices"]
    word = value.strip().lower() if isinstance(value, str) else value
    if word not in choices:
        raise SettingsError(f"{label}={value!r}: give one of {', '.join(choices)}")
    return str(word)


def as_several(label: str, value: object, meta: Meta) -> str:
    """Read words separated by commas; returns them in the declared order."""
    choices: tuple[str, ...] = meta["choices"]
    if not isinstance(value, str):
        raise SettingsError(f"{label}={value!r}: give a string")
    words = {word.strip().lower() for word in value.split(",") if word.strip()}
    for word in sorted(words - {"all", *choices}):
        raise SettingsError(
            f"{label}={value!r}: {word!r} is unknown; give all, or some of {', '.join(choices)}"
        )
    return ",".join(word for word in choices if word in words or "all" in words)


def as_text(label: str, value: object, meta: Meta) -> str:
    """Read text of bounded length."""
    shown = "(not shown)" if meta.get("secret") else repr(value)
    if not isinstance(value, str):
        raise SettingsError(f"{label}={shown}: give a string")
    if len(value) > meta["max_length"]:
        raise SettingsError(f"{label}={shown}: give at most {meta['max_length']} characters")
    if not value.strip() and meta["default"]:
        raise SettingsError(f"{label}={shown}: give a name that is not empty")
    return value.strip()


def as_addresses(label: str, value: object, meta: Meta) -> str:
    """Read addresses separated by commas."""
    given = as_text(label, value, meta)
    found = [part.strip() for part in given.split(",") if part.strip()]
    if "@" in given:  # what stands before it may be a password
        raise SettingsError(
            f"{label} holds an account (@): give only host:port here, and the account in "
            "TOKENTIDE_KAFKA_USERNAME and TOKENTIDE_KAFKA_PASSWORD"
        )
    for address in found or [given]:
        host, _, port = address.rpartition(":")
        if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
            raise SettingsError(
                f"{label}={value!r}: {address!r} is not host:port; give for example "
                "kafka-1:9092,kafka-2:9092"
            )
    return ",".join(found)


def as_file(label: str, value: object, meta: Meta) -> str:
    """Read the path of a file, which has to be there and readable."""
    from pathlib import Path  # only here: most hosts name no files

    path = as_text(label, value, meta)
    try:
        with Path(path).expanduser().open("rb"):
            return str(Path(path).expanduser())
    except OSError as exc:
        raise SettingsError(
            f"{label}={value!r}: {exc.strerror or exc}; give a file that this process can read"
        ) from exc


def as_directory(label: str, value: object, meta: Meta) -> str:
    """Read the path of a directory, made absolute: a service may change its own later."""
    from pathlib import Path  # only here: most hosts name none

    given = as_text(label, value, meta)
    if not given:
        return ""
    if find_spec("fcntl") is None or not hasattr(os, "pwrite"):
        raise SettingsError(
            f"{label}={value!r}: this system (Windows?) lacks fcntl or pwrite, by which the disk "
            "spool is locked and written; leave it unset: events then wait in memory only"
        )
    path = Path(given).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise SettingsError(f"{label}={value!r}: is a file; give a directory, or one to be made")
    return str(path)


def as_hook(label: str, value: object, meta: Meta) -> Callable[..., object]:
    """Return the host's function, imported when it was named as text."""
    if isinstance(value, str):
        value = _imported(label, value.strip())
    if not callable(value):
        raise SettingsError(f"{label}={value!r}: give a function, or its name as module:function")
    if inspect.iscoroutinefunction(value):
        raise SettingsError(f"{label}={value!r}: give a plain function, it is not awaited")
    return value


def _imported(label: str, name: str) -> object:
    module_name, colon, path = name.partition(":")
    if not (colon and module_name and path):
        raise SettingsError(f"{label}={name!r}: give module:function, for example app.privacy:mask")
    try:
        __import__(module_name)
        found: object = sys.modules[module_name]
        for part in path.split("."):
            found = getattr(found, part)
    except Exception as exc:
        # Whatever the module of the host does while it is imported, the remedy is the same.
        raise SettingsError(
            f"{label}={name!r}: {type(exc).__name__}: {exc}; give a function that can be imported, "
            "in a module that does not make the producer itself"
        ) from exc
    return found


def as_int(label: str, value: object, meta: Meta) -> int:
    """Read a whole number within the declared bounds."""
    found = as_float(label, value, meta)
    if found != int(found):
        raise SettingsError(f"{label}={value!r}: give a whole number")
    return int(found)


def as_float(label: str, value: object, meta: Meta) -> float:
    """Read a number within the declared bounds."""
    low, high = meta["range"]
    unit = f" {meta['unit']}" if meta["unit"] else ""
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError(value)
        found = float(value)
    except ValueError as exc:
        raise SettingsError(
            f"{label}={value!r}: not a number; give {low:g} to {high:g}{unit}"
        ) from exc
    if not low <= found <= high:
        raise SettingsError(f"{label}={value!r}: out of range; give {low:g} to {high:g}{unit}")
    return found
