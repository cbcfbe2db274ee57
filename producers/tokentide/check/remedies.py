"""What to do about an error of a connection to Kafka, in the names of the settings."""

from __future__ import annotations

import socket
from typing import Final

from tokentide.settings import Settings

_Remedy = tuple[tuple[str, ...], str]
"""Words of an error, and what to do about it."""

_OF_TLS: Final[tuple[_Remedy, ...]] = (
    (
        ("Hostname mismatch", "IP address mismatch", "doesn't match"),
        "give in TOKENTIDE_KAFKA_BOOTSTRAP the name that is in the broker's certificate; or, "
        "when that cannot be, set TOKENTIDE_KAFKA_CHECK_HOSTNAME=false",
    ),
    (
        ("CERTIFICATE_VERIFY_FAILED", "certificate verify failed"),
        "give in TOKENTIDE_KAFKA_CA_FILE the certificate of the authority that signed the broker's",
    ),
    (
        ("WRONG_VERSION_NUMBER", "UNEXPECTED_EOF", "record layer failure"),
        "this port may not speak TLS: check the port, or TOKENTIDE_KAFKA_SECURITY",
    ),
    (
        ("CERTIFICATE_REQUIRED", "certificate required", "BAD_CERTIFICATE", "ALERT"),
        "the broker wants another client certificate: check TOKENTIDE_KAFKA_CERT_FILE and "
        "TOKENTIDE_KAFKA_KEY_FILE",
    ),
)


def remedy_for(error: Exception, settings: Settings) -> str:
    """Return one sentence that says what to change.

    Args:
        error: What a step of the check raised; what aiokafka wrote about it is in its text.
        settings: The settings the step ran with.
    """
    text = f"{type(error).__name__} {error}"
    if isinstance(error, socket.gaierror):
        return "the name is unknown here: check TOKENTIDE_KAFKA_BOOTSTRAP and the name server"
    for words, remedy in _remedies(settings):
        if any(word in text for word in words):
            return remedy
    return "see the error; the broker's own log says why it refused"


def _remedies(settings: Settings) -> list[_Remedy]:
    """Return (words of an error, remedy), the more telling words first."""
    return [*_of_login(settings), *_OF_TLS, *_of_broker(settings)]


def _of_login(settings: Settings) -> list[_Remedy]:
    login = (
        "the token"
        if settings.kafka_sasl == "oauthbearer"
        else "TOKENTIDE_KAFKA_USERNAME and TOKENTIDE_KAFKA_PASSWORD"
    )
    return [
        (("TOKENTIDE_KAFKA_TOKEN",), "make it give a token, one line of text"),
        (
            ("refused the token",),
            "check that the token is not expired and made for this cluster",
        ),
        (
            ("uthentication failed", "AuthenticationFailed", "IllegalSaslState"),
            f"the broker does not accept {login}: check them, and that the user may use "
            f"{settings.kafka_sasl}",
        ),
        (
            ("UnsupportedSaslMechanism", "does not support"),
            "set TOKENTIDE_KAFKA_SASL to a mechanism that the broker offers",
        ),
    ]


def _of_broker(settings: Settings) -> list[_Remedy]:
    hung_up = (
        "it may want a client certificate: set TOKENTIDE_KAFKA_CERT_FILE and "
        "TOKENTIDE_KAFKA_KEY_FILE; or a login: set TOKENTIDE_KAFKA_SECURITY to sasl_ssl"
        if settings.kafka_security.endswith("ssl")
        else "this port may expect TLS or a login: check TOKENTIDE_KAFKA_SECURITY"
    )
    return [
        (
            ("UnknownTopicOrPartition",),
            f"create the topic {settings.topic!r} (`tokentide up` does so for its own Kafka), or "
            "correct TOKENTIDE_EVENTS_TOPIC",
        ),
        (
            ("AuthorizationFailed",),
            f"allow this user to write and describe the topic {settings.topic!r}",
        ),
        (
            ("refused", "unreachable", "timed out", "TimeoutError"),
            "no answer from there: check TOKENTIDE_KAFKA_BOOTSTRAP, that the broker runs, and "
            "the firewall between",
        ),
        (
            ("KafkaConnectionError", "Unable to bootstrap", "Unable connect"),
            f"the broker hung up: {hung_up}",
        ),
    ]
