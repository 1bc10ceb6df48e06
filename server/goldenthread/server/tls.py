"""Read the server's certificate and the authorities it trusts, and make a self-signed certificate to try TLS out."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from goldenthread.server.access import write_private
from goldenthread.server.config import Config, ConfigError

__all__ = ["make_certificate", "server_credentials"]


def server_credentials(config: Config) -> grpc.ServerCredentials | None:
    """Build what the server proves itself with; None when TLS is not configured.

    With `tls_client_ca`, callers must prove themselves too.

    Raises:
        ConfigError: a file can't be read, or the key does not belong to the certificate.
    """
    if not config.tls_cert:
        return None
    chain, key = _read("tls_cert", config.tls_cert), _read("tls_key", config.tls_key)
    _check_pair(chain, key)
    authorities = _read("tls_client_ca", config.tls_client_ca) if config.tls_client_ca else None
    return grpc.ssl_server_credentials(
        [(key, chain)], root_certificates=authorities, require_client_auth=authorities is not None
    )


def make_certificate(folder: Path, hosts: Sequence[str], now: datetime.datetime, days: int = 365) -> tuple[Path, Path]:
    """Write a self-signed certificate for hosts or addresses and its key, mode 0600; get their paths.

    It is for trying out, not for production.

    Raises:
        FileExistsError: the folder has them already.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([_alternative_name(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    cert_path, key_path = folder / "server.crt", folder / "server.key"
    write_private(key_path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    write_private(cert_path, certificate.public_bytes(Encoding.PEM))
    return cert_path, key_path


def _alternative_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _read(setting: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(setting, f"names {path}, which can't be read ({error.strerror})", "give a file that exists") from None


def _check_pair(chain: bytes, key: bytes) -> None:
    try:
        certificate = x509.load_pem_x509_certificate(chain)
        private = load_pem_private_key(key, password=None)
    except (ValueError, TypeError):
        raise ConfigError(
            "tls_cert", "or tls_key is not an unencrypted PEM file", "give PEM files without a passphrase"
        ) from None
    if certificate.public_key() != private.public_key():
        raise ConfigError("tls_key", "does not belong to tls_cert", "give the key that the certificate was made with")
