"""The local certificate authority: made on a machine's first use, so that every output can be signed without asking.

It vouches for nothing but "made by this installation": a studio puts its own certificate in its place (signer.py).
Certificates follow the profile of the C2PA specification 2.2, section 14.5: X.509 v3, ECDSA on P-256 with SHA-256, a
leaf with digitalSignature and the emailProtection purpose, no self-signed leaf.
"""

import os
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from photodouble.errors import BadInput
from photodouble.files import explain

ORGANISATION = "photodouble local"
CA_YEARS = 20
# Without a time stamp authority a signature ends with its certificate, so the leaf lives long too.
LEAF_YEARS = 10
CA, CHAIN, KEY = "ca.pem", "chain.pem", "key.pem"


def local_files(folder: Path) -> tuple[Path, Path, Path]:
    """CA certificate, leaf's chain and leaf's key in `folder`, made there if it does not exist.

    The folder appears whole under its name by one rename; of two processes that make it at once, one wins and both use
    the winner's. The CA's own key is forgotten: nothing else can ever be signed in its name.

    Raises:
        BadInput: the folder cannot be made, or is there but not whole.
    """
    paths = (folder / CA, folder / CHAIN, folder / KEY)
    if not folder.exists():
        _make(folder)
    for path in paths:
        if not path.is_file():
            raise BadInput(f"The signing folder {folder} lacks {path.name}: move it away, and a new one is made.")
    return paths


def _make(folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))  # mode 0700
    except OSError as error:
        raise explain(error, folder) from error
    try:
        for name, data in _certificates(datetime.now(UTC)).items():
            _write_private(part / name, data)
        os.rename(part, folder)
    except OSError as error:
        if not folder.is_dir():  # else another process was quicker
            raise explain(error, folder) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_private(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _certificates(now: datetime) -> dict[str, bytes]:
    """PEM bytes by file name."""
    start = now - timedelta(days=1)  # other machines' clocks may be behind
    ca_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("photodouble local CA")
    ca_id = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    ca = (
        _builder(ca_name, ca_name, ca_key, start, CA_YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signing=False), critical=True)
        .add_extension(ca_id, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    leaf = (
        _builder(_name("photodouble local signer"), ca_name, leaf_key, start, LEAF_YEARS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signing=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(leaf_key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_id), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    ca_pem = ca.public_bytes(serialization.Encoding.PEM)
    key_pem = leaf_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {CA: ca_pem, CHAIN: leaf.public_bytes(serialization.Encoding.PEM) + ca_pem, KEY: key_pem}


def _name(common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, start: datetime, years: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=365 * years))
    )


def _usage(signing: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signing,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=not signing,
        crl_sign=not signing,
        encipher_only=False,
        decipher_only=False,
    )
