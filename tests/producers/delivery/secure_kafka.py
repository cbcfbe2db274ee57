"""A Kafka broker that wants TLS and a login, and the certificates for it.

Three listeners: plain text for the test itself, SASL_SSL with every mechanism, and SSL that asks
the client for a certificate. The broker's certificate names `localhost` and nothing else.
"""

from __future__ import annotations

import base64
import datetime
import json
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tokentide_jobs.embedded.artifacts.cache import default_cache_dir
from tokentide_jobs.embedded.kafka.apache import KafkaBroker
from tokentide_jobs.embedded.processes.ports import choose_port

USER = "alice"
PASSWORD = "alice-keeps-this-to-herself"
KEY_PASSWORD = "unlock-the-key"

Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Authority:
    """A certificate authority in a directory."""

    folder: Path
    key: Key
    certificate: x509.Certificate

    @classmethod
    def new(cls, folder: Path) -> Authority:
        folder.mkdir()
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _sign("test authority", key, None, is_authority=True)
        (folder / "ca.pem").write_bytes(_pem(certificate))
        return cls(folder, key, certificate)

    @property
    def ca_file(self) -> str:
        return str(self.folder / "ca.pem")

    def issue(self, name: str, password: str = "") -> tuple[str, str]:
        """Write a certificate for a host or user and its key; return the two paths."""
        key = ec.generate_private_key(ec.SECP256R1())
        locked: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password:
            locked = serialization.BestAvailableEncryption(password.encode())
        certificate, key_file = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        certificate.write_bytes(_pem(_sign(name, key, self, is_authority=False)))
        key_file.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
        )
        return str(certificate), str(key_file)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _sign(name: str, key: Key, issuer: Authority | None, *, is_authority: bool) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signer = key if issuer is None else issuer.key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if is_authority:
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
            key_encipherment=False, data_encipherment=False, key_agreement=False,
            encipher_only=False, decipher_only=False,
        )  # fmt: skip
        builder = builder.add_extension(usage, critical=True)
    else:
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer, hashes.SHA256())


class SecureKafka(KafkaBroker):
    """Apache Kafka with the three listeners."""

    def __init__(self, data_dir: Path, authority: Authority) -> None:
        super().__init__(data_dir, port=0, cache_dir=default_cache_dir())
        certificate, key = authority.issue("localhost")
        self._chain = data_dir / "broker.pem"
        self._chain.write_text(Path(key).read_text() + Path(certificate).read_text())
        self._ca_file = authority.ca_file
        self.sasl_port = choose_port(0, "SASL_SSL port")
        self.ssl_port = choose_port(0, "SSL port")

    def _java(self, *arguments: str) -> list[str]:
        command = super()._java(*arguments)
        if "format" in arguments:
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
                command += ["--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]"]
        return command

    def _write_settings(self, controller_port: int) -> None:
        super()._write_settings(controller_port)
        modules = "org.apache.kafka.common.security"
        listeners = f"SASL_SSL://localhost:{self.sasl_port},SSL://localhost:{self.ssl_port}"
        lines = []
        for line in self._settings.read_text().splitlines():
            name, _, value = line.partition("=")
            if name in ("listeners", "advertised.listeners"):
                value += "," + listeners
            if name == "listener.security.protocol.map":
                value += ",SASL_SSL:SASL_SSL,SSL:SSL"
            lines.append(f"{name}={value}")
        of = "listener.name.sasl_ssl"
        login = f'{modules}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        bearer = f"{modules}.oauthbearer.OAuthBearerLoginModule required "
        lines += [
            "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
            f"{of}.plain.sasl.jaas.config={login}",
            f"{of}.scram-sha-256.sasl.jaas.config={modules}.scram.ScramLoginModule required;",
            f"{of}.scram-sha-512.sasl.jaas.config={modules}.scram.ScramLoginModule required;",
            f'{of}.oauthbearer.sasl.jaas.config={bearer}unsecuredLoginStringClaim_sub="broker";',
            "ssl.keystore.type=PEM",
            f"ssl.keystore.location={self._chain}",
            "ssl.truststore.type=PEM",
            f"ssl.truststore.location={self._ca_file}",
            "listener.name.ssl.ssl.client.auth=required",
            "connection.failed.authentication.delay.ms=10",
        ]
        self._settings.write_text("\n".join(lines) + "\n")


def bearer_token(lifetime_s: float = 3600) -> str:
    """Return a token that is not signed, which Kafka's own validator for tests accepts."""
    now = time.time()
    claims = {"sub": USER, "iat": now, "exp": now + lifetime_s}
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."
