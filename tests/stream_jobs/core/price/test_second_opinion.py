"""Our prices beside LiteLLM's: no exact amount is wrong, and every disagreement has its verdict."""

from __future__ import annotations

from decimal import Decimal
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import pytest

from tests.stream_jobs.core.price.price_differences import (
    EXTRACT,
    committed,
    differences,
    judged,
)
from tokentide_jobs.cli.main import main
from tokentide_jobs.core.price.second_opinion import Quote, quotes
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.files import litellm_map
from tokentide_jobs.io.files.litellm_map import read_price_map


def test_every_difference_is_in_the_table_and_none_is_new() -> None:
    table = committed()
    listed = [{key: row[key] for key in list(row)[:-2]} for row in table]
    assert differences(judged()) == listed, (
        "run python -m tests.stream_jobs.core.price.price_differences, and judge the rows with ?"
    )


def test_every_difference_has_a_verdict_and_a_source() -> None:
    for row in committed():
        assert row["verdict"] in ("ours", "stand-in"), row
        assert row["source"].startswith("https://"), row
        # An exact price that another list contradicts has to be proven; a stand-in says it is one.
        assert (row["verdict"] == "ours") == (row["status"] == "exact"), row


def test_hundreds_of_real_names_are_exact_and_agree() -> None:
    rates = judged()
    proven = {row["model"] for row in committed() if row["verdict"] == "ours"}
    exact = {(one.provider, one.model) for one in rates if one.status == "exact"}
    providers = {provider for provider, _ in exact}
    assert len(exact) > 500
    assert len(providers) >= 10
    for one in rates:
        if one.status == "exact" and one.ours is not None and one.model not in proven:
            assert abs(one.ours - one.theirs) * 100 <= max(one.ours, one.theirs), one


def test_names_of_the_map_lose_their_prefixes_and_keep_their_places() -> None:
    rate = {"input_cost_per_token": Decimal("0.0000025"), "output_cost_per_token": 0}
    read = quotes(
        {
            "_about": "MIT",
            "azure/eu/gpt-4o": {"litellm_provider": "azure", **rate},
            "azure/gpt-4o": {"litellm_provider": "azure", **rate},
            "bedrock/eu-west-1/meta.x": {"litellm_provider": "bedrock", **rate},
            "us.meta.x": {"litellm_provider": "bedrock", **rate},
            "vertex_ai/claude-x": {"litellm_provider": "vertex_ai-anthropic_models", **rate},
            "gpt-4o": {"litellm_provider": "openai", **rate},
            "openai/gpt-4o": {"litellm_provider": "openai", **rate},
            "someone/x": {"litellm_provider": "someone", **rate},
            "free": {"litellm_provider": "openai", "input_cost_per_token": 0},
        }
    )
    mine = {"input_tokens": 2_500_000}
    assert list(read) == [
        Quote("azure.ai.openai", "gpt-4o", "eu", mine),
        Quote("azure.ai.openai", "gpt-4o", "global", mine),
        Quote("aws.bedrock", "meta.x", "eu-west-1", mine),
        Quote("aws.bedrock", "us.meta.x", "", mine),
        Quote("gcp.vertex_ai", "claude-x", "global", mine),
        Quote("openai", "gpt-4o", "", mine),
    ]


def test_the_command_lists_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOKENTIDE_DATA_DIR", str(tmp_path))
    arguments = ("prices", "diff", "--against", str(EXTRACT), "--at", "2026-11-30T12:00:00Z")
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "gpt-4o-mini-tts" in out
    assert "more than 1 % apart, 19 of them exact here" in out
    assert main(("prices", "diff", "v1", "--against", str(EXTRACT))) == 2
    assert "leave OLD 'v1' out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"[1]", "expected an object of models"), (b"{", "not valid JSON"), (None, "No such file")],
)
def test_a_file_that_is_no_map_is_refused(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "map.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=reason):
        read_price_map(str(path))


def test_without_the_package_the_error_says_what_to_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm_map, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match="litellm is not installed here; name a file"):
        read_price_map("litellm")


def test_an_installed_package_is_found_and_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "litellm"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    name = "model_prices_and_context_window_backup.json"
    (package / name).write_text('{"gpt-4o": {"input_cost_per_token": 2.5e-06}}')

    def found(_name: str) -> Any:
        return PathFinder.find_spec("litellm", [str(tmp_path)])

    monkeypatch.setattr(litellm_map, "find_spec", found)
    assert read_price_map("litellm") == {"gpt-4o": {"input_cost_per_token": Decimal("2.5e-06")}}
