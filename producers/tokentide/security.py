"""TLS and SASL for Kafka: which settings belong together, and what aiokafka is given.

Invariant: no password, token or key is in an error, a log line or a counter. Certificates are
checked unless `kafka_verify` says otherwise, and then a warning is written.
"""

from __future__ import annotations

from tokentide.settings import Settings
from tokentide.settings_values import SettingsError


def check_security(settings: Settings) -> None:
    """Raises where the security settings contradict each other or leave something out.

    Raises:
        SettingsError: Says which setting is missing or too much.
    """
    uses_sasl = settings.kafka_security.startswith("sasl")
    if settings.kafka_sasl != "none" and not uses_sasl:
        raise SettingsError(
            f"TOKENTIDE_KAFKA_SASL={settings.kafka_sasl!r} needs a login: set "
            "TOKENTIDE_KAFKA_SECURITY to sasl_ssl (or sasl_plaintext, without encryption)"
        )
    if uses_sasl and settings.kafka_sasl == "none":
        raise SettingsError(
            f"TOKENTIDE_KAFKA_SECURITY={settings.kafka_security!r} needs a mechanism: set "
            "TOKENTIDE_KAFKA_SASL to plain, scram-sha-256, scram-sha-512 or oauthbearer"
        )
    if bool(settings.kafka_cert_file) != bool(settings.kafka_key_file):
        raise SettingsError(
            "TOKENTIDE_KAFKA_CERT_FILE and TOKENTIDE_KAFKA_KEY_FILE: give both or neither"
        )
    if settings.kafka_sasl == "oauthbearer":
        _check_token(settings)
    elif uses_sasl and not (settings.kafka_username and settings.kafka_password):
        raise SettingsError(
            f"TOKENTIDE_KAFKA_SASL={settings.kafka_sasl!r} needs TOKENTIDE_KAFKA_USERNAME and "
            "TOKENTIDE_KAFKA_PASSWORD: give both"
        )


def _check_token(settings: Settings) -> None:
    given = [settings.kafka_token, settings.kafka_token_file, settings.kafka_token_provider]
    if sum(map(bool, given)) != 1:
        raise SettingsError(
            "TOKENTIDE_KAFKA_SASL='oauthbearer' needs a token: give one of TOKENTIDE_KAFKA_TOKEN, "
            "TOKENTIDE_KAFKA_TOKEN_FILE and TOKENTIDE_KAFKA_TOKEN_PROVIDER"
        )
