"""What costs money and is not recorded is named once in the log, whatever the client."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import httpx2
import pytest

from tests.fakes import client_layouts as fakes
from tests.fakes.openai_http import answering
from tests.producers.instrument.openai_calls import client
from tokentide.instrument import unrecorded
from tokentide.testing import Capture

PLACES = (
    ("mistralai.client.jobs", "Jobs", "create", "batch jobs and fine-tuning of mistralai"),
    ("mistralai.mistral_jobs", "MistralJobs", "create", "batch jobs and fine-tuning of mistralai"),
    (
        "mistralai.client.classifiers",
        "Classifiers",
        "moderate_chat",
        "moderation and classifiers of mistralai",
    ),
    (
        "mistralai.client.realtime_sessions",
        "RealtimeSessions",
        "create",
        "realtime sessions of mistralai",
    ),
    ("cohere.batches.raw_client", "RawBatchesClient", "create", "batch jobs of cohere"),
    ("cohere.embed_jobs.raw_client", "RawEmbedJobsClient", "create", "embedding jobs of cohere"),
    (
        "cohere.finetuning.raw_client",
        "RawFinetuningClient",
        "create_finetuned_model",
        "fine-tuning of cohere",
    ),
    (
        "cohere.audio.transcriptions.raw_client",
        "RawTranscriptionsClient",
        "create",
        "transcriptions of cohere",
    ),
    (
        "cohere.raw_base_client",
        "RawBaseCohere",
        "generate_stream",
        "streams of `generate` of cohere",
    ),
)
"""Module, class and method of packages that are not installed here, and what the log says."""


def answer(_self: object, **asked: object) -> object:
    return asked


@pytest.fixture(autouse=True)
def modules(monkeypatch: pytest.MonkeyPatch) -> None:
    unrecorded._logged.clear()
    made = fakes.modules()
    for name, kind, method, _ in PLACES:
        module = made.setdefault(name, ModuleType(name))
        own = getattr(module, kind, object)
        setattr(module, kind, type(kind, (own,), {method: answer}))
    for name, module in made.items():
        monkeypatch.setitem(sys.modules, name, module)


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    end = ": their cost is not recorded; see docs/producer.md"
    messages = [record.message for record in caplog.records if record.name == "tokentide"]
    assert all(message.endswith(end) for message in messages)
    return [message.removesuffix(end) for message in messages]


@pytest.mark.parametrize(("name", "kind", "method", "what"), PLACES)
def test_methods_that_are_not_recorded_answer_and_are_named(
    capture: Capture, caplog: pytest.LogCaptureFixture, name: str, kind: str, method: str, what: str
) -> None:
    owner = getattr(sys.modules[name], kind)()
    for _ in range(2):
        assert getattr(owner, method)(model="m") == {"model": "m"}
    assert logged(caplog) == [what]
    assert capture.requests == []


def test_openais_videos_and_sockets_are_named(
    capture: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    http = answering(lambda _request: httpx2.Response(200, json={"id": "video_1"}))
    sdk: Any = client(http_client=http)
    for path in ("/videos", "/videos/edits", "/videos/extensions", "/videos/video_1/remix"):
        unrecorded._logged.clear()
        sdk.post(path, cast_to=object, body={})
    sdk.get("/videos/video_1", cast_to=object)
    sdk.responses.connect()
    sdk.beta.responses.connect()
    sdk.realtime.connect(model="gpt-realtime")
    assert logged(caplog) == [
        *["videos of openai"] * 4,
        "responses over WebSockets of openai",
        "realtime sessions of openai",
    ]
    assert capture.requests == []


def test_pictures_are_recorded_and_videos_are_named_in_the_log(
    capture: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    models = fakes.Models(fakes.BaseApiClient())
    models._generate_images(model="imagen-4.0-generate-001", prompt="q")
    for _ in range(2):
        assert models._generate_videos(model="veo-3.0", prompt="q").name == "operations/1"
    event = capture.requests[0]
    assert (event["operation"], event["other_units"]) == ("image_generation", {"images": 2})
    logged = [record.message for record in caplog.records if record.name == "tokentide"]
    assert logged == ["videos of google-genai: their cost is not recorded; see docs/producer.md"]
