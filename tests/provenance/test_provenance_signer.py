import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from photodouble.errors import BadInput
from photodouble.provenance import Marking, load_signer, read_manifest, sign, signer_for
from photodouble.provenance.ca import _certificates

Make = Callable[[str], Path]


def test_the_local_ca_is_made_once_and_is_private(home: Path) -> None:
    first = signer_for()
    assert first == signer_for()
    assert [path.name for path in home.iterdir()] == ["signing"]
    assert {path.name: path.stat().st_mode & 0o777 for path in (home / "signing").iterdir()} == dict.fromkeys(
        ["ca.pem", "chain.pem", "key.pem"], 0o600
    )
    assert "PRIVATE" not in repr(first)


def test_the_certificates_have_the_profile_that_c2pa_asks_for(home: Path) -> None:
    signer_for()
    leaf, ca = x509.load_pem_x509_certificates((home / "signing" / "chain.pem").read_bytes())
    leaf.verify_directly_issued_by(ca)
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical and usage.value.digital_signature and not usage.value.key_cert_sign
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.EMAIL_PROTECTION]
    assert leaf.not_valid_after_utc - datetime.now(UTC) > timedelta(days=3000)
    # The CA's key is not kept: nothing else can be signed in its name.
    key = serialization.load_pem_private_key((home / "signing" / "key.pem").read_bytes(), None)
    assert key.public_key() == leaf.public_key() != ca.public_key()


def test_processes_that_start_at_once_share_one_ca(home: Path) -> None:
    code = "import sys\nfrom photodouble.provenance import signer_for\nsys.stdout.buffer.write(signer_for().chain)"
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(3)]
    chains = {process.communicate()[0] for process in running}
    assert len(chains) == 1
    assert chains == {(home / "signing" / "chain.pem").read_bytes()}
    assert [path.name for path in home.iterdir()] == ["signing"]


def test_a_signing_folder_that_is_not_whole_is_bad_input(home: Path) -> None:
    signer_for()
    (home / "signing" / "key.pem").unlink()
    with pytest.raises(BadInput, match=r"lacks key\.pem"):
        signer_for()


def test_a_studio_signs_with_its_own_certificate(
    make_file: Make, marking: Marking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    files = _certificates(datetime.now(UTC))
    chain, key = tmp_path / "studio.pem", tmp_path / "studio.key"
    chain.write_bytes(files["chain.pem"])
    key.write_bytes(files["key.pem"])
    monkeypatch.setenv("PHOTODOUBLE_SIGNING_CERT", str(chain))
    with pytest.raises(BadInput, match="together"):
        signer_for()
    monkeypatch.setenv("PHOTODOUBLE_SIGNING_KEY", str(key))
    sign(make_file("in.png"), tmp_path / "out.png", marking)
    assert read_manifest(tmp_path / "out.png").trusted
    assert not home.exists()
    monkeypatch.delenv("PHOTODOUBLE_SIGNING_CERT")
    found = read_manifest(tmp_path / "out.png")
    assert (found.state, found.trusted) == ("valid", False)


@pytest.mark.parametrize("fault", ["missing", "text", "foreign", "encrypted", "curve", "expired"])
def test_a_bad_certificate_is_one_sentence(tmp_path: Path, fault: str) -> None:
    now = datetime.now(UTC)
    files = _certificates(now - timedelta(days=4000) if fault == "expired" else now)
    chain, key = tmp_path / "c.pem", tmp_path / "k.pem"
    chain.write_bytes(b"hello" if fault == "text" else files["chain.pem"])
    private = serialization.load_pem_private_key(files["key.pem"], None)
    if fault == "foreign":
        private = rsa.generate_private_key(65537, 2048)
    if fault == "curve":
        private = ec.generate_private_key(ec.SECP256K1())
    lock = serialization.BestAvailableEncryption(b"x") if fault == "encrypted" else serialization.NoEncryption()
    if fault != "missing":
        key.write_bytes(
            private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)  # type: ignore[union-attr]
        )
    with pytest.raises(BadInput) as told:
        load_signer(chain, key)
    assert str(told.value).count(".\n") == 0 and str(tmp_path) in str(told.value)
