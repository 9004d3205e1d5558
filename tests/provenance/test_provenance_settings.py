"""What a studio configures: certificate, time stamps, anchors; and that none of it can leave a mark out."""

import http.server
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from photodouble.errors import BadInput
from photodouble.provenance import Marking, load_settings, read_manifest, sign, signer_for
from photodouble.provenance.ca import _certificates, _usage

Make = Callable[[str], Path]
PEM = serialization.Encoding.PEM
TSA = """[t]
serial = serial
default_policy = 1.2.3.4.1
signer_digest = sha256
digests = sha256, sha384, sha512
ess_cert_id_alg = sha256
"""


@pytest.fixture
def studio(tmp_path: Path) -> Path:
    """A folder with `chain.pem` and `key.pem` of a studio, and the project's settings that name them."""
    folder = tmp_path / "project"
    (folder / "certs").mkdir(parents=True)
    for name, data in _certificates(datetime.now(UTC)).items():
        (folder / "certs" / name).write_bytes(data)
    (folder / "photodouble.toml").write_text(
        '# A project.\n[marks]\ncertificate = "certs/chain.pem"\nkey = "certs/key.pem"\nproducer = "studio-12"\n'
    )
    return folder


def test_a_projects_certificate_signs_and_the_users_settings_say_whom_to_trust(
    studio: Path, home: Path, make_file: Make, marking: Marking, tmp_path: Path
) -> None:
    signer = signer_for(studio)
    assert signer.chain == (studio / "certs" / "chain.pem").read_bytes()
    assert load_settings(studio).producer == "studio-12"
    sign(make_file("in.png"), tmp_path / "out.png", marking, signer)
    found = read_manifest(tmp_path / "out.png")
    assert (found.state, found.trusted) == ("valid", False)
    home.mkdir()
    (home / "config.toml").write_text(f'[marks]\nanchors = "{studio}/certs/ca.pem"\n')
    assert read_manifest(tmp_path / "out.png").trusted
    assert signer_for(tmp_path) != signer  # elsewhere this machine's own signs


def test_the_environment_comes_before_the_project_and_the_project_before_the_user(
    studio: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir()
    (home / "config.toml").write_text(
        '[marks]\nproducer = "mine"\ntimestamp = "http://one.example"\ncertificate = "c"\nkey = "k"\n'
    )
    found = load_settings(studio)
    assert (found.producer, found.timestamp) == ("studio-12", "http://one.example")
    assert found.certificate == studio / "certs" / "chain.pem"
    assert load_settings(None).certificate == home / "c"
    monkeypatch.setenv("PHOTODOUBLE_TIMESTAMP_URL", "http://two.example")
    assert signer_for(studio).timestamp == "http://two.example"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[marks]\nsign = 'no'\n", "no setting 'sign'"),
        ("[marks]\nenabled = false\n", "no setting 'enabled'"),
        ("[marks]\nkey = 7\n", "not a text"),
        ("marks = 1\n", "not a table"),
        ("[marks\n", "Cannot read the settings"),
        ("[marks]\ntimestamp = 'stamp.example'\n", "not the URL"),
        ("[marks]\nanchors = 'x.pem'\n", "whom to trust"),
        ("[marks]\ncertificate = 'x.pem'\n", "together"),
    ],
)
def test_settings_that_make_no_sense_are_one_sentence(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "photodouble.toml").write_text(text)
    with pytest.raises(BadInput, match=told) as error:
        signer_for(tmp_path)
    assert "\n" not in str(error.value) and "photodouble.toml" in str(error.value)


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[str]:
    """URL of a time stamp authority on this machine, with a certificate of its own."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: nobody here can act as a time stamp authority")
    folder = tmp_path / "tsa"
    folder.mkdir()
    key, issuers = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    name, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in ("stamps", "its issuer"))
    leaf = (
        x509.CertificateBuilder(issuer, name, key.public_key(), 2, now - timedelta(1), now + timedelta(9))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signing=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuers.public_key()), critical=False)
        .sign(issuers, hashes.SHA256())
    )
    (folder / "leaf.pem").write_bytes(leaf.public_bytes(PEM))
    private = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(private)
    (folder / "serial").write_text("01\n")
    (folder / "tsa.cnf").write_text(TSA)
    words = ["openssl", "ts", "-reply", "-config", "tsa.cnf", "-section", "t", "-queryfile", "query"]
    words += ["-signer", "leaf.pem", "-inkey", "key.pem"]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            (folder / "query").write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
            reply = subprocess.run(words, cwd=folder, capture_output=True, check=True).stdout
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_time_stamp_is_fetched_where_one_is_configured(
    authority: str, make_file: Make, marking: Marking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign(make_file("in.mp4"), tmp_path / "without.mp4", marking)
    assert read_manifest(tmp_path / "without.mp4").timestamp is None
    monkeypatch.setenv("PHOTODOUBLE_TIMESTAMP_URL", authority)
    for name in ("out.mp4", "out.mkv"):
        sign(make_file("in" + name[3:]), tmp_path / name, marking)
        found = read_manifest(tmp_path / name)
        assert (found.state, found.trusted) == ("valid", True)
        assert found.timestamp is not None
        away = datetime.now(UTC) - datetime.fromisoformat(found.timestamp)
        assert abs(away) < timedelta(minutes=5)


def test_an_authority_that_does_not_answer_is_named_and_nothing_is_published(
    make_file: Make, marking: Marking, tmp_path: Path
) -> None:
    signer = replace(signer_for(), timestamp="http://127.0.0.1:9/")
    with pytest.raises(BadInput, match=r"http://127\.0\.0\.1:9/ did not stamp in\.png"):
        sign(make_file("in.png"), tmp_path / "out.png", marking, signer)
    assert not (tmp_path / "out.png").exists()
