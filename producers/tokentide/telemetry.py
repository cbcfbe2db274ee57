"""The producer as a host sees it.

Constructing may raise on a bad setting. Nothing afterwards raises, blocks or waits for a lock,
except `flush` and `close`, which wait no longer than they are given.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from tokentide.context import current_scope
from tokentide.delivery.counters import ProducerStats
from tokentide.delivery.transport import FrameSender
from tokentide.producer import Producer
from tokentide.recorder import Recorder
from tokentide.settings import Settings
from tokentide.settings.environment import log_unknown_variables

if TYPE_CHECKING:
    from tokentide.content.collected import CollectedTexts
    from tokentide.control.states import BudgetState, RunState
    from tokentide.fields import (
        ChangeFields,
        ChangeKind,
        EvaluationFields,
        FeedbackFields,
        RequestFields,
    )
    from tokentide.settings.given import GivenSettings

_FILLED = ("request", "evaluation", "feedback")
"""Events that get fields of `tokentide.context`; the others concern the whole service."""
_OFF = "nothing is read back: TOKENTIDE_READ_CONTROL is off, or the producer is disabled"


class Telemetry:
    """Sends events to the pipeline; one instance per process is enough.

    Args:
        sender: Carries frames away instead of Kafka, see `tokentide.testing`.
        settings: Fields of `tokentide.Settings`; what is absent comes from the environment.

    Raises:
        SettingsError: A setting cannot be used; the message names it, its value and the remedy.
    """

    def __init__(
        self, *, sender: FrameSender | None = None, **settings: Unpack[GivenSettings]
    ) -> None:
        self.settings = Settings.load(settings)
        log_unknown_variables(os.environ, Settings.variables().values())
        self._is_enabled = not self.settings.disabled
        self._producer = Producer(self.settings, sender)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # -- events -----------------------------------------------------------------------------

    def emit(self, event: Mapping[str, object]) -> None:
        """Queue one event of any type, under the field names of the event contract.

        A shallow copy is taken, so the caller may go on using its mapping. `event_id` and
        `started_at_us` are filled in when absent (a `started_at_us` that is absent becomes now
        less `duration_ms`), and so are the fields that the settings give to every event and, for
        requests, evaluations and feedback, those that a block of `tokentide.context` names.
        """
        if not self._is_enabled:
            return
        try:
            copy = {**event} if type(event) is dict else dict(_as_mapping(event))
            # A key that is no plain text, but compares as it pleases, is found out here.
            kind = copy.get("type")
        except Exception:
            self._producer.count_invalid()
            return
        if type(kind) is str and kind in _FILLED:
            scope = current_scope()
            if scope is not None:
                scope.fill(copy, self.settings)
        self._producer.put(copy)

    def request(
        self,
        *,
        provider: str = "unknown",
        request_model: str = "unknown",
        operation: str = "chat",
        **fields: Unpack[RequestFields],
    ) -> Recorder:
        """Return a recorder for one LLM call: `with`, `async with`, or a decorator.

        Args:
            provider: Who serves the call, as in OpenTelemetry's `gen_ai.provider.name`.
            request_model: Model the call asks for.
            operation: What is done, as in `gen_ai.operation.name`.
            fields: Further fields of the event contract: tenant, feature, prompt_name, tags, ...
        """
        template: dict[str, object] = {
            "provider": provider,
            "request_model": request_model,
            "operation": operation,
            **fields,
        }
        producer = self._producer
        emit = producer.put if self._is_enabled else _discard
        return Recorder(emit, producer.new_id, template, self.settings)

    def evaluation(
        self,
        name: str,
        *,
        score: float | None = None,
        label: str | None = None,
        target_event_id: str | None = None,
        **fields: Unpack[EvaluationFields],
    ) -> None:
        """Queue the score of a response by a judge, a guardrail, code or a person.

        Args:
            name: What was evaluated: `faithfulness`, `toxicity`, ...
            score: The verdict as a number.
            label: The verdict as a word.
            target_event_id: `Recorder.event_id` of the call; without it give `response_id` or
                `conversation_id`.
            fields: Further fields: evaluator, passed, explanation, ...
        """
        self._verdict("evaluation", name, score, label, target_event_id, fields)

    def feedback(
        self,
        name: str,
        *,
        score: float | None = None,
        label: str | None = None,
        target_event_id: str | None = None,
        **fields: Unpack[FeedbackFields],
    ) -> None:
        """Queue what an end user said of a response; arguments as in `evaluation`."""
        self._verdict("feedback", name, score, label, target_event_id, fields)

    def _verdict(
        self,
        kind: str,
        name: str,
        score: float | None,
        label: str | None,
        target_event_id: str | None,
        fields: Mapping[str, object],
    ) -> None:
        if self._is_enabled:
            event: dict[str, object] = {
                "type": kind,
                "name": name,
                "score": score,
                "label": label,
                "target_event_id": target_event_id,
                **fields,
            }
            scope = current_scope()
            if scope is not None:
                scope.fill(event, self.settings)
            self._producer.put(event)

    def change(
        self,
        kind: ChangeKind,
        subject: str,
        *,
        from_version: str | None = None,
        to_version: str | None = None,
        **fields: Unpack[ChangeFields],
    ) -> None:
        """Queue a change that may explain what the other events show.

        Args:
            kind: deploy, prompt, model, price or policy.
            subject: What was changed: the service, the prompt's or the model's name.
            from_version: Version before.
            to_version: Version after.
            fields: Further fields: description, actor, ...
        """
        if self._is_enabled:
            self._producer.put(
                {
                    "type": "change",
                    "kind": kind,
                    "subject": subject,
                    "from_version": from_version,
                    "to_version": to_version,
                    **fields,
                }
            )

    # -- states that are read back ----------------------------------------------------------

    def run_state(self, run_id: str | None = None, *, tenant: str | None = None) -> RunState:
        """Return what the pipeline says of a run, as far as it was read: a look into memory.

        It is `unknown` where nothing is known of the run, and before the first read, which the
        first question begins. Needs the setting `read_control`.

        Args:
            run_id: The run; that of the block of `tokentide.context` (`run_id`, else `session`)
                when absent.
            tenant: Whose run it is; when absent that of the block, else of the settings.
        """
        from tokentide.control.states import RunState

        run = ""
        try:
            scope = current_scope()
            fields = {} if scope is None else scope.fields
            run = str(run_id or fields.get("run_id") or fields.get("conversation_id") or "")
            owner = str(tenant or fields.get("tenant") or self.settings.tenant)
            if not run:
                return RunState(run="", reason="no run: give run_id, or ask inside its context")
            table = self._producer.states()
            return RunState(run=run, reason=_OFF) if table is None else table.run_state(owner, run)
        except Exception as exc:
            return RunState(run=run, reason=f"asking failed: {type(exc).__name__}")

    def budget(self, name: str) -> BudgetState:
        """Return what the pipeline says of a budget; as `run_state`.

        Args:
            name: Its name in `budgets.yaml`.
        """
        from tokentide.control.states import BudgetState

        try:
            table = self._producer.states()
            if table is None:
                return BudgetState(budget=name, reason=_OFF)
            return table.budget_state(name)
        except Exception as exc:
            return BudgetState(budget=name, reason=f"asking failed: {type(exc).__name__}")

    # -- life -------------------------------------------------------------------------------

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until everything emitted so far has left, at most `timeout` seconds.

        Not for the request path: it waits for the whole process's events. In a coroutine call it
        with `asyncio.to_thread`.

        Returns:
            True when every event was delivered or counted as dropped, False at the deadline.
        """
        return self._producer.flush(timeout)

    def close(self, timeout: float | None = None) -> None:
        """Deliver what is left and stop; what is emitted afterwards is dropped and counted.

        Args:
            timeout: Seconds to wait at most; the setting `exit_timeout_s` when absent. What is not
                delivered by then is dropped, counted, and named in one line of the log. Safe to
                call twice.
        """
        self._producer.close(self.settings.exit_timeout_s if timeout is None else timeout)

    def stats(self) -> ProducerStats:
        """Return this process's counters; emitted = delivered + failed + dropped + queued."""
        return self._producer.stats()


def producer_of(telemetry: Telemetry) -> Producer:
    """Return what takes the events of a `Telemetry`, for instrumented calls."""
    return telemetry._producer


def _as_mapping(event: object) -> Mapping[str, object]:
    if not isinstance(event, Mapping):
        raise TypeError(f"an event is a mapping, not {type(event).__name__}")
    return event


def _discard(event: dict[str, object], texts: CollectedTexts | None = None) -> None:
    """Take the events of a disabled producer."""
