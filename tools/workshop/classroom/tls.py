"""The hub's own certificate: its fingerprint on the cards stands for an authority."""

import ipaddress
import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from sparrow.errors import StorageError
from sparrow.language import _
from sparrow.runtime import atomic_write
from workshop.classroom.place import Place
from workshop.classroom.tables import Classroom

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["Certificate", "address", "ensure", "host"]

VALID_DAYS = 397  # browsers trust no longer ones
LEFT_DAYS = 14  # a workshop must not outlive it
DAY_BEFORE = timedelta(days=1)  # a learner's clock may be behind ours


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """The files of a certificate, and what people compare."""

    path: Path
    key: Path
    fingerprint: str  # SHA-256, as browsers show it


def host(classroom: Classroom) -> str:
    """The name or address of this machine that learners type."""
    if classroom.hub.name:
        return classroom.hub.name
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            if each.family == socket.AF_INET and not each.address.startswith("127."):
                return each.address
    return "127.0.0.1"


def address(classroom: Classroom) -> str:
    """What learners open, without the last slash."""
    port = "" if classroom.hub.port == 443 else f":{classroom.hub.port}"
    return f"https://{host(classroom)}{port}"


def ensure(place: Place) -> Certificate:
    """The certificate of this hub; a new one where there is none that serves.

    A new one has another fingerprint, so it is made only when the host's name changed
    or the old one is about to end.

    Raises:
        StorageError: it cannot be read or written.
    """
    folder = place.state / "tls"
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    name = host(place.classroom)
    try:
        if not _serves(certificate, key, name):
            _make(certificate, key, name)
        return Certificate(path=certificate, key=key, fingerprint=_print(certificate))
    except OSError as error:
        raise StorageError(
            _(
                "The hub's certificate in {folder} cannot be used ({reason}): run this "
                "as root.",
                folder=folder,
                reason=error.strerror or error,
            )
        ) from error


def _serves(certificate: Path, key: Path, name: str) -> bool:
    """Whether it is there, for this host, and lasts for a workshop."""
    from cryptography import x509

    if not (certificate.exists() and key.exists()):
        return False
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except ValueError:
        return False
    named = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    lasts = found.not_valid_after_utc - datetime.now(UTC) > timedelta(days=LEFT_DAYS)
    return lasts and _alternatives(name)[0] in named.value


def _make(certificate: Path, key: Path, name: str) -> None:
    """Write a key that root alone reads, and a certificate signed with it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    secret = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name[:64])])
    begins = datetime.now(UTC) - DAY_BEFORE
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(_alternatives(name)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(secret, hashes.SHA256())
    )
    key.parent.mkdir(parents=True, exist_ok=True)
    key.parent.parent.chmod(0o700)
    with atomic_write(key) as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(
            secret.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    with atomic_write(certificate) as file:
        file.write(made.public_bytes(serialization.Encoding.PEM))


def _alternatives(name: str) -> "list[x509.GeneralName]":
    """The names that the certificate is for: the host's first, then this machine's."""
    from cryptography import x509

    try:
        return [x509.IPAddress(ipaddress.ip_address(name)), x509.DNSName("localhost")]
    except ValueError:
        return [x509.DNSName(name), x509.DNSName(f"*.{name}")]


def _print(certificate: Path) -> str:
    """`AB:CD:…`: the SHA-256 of the certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    return found.fingerprint(hashes.SHA256()).hex(":").upper()
