"""Who records: the Ed25519 key that signs consent records, and the keys of others whom this user trusts.

They lie in the user's settings, `consent/key.pem` and `consent/trusted.toml`, beside the signing folder of the outputs.
"""

import contextlib
import hashlib
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import tomlkit
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from photodouble.errors import BadInput
from photodouble.files import config_home, explain, write_bytes

KEY = "PHOTODOUBLE_CONSENT_KEY"
CONTEXT = b"photodouble consent record\n"  # so that a signature means nothing in any other place
_HEX64 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class SigningKey:
    """A key pair; `public` is 64 hex digits."""

    public: str
    _private: ed25519.Ed25519PrivateKey = field(repr=False)

    def sign(self, data: bytes) -> str:
        """The Ed25519 signature (RFC 8032) under `CONTEXT` and `data`, 128 hex digits."""
        return self._private.sign(CONTEXT + data).hex()


def fingerprint(public: str) -> str:
    """SHA-256 of a public key (64 hex digits), in hex: what people compare."""
    return hashlib.sha256(bytes.fromhex(public)).hexdigest()


def is_signed(public: str, signature: str, data: bytes) -> bool:
    """Whether `signature` is the key's under `data`."""
    try:
        key = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        key.verify(bytes.fromhex(signature), CONTEXT + data)
    except (InvalidSignature, ValueError):
        return False
    return True


def signing_key(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> SigningKey:
    """The key in `path` (PEM, not encrypted), in the file that PHOTODOUBLE_CONSENT_KEY names, or this user's own.

    The user's own is made on first use; of two processes that make it at once, one wins and both use the winner's.

    Raises:
        BadInput: the file cannot be read or is no Ed25519 key, or a new one cannot be written.
    """
    given = path or (Path(environment[KEY]) if environment.get(KEY) else None)
    own = config_home(environment) / "consent" / "key.pem"
    if given is None and not own.exists():
        _make(own)
    return _load(given or own)


def own_public(environment: Mapping[str, str] = os.environ) -> str | None:
    """The public key with which this user would sign; None where no key was made yet, and nothing is made."""
    if not environment.get(KEY) and not (config_home(environment) / "consent" / "key.pem").is_file():
        return None
    return signing_key(environment=environment).public


def trusted(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Public key -> name of those whom this user listed with `trust`; empty if nobody was.

    Raises:
        BadInput: the list cannot be read.
    """
    path = _list(environment)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise BadInput(f"The list of trusted keys {path} cannot be read: correct it, or remove it.") from error
    keys = values.get("keys", {})
    if not isinstance(keys, dict) or not all(_HEX64.fullmatch(key) and isinstance(keys[key], str) for key in keys):
        raise BadInput(f"The list of trusted keys {path} is not valid: correct it, or remove it.")
    return keys


def trust(key: str, name: str, environment: Mapping[str, str] = os.environ) -> str:
    """Add a public key (64 hex digits, or the name of a PEM file) to the list; returns it in hex.

    Raises:
        BadInput: it is no Ed25519 public key, or the list cannot be read or written.
    """
    public = key.strip().lower()
    if not _HEX64.fullmatch(public):
        public = _public_of(Path(key))
    listed = trusted(environment) | {public: name}
    path = _list(environment)
    document = tomlkit.document()
    document.add(tomlkit.comment("Keys whose consent records are taken here: 'photodouble consent keys' shows them."))
    document.add("keys", tomlkit.item(dict(sorted(listed.items()))))
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise explain(error, path) from error
    write_bytes(path, tomlkit.dumps(document).encode("utf-8"))
    return public


def _list(environment: Mapping[str, str]) -> Path:
    return config_home(environment) / "consent" / "trusted.toml"


def _public_of(path: Path) -> str:
    try:
        found = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} is no public key: give 64 hex digits or a PEM file.") from error
    if not isinstance(found, ed25519.Ed25519PublicKey):
        raise BadInput(f"The key in {path} is of another kind: consent records are signed with Ed25519.")
    return _hex(found)


def _hex(public: ed25519.Ed25519PublicKey) -> str:
    return public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()


def _load(path: Path) -> SigningKey:
    try:
        private = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise BadInput(f"Cannot read the consent key {path}: {(error.strerror or str(error)).lower()}.") from error
    except (ValueError, TypeError) as error:  # TypeError: it is encrypted
        raise BadInput(f"{path} is not an unencrypted private key in PEM.") from error
    if not isinstance(private, ed25519.Ed25519PrivateKey):
        raise BadInput(f"The key in {path} is of another kind: consent records are signed with Ed25519.")
    return SigningKey(_hex(private.public_key()), private)


def _make(path: Path) -> None:
    pem = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(prefix=".key.", suffix=".part", dir=path.parent)  # mode 0600
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(pem)
                stream.flush()
                os.fsync(stream.fileno())
            with contextlib.suppress(FileExistsError):  # another process was quicker
                os.link(name, path)
        finally:
            os.unlink(name)
    except OSError as error:
        raise explain(error, path) from error
