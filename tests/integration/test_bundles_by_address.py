"""Weights at an https address: downloaded through a mirror, resumed, checked, and inspected."""

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from miradouro.bundles.adding import add
from miradouro.bundles.progress import LogProgress
from miradouro.bundles.settings import BundleSettings
from miradouro.cli.main import cli
from miradouro.core.errors import BadBundle, InvalidArgument, Unavailable

from tests.foreign_networks import MANIFEST, network
from tests.unit.test_bundles_download import Server, serving

URL = "https://huggingface.co/somebody/network/resolve/main/network.onnx"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BundleSettings:
    monkeypatch.setenv("MIRADOURO_BUNDLES_DIR", str(tmp_path / "bundles"))
    monkeypatch.setenv("MIRADOURO_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return BundleSettings()


def manifest(folder: Path, content: bytes, *, sha256: str = "") -> Path:
    """A manifest whose weights are at URL."""
    facts = f'url = "{URL}"\nbytes = {len(content)}\nsha256 = "{sha256 or hashlib.sha256(content).hexdigest()}"'
    text = MANIFEST.replace("NAME", "small").replace('kind = "file"\nfile = "network.onnx"', f'kind = "url"\n{facts}')
    folder.mkdir(exist_ok=True)
    path = folder / "small.toml"
    path.write_text(text)
    return path


def mirror(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url.rpartition("/")[0])


def test_weights_come_from_the_mirror_and_resume(
    tmp_path: Path, settings: BundleSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = network(tmp_path / "network.onnx").read_bytes()
    with serving(content=content, breaks=(1_000,)) as server:
        mirror(server, monkeypatch)
        assert add(manifest(tmp_path / "mine", content), settings, progress=LogProgress()).path.exists()
    assert server.ranges == [None, "bytes=1000-"]


def test_weights_with_another_checksum_are_not_kept(
    tmp_path: Path, settings: BundleSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = network(tmp_path / "network.onnx").read_bytes()
    with serving(content=content) as server:
        mirror(server, monkeypatch)
        with pytest.raises(BadBundle, match=f"expected {'0' * 64}; it was thrown away"):
            add(manifest(tmp_path / "mine", content, sha256="0" * 64), settings, progress=LogProgress())
    assert [path.name for path in settings.folder.rglob("*") if path.is_file() and path.suffix != ".lock"] == []
    assert list(settings.bundles_folder.iterdir()) == []


def test_a_refused_download_adds_nothing(tmp_path: Path, settings: BundleSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(statuses=(404,)) as server:
        mirror(server, monkeypatch)
        with pytest.raises(Unavailable, match="the server answered 404"):
            add(manifest(tmp_path / "mine", b"weights"), settings, progress=LogProgress())
    assert list(settings.bundles_folder.iterdir()) == []


def test_an_address_is_inspected_and_then_added(
    tmp_path: Path, settings: BundleSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = network(tmp_path / "network.onnx").read_bytes()
    with serving(content=content) as server:
        mirror(server, monkeypatch)
        output = tmp_path / "drafted.toml"
        words = ["models", "inspect", URL, "--output", str(output), "--json"]
        done = CliRunner().invoke(cli, words, standalone_mode=False)
        assert json.loads(done.stdout)["written"], done.exception
        downloads = len(server.ranges)
        assert add(output, settings, progress=LogProgress()).description.name == "network"
        assert len(server.ranges) == downloads, "the inspected file is not downloaded again"


@pytest.mark.parametrize(
    "url", ["http://models.example/network.onnx", "https://me:secret@models.example/n.onnx", "ftp://x/n.onnx"]
)
def test_only_https_without_a_login_is_a_source(tmp_path: Path, settings: BundleSettings, url: str) -> None:
    path = manifest(tmp_path / "mine", b"weights")
    path.write_text(path.read_text().replace(URL, url))
    with pytest.raises(BadBundle, match="write an https address of a file, without a user name") as error:
        add(path, settings, progress=LogProgress())
    assert "secret" not in str(error.value)
    done = CliRunner().invoke(cli, ["models", "inspect", url], standalone_mode=False)
    assert isinstance(done.exception, InvalidArgument)
