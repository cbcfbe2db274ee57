"""Automatic recording, switched on and off and asked: the functions a host calls.

What they do is in `tokentide.instrument`, which is loaded by the first call, so that importing this
package stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tokentide.telemetry import Telemetry

if TYPE_CHECKING:
    from tokentide.control.states import RunState

Client = TypeVar("Client")


def instrument(*, telemetry: Telemetry | None = None) -> Telemetry:
    """Record every call of the provider clients this process uses, one event per call.

    Clients that are imported already are patched now, the others right after their import. Calling
    it again changes nothing.

    Args:
        telemetry: Where events go; one configured by the environment alone when absent.

    Returns:
        The producer in use, for `feedback`, `evaluation`, `flush` and `stats`.

    Raises:
        SettingsError: A setting of the environment cannot be used.
    """
    from tokentide.instrument import api

    return api.instrument(telemetry)


def uninstrument() -> None:
    """Undo `instrument`; streams that run are still recorded to their end."""
    from tokentide.instrument import api

    api.uninstrument()


def current_run_state() -> RunState:
    """Return what the pipeline says of the run of this block of `tokentide.context`.

    It asks the producer of `instrument`: `Telemetry.run_state` says more.
    """
    from tokentide.instrument import api

    return api.current_run_state()


def instrument_client(client: Client, *, telemetry: Telemetry | None = None) -> Client:
    """Record the calls of one client object only, and of the copies it makes of itself.

    Args:
        client: A client of openai, anthropic, google-genai, boto3, mistralai or cohere.
        telemetry: Where events go; the producer of `instrument` when absent.

    Returns:
        The same object.

    Raises:
        TypeError: The object is of no client that is known here.
    """
    from tokentide.instrument import api

    api.instrument_client(client, telemetry)
    return client
