"""VGG16 from a person's own weights: `pull --weights` and `quantize`, over files of the true topology and narrow widths."""

import threading
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from miradouro.bundles.calibrate import quantize
from miradouro.bundles.catalogue import find
from miradouro.bundles.own_weights import use_weights
from miradouro.bundles.progress import LogProgress
from miradouro.bundles.pull import pull as pull_bundle
from miradouro.bundles.registry import OpenBundle, open_bundle
from miradouro.core.decode import decode
from miradouro.core.embedding import Tensor
from miradouro.core.errors import BadBundle, InvalidArgument, MiradouroError, NotFound
from miradouro.core.spaces import Geometry

from tests.fuzz.weights_file import Named, zip_file
from tests.narrow_vgg16 import NAME, add_narrow_bundle
from tests.networks import session_of
from tests.pictures import encode
from tests.plain_vgg16 import forward
from tests.scenes import scene
from tests.vgg16_files import he_weights, onnx_of_keras, onnx_of_zoo, pth_legacy, pth_zip

STATE = he_weights()


@pytest.fixture
def bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of added bundles, with one that waits for its weights; the model files lie beside it."""
    monkeypatch.setenv("MIRADOURO_BUNDLES_DIR", str(tmp_path / "bundles"))
    monkeypatch.setenv("MIRADOURO_MODELS_DIR", str(tmp_path / "models"))
    add_narrow_bundle(tmp_path / "bundles")
    return tmp_path / "bundles"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(3):
        (folder / f"{seed}.png").write_bytes(encode(scene(seed), "PNG"))
    return folder


def pull(weights: Path, *, name: str = NAME, precision: str | None = None) -> OpenBundle:
    return use_weights(name, weights, precision=precision, progress=LogProgress())


def fitted(data: bytes, geometry: Geometry) -> Tensor:
    return decode(data, [geometry]).tensors[geometry]


def vectors(bundle: OpenBundle, space: str) -> np.ndarray:
    return session_of(bundle.path).run([bundle.outputs[space]], {"centre": scene(1)[np.newaxis]})[0][0]


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.usefixtures("bundles")
def test_weights_make_the_bundle_theirs(tmp_path: Path) -> None:
    pth_legacy(STATE, tmp_path / "mine.pth")
    made = pull(tmp_path / "mine.pth")
    assert (made.description.precision, made.description.attribution) == ("fp32", "weights from mine.pth, a file of this machine")
    expected = forward(STATE, scene(1)[np.newaxis])["fc7"][0]
    np.testing.assert_allclose(vectors(made, f"{NAME}/fc7"), expected / np.linalg.norm(expected), atol=1e-4)
    (tmp_path / "mine.pth").unlink()
    assert open_bundle(NAME, precision="fp32", folder=tmp_path / "models") == made


def test_other_weights_have_another_provenance(bundles: Path, tmp_path: Path, photos: Path) -> None:
    pth_zip(STATE, tmp_path / "first.pth")
    onnx_of_zoo(he_weights(seed=17), tmp_path / "second.onnx")
    first = pull(tmp_path / "first.pth")
    quantize(NAME, photos, 3, decode=fitted, progress=LogProgress())
    second = pull(tmp_path / "second.onnx")
    assert {each.provenance for each in first.description.spaces}.isdisjoint(
        each.provenance for each in second.description.spaces
    )
    assert find(NAME).precisions == ("fp32",), "the ranges belong to the first weights"
    assert files_below(bundles) == [f"{NAME}/bundle.toml", f"{NAME}/own.json", f"{NAME}/second.onnx"]


@pytest.mark.usefixtures("bundles")
def test_quantizing_offers_int8_on_this_machine(tmp_path: Path, photos: Path) -> None:
    pth_zip(STATE, tmp_path / "mine.pth")
    exact = pull(tmp_path / "mine.pth")
    with pytest.raises(InvalidArgument, match=f"'int8': {NAME} is offered in fp32; `miradouro models quantize {NAME}"):
        open_bundle(NAME, precision="int8", folder=tmp_path / "models")
    (photos / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    rounded = quantize(NAME, photos, 96, decode=fitted, progress=LogProgress())
    assert find(NAME).precisions == ("int8", "fp32")
    calibration = find(NAME).calibration
    assert calibration is not None
    assert calibration.photos == 3
    assert {"input", "conv1_1", "conv5_3", "fc6", "fc7"} <= set(calibration.ranges)
    for layer in ("pool5/rmac", "fc7", "softmax"):
        assert vectors(exact, f"{NAME}/{layer}") @ vectors(rounded, f"{NAME}/{layer}") > 0.99
    assert rounded.path.stat().st_size < exact.path.stat().st_size / 2


@pytest.mark.usefixtures("bundles")
def test_quantizing_without_photos_changes_nothing(tmp_path: Path) -> None:
    pth_zip(STATE, tmp_path / "mine.pth")
    pull(tmp_path / "mine.pth")
    before = find(NAME), files_below(tmp_path)
    (tmp_path / "photos").mkdir()
    with pytest.raises(NotFound, match="holds no photos"):
        quantize(NAME, tmp_path / "photos", 3, decode=fitted)
    (tmp_path / "photos" / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(NotFound, match="none of 1 photos can be read"):
        quantize(NAME, tmp_path / "photos", 3, decode=fitted)
    (tmp_path / "photos" / "torn.jpg").unlink()
    assert (find(NAME), files_below(tmp_path)) == before


def bad_files(folder: Path) -> list[tuple[Path, str]]:
    """Files that no bundle can be built from, with a part of the sentence about each."""
    calls, torn, wide, text = (folder / name for name in ("calls.pth", "torn.pth", "wide.pth", "text.onnx"))
    calls.write_bytes(zip_file({}, table=OrderedDict(a=Named("os", "system", f"touch {folder / 'called'}"))))
    pth_legacy(STATE, torn)
    torn.write_bytes(torn.read_bytes()[:-7])
    pth_zip(he_weights(dense=40), wide)
    text.write_text("no weights at all")
    onnx_of_keras(STATE, folder / "keras.onnx")
    damaged = {**STATE, "features.7.bias": np.full_like(STATE["features.7.bias"], np.nan)}
    pth_zip(damaged, folder / "nan.pth")
    return [
        (calls, "nothing of it was run"),
        (torn, "cut short"),
        (wide, "fc6 has 40 numbers, the manifest of narrow-vgg16 says 24"),
        (text, "neither an ONNX graph nor"),
        (folder / "keras.onnx", r"takes NHWC, \[input\] of narrow-vgg16 says NCHW"),
        (folder / "nan.pth", "conv2_2 has weights that are not finite"),
        (folder / "missing.pth", "can't be read"),
    ]


def test_bad_weights_leave_nothing_half_written(bundles: Path, tmp_path: Path) -> None:
    pth_zip(STATE, tmp_path / "good.pth")
    good = pull(tmp_path / "good.pth")
    bad = bad_files(tmp_path)
    before = files_below(bundles), files_below(tmp_path / "models")
    for path, reason in bad:
        with pytest.raises(BadBundle, match=reason) as caught:
            pull(path)
        assert str(path) in caught.value.message
        assert (files_below(bundles), files_below(tmp_path / "models")) == before
    assert open_bundle(NAME, precision="fp32", folder=tmp_path / "models") == good
    assert not (tmp_path / "called").exists()


@pytest.mark.usefixtures("bundles")
def test_weights_need_a_bundle_that_takes_them(tmp_path: Path) -> None:
    pth_zip(STATE, tmp_path / "mine.pth")
    with pytest.raises(MiradouroError, match="'vgg17' is not a bundle"):
        pull(tmp_path / "mine.pth", name="vgg17")


class Mirror:
    """A mirror of the model hub that ends its first answer early; `ranges` are the ranges that were asked for."""

    def __init__(self, content: bytes) -> None:
        mirror, self.ranges = self, list[str]()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.ranges.append(self.headers.get("Range", ""))
                begin = int(mirror.ranges[-1].removeprefix("bytes=").rstrip("-") or 0)
                end = len(content) if begin else len(content) // 2
                self.send_response(206 if begin else 200)
                if begin:
                    self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
                self.send_header("Content-Length", str(len(content) - begin))
                self.end_headers()
                self.wfile.write(content[begin:end])

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> "Mirror":
        threading.Thread(target=self.server.serve_forever).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_the_zoos_file_is_downloaded_and_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundles: Path) -> None:
    onnx_of_zoo(STATE, tmp_path / "zoo.onnx")
    content = (tmp_path / "zoo.onnx").read_bytes()
    add_narrow_bundle(bundles, name="zoo", zoo_file=content)
    with Mirror(content) as mirror:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{mirror.server.server_port}")
        pulled = pull_bundle("zoo", precision="fp32", folder=tmp_path / "models", progress=LogProgress())
    assert mirror.ranges[0] == ""
    assert mirror.ranges[1:] == [f"bytes={len(content) // 2}-"], "the download went on where it broke off"
    own = pull(tmp_path / "zoo.onnx")
    for layer in ("pool5/rmac", "fc7", "softmax"):
        np.testing.assert_array_equal(vectors(pulled, f"zoo/{layer}"), vectors(own, f"{NAME}/{layer}"))
