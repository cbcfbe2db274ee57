"""TLS and SASL for Kafka: which settings belong together, and what aiokafka is given.

Invariant: no password, token or key is in an error, a log line or a counter. Certificates are
checked unless `kafka_verify` says otherwise, and then a warning is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokentide.settings.declared import DeclaredSettings
from tokentide.settings.values import SettingsError

if TYPE_CHECKING:
    import ssl

HIDDEN = "(hidden)"
_MIN_HIDDEN_CHARS = 4


def check_security(settings: DeclaredSettings) -> None:
    """Raise where the security settings contradict each other or leave something out.

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


def _check_token(settings: DeclaredSettings) -> None:
    given = [settings.kafka_token, settings.kafka_token_file, settings.kafka_token_provider]
    if sum(map(bool, given)) != 1:
        raise SettingsError(
            "TOKENTIDE_KAFKA_SASL='oauthbearer' needs a token: give one of TOKENTIDE_KAFKA_TOKEN, "
            "TOKENTIDE_KAFKA_TOKEN_FILE and TOKENTIDE_KAFKA_TOKEN_PROVIDER"
        )


def uses_tls(settings: DeclaredSettings) -> bool:
    """Return whether the connection is encrypted."""
    return settings.kafka_security.endswith("ssl")


def tls_context(settings: DeclaredSettings) -> ssl.SSLContext:
    """Return what a connection is encrypted with; reads the files, which may have been renewed.

    Raises:
        ConnectionError: A file is not there, no PEM, or the key's password is wrong.
    """
    import ssl

    name, path = "TOKENTIDE_KAFKA_CA_FILE", settings.kafka_ca_file
    try:
        context = ssl.create_default_context(cafile=path or None)
        if settings.kafka_cert_file:
            name, path = "TOKENTIDE_KAFKA_CERT_FILE", settings.kafka_cert_file
            # Always a password, if an empty one: OpenSSL would ask for it on the terminal.
            context.load_cert_chain(path, settings.kafka_key_file, settings.kafka_key_password)
    except (OSError, ValueError) as exc:
        detail = getattr(exc, "reason", None) or getattr(exc, "strerror", None) or "unreadable"
        raise ConnectionError(
            f"{name}={path!r} cannot be used ({detail}): give a PEM file, and with a client "
            "certificate its key in TOKENTIDE_KAFKA_KEY_FILE and, if it has one, the password in "
            "TOKENTIDE_KAFKA_KEY_PASSWORD"
        ) from None
    if not (settings.kafka_check_hostname and settings.kafka_verify):
        context.check_hostname = False
    if not settings.kafka_verify:
        context.verify_mode = ssl.CERT_NONE
    return context


def connection_options(settings: DeclaredSettings) -> dict[str, Any]:
    """Return the arguments of an aiokafka client for these settings.

    Raises:
        ConnectionError: A file cannot be used.
    """
    options: dict[str, Any] = {"security_protocol": settings.kafka_security.upper()}
    if uses_tls(settings):
        options["ssl_context"] = tls_context(settings)
    if settings.kafka_sasl == "none":
        return options
    options["sasl_mechanism"] = settings.kafka_sasl.upper()
    if settings.kafka_sasl == "oauthbearer":
        options["sasl_oauth_token_provider"] = _token_provider(settings)
    else:
        options["sasl_plain_username"] = settings.kafka_username
        options["sasl_plain_password"] = settings.kafka_password
    return options


def _token_provider(settings: DeclaredSettings) -> object:
    from aiokafka.abc import AbstractTokenProvider

    class Provider(AbstractTokenProvider):  # type: ignore[misc]
        """Gives aiokafka a token for each connection."""

        async def token(self) -> str:
            return read_token(settings)

    return Provider()


def read_token(settings: DeclaredSettings) -> str:
    """Return the token as it is now.

    Raises:
        ConnectionError: There is none; the message holds neither a token nor a provider's own
            message, which might.
    """
    if settings.kafka_token:
        return settings.kafka_token
    if callable(settings.kafka_token_provider):
        name = "TOKENTIDE_KAFKA_TOKEN_PROVIDER"
        try:
            token = settings.kafka_token_provider()
        except Exception as exc:
            raise ConnectionError(
                f"{name} raised {type(exc).__name__}: it has to return a token as text"
            ) from None
    else:
        from pathlib import Path

        name = f"TOKENTIDE_KAFKA_TOKEN_FILE={settings.kafka_token_file!r}"
        try:
            token = Path(settings.kafka_token_file).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as exc:
            raise ConnectionError(f"{name} cannot be read: {type(exc).__name__}") from None
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
        raise ConnectionError(f"{name} gave no token: it has to be one line of ASCII text")
    return token


def without_secrets(settings: DeclaredSettings, text: str) -> str:
    """Return the text with every secret of the settings hidden; a broker may quote one."""
    hashes = [part.rpartition(":")[2].strip() for part in settings.user_hash_key.split(",")]
    secrets = [
        settings.kafka_password,
        settings.kafka_key_password,
        settings.kafka_token,
        *hashes,
    ]
    for secret in secrets:
        if len(secret) >= _MIN_HIDDEN_CHARS:
            text = text.replace(secret, HIDDEN)
    return text


def _unused(settings: DeclaredSettings) -> list[str]:
    """Return the variables of what is set for TLS or a login that does not take place."""
    names = DeclaredSettings.variables()
    for_tls = ("kafka_ca_file", "kafka_cert_file", "kafka_key_file", "kafka_key_password")
    for_login = ("kafka_username", "kafka_password", "kafka_token", "kafka_token_file")
    unused = [] if uses_tls(settings) else [*for_tls]
    if settings.kafka_sasl == "none":
        unused += for_login
    return [names[name] for name in unused if getattr(settings, name)]


def warnings_for(settings: DeclaredSettings) -> list[str]:
    """Return what is allowed but should be known: it is logged once for each connection."""
    found = []
    unused = _unused(settings)
    if unused:
        found.append(
            f"{' and '.join(unused)} without effect: TOKENTIDE_KAFKA_SECURITY is "
            f"{settings.kafka_security}; ssl, sasl_plaintext or sasl_ssl would use more"
        )
    if uses_tls(settings) and not settings.kafka_verify:
        found.append(
            "TOKENTIDE_KAFKA_VERIFY is false: any server is trusted, so passwords and events "
            "can be read on the way; set TOKENTIDE_KAFKA_CA_FILE instead"
        )
    if settings.kafka_security == "sasl_plaintext" and settings.kafka_sasl in (
        "plain",
        "oauthbearer",
    ):
        found.append(
            f"the {settings.kafka_sasl} login goes over the network unencrypted: set "
            "TOKENTIDE_KAFKA_SECURITY to sasl_ssl"
        )
    return found
