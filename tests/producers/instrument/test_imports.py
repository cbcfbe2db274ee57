"""What is done to modules when they are imported, and to functions of theirs."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from tokentide.instrument.patching import ImportWatch, Patches


def test_a_module_is_acted_on_right_after_every_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "late_client.py").write_text("made = 1\n")
    (tmp_path / "late_package").mkdir()
    (tmp_path / "late_package" / "__init__.py").write_text("from late_package import part\n")
    (tmp_path / "late_package" / "part.py").write_text("made = 2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    seen: list[Any] = []
    watch = ImportWatch()
    try:
        watch.when_imported("late_client", lambda module: seen.append(module.made))
        watch.when_imported("late_package.part", lambda module: seen.append(module.made))
        watch.when_imported("json", lambda module: seen.append(module.__name__))
        watch.when_imported("not_there_at_all", seen.append)
        assert seen == ["json"], "what is imported already is acted on now"
        for name in ("late_client", "late_package"):
            importlib.import_module(name)
        importlib.import_module("late_client")
        assert seen == ["json", 1, 2]
        assert importlib.reload(sys.modules["late_client"]).made == 1
        assert seen == ["json", 1, 2, 1], "a reload makes new classes"
        del sys.modules["late_client"]
        importlib.import_module("late_client")
        with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
            importlib.import_module("not_there_at_all")
    finally:
        watch.stop()
        for name in ("late_client", "late_package", "late_package.part"):
            sys.modules.pop(name, None)
    assert watch not in sys.meta_path
    assert seen == ["json", 1, 2, 1, 1]


def test_a_failing_action_or_import_leaves_the_import_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "odd_client.py").write_text("made = 1\n")
    (tmp_path / "broken_client.py").write_text("raise KeyError('their own')\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def fail(module: Any) -> None:
        raise AttributeError(f"{module.__name__} looks different")

    watch = ImportWatch()
    try:
        watch.when_imported("odd_client", fail)
        watch.when_imported("broken_client", fail)
        assert importlib.import_module("odd_client").made == 1
        with pytest.raises(KeyError, match="their own"):
            importlib.import_module("broken_client")
    finally:
        watch.stop()
        sys.modules.pop("odd_client", None)


def test_functions_that_are_not_there_are_left_alone() -> None:
    class Other:
        request = "not a function"

    patches = Patches()
    assert not patches.wrap(Other, "request", lambda original: original)
    assert not patches.wrap(Other, "absent", lambda original: original)
    patches.undo()
    assert Other.request == "not a function"
