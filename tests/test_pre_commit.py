"""`pre-commit install` sets up every hook that the configuration names."""

from __future__ import annotations

import yaml

from tests.places import ROOT


def test_every_stage_that_a_hook_names_is_installed() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    named = {stage for hook in hooks for stage in hook["stages"]}
    assert named == set(config.get("default_install_hook_types", ["pre-commit"]))
    assert hooks
