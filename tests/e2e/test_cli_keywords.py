"""`miradouro keywords` over a data folder, in its own process and through the folder's server."""

import json
from pathlib import Path

import numpy as np

from tests.e2e.command import run, up
from tests.pictures import encode
from tests.scenes import scene

SPACE = "efficientnet-lite0/look"


def make_photos(folder: Path) -> Path:
    """Seven photos of scenes and seven of stripes; a person tagged all but the last of each."""
    folder.mkdir()
    for seed in range(7):
        stripes = np.where((np.arange(200) // (6 + seed)) % 2, 250, 20).astype(np.uint8)
        kinds = {"landscape": scene(seed, size=200), "fence": np.dstack([np.tile(stripes, (200, 1))] * 3)}
        for kind, pixels in kinds.items():
            (folder / f"{kind}{seed}.jpg").write_bytes(encode(pixels, "JPEG"))
            if seed < 6:
                (folder / f"{kind}{seed}.json").write_text(json.dumps({"tags": [f"my {kind}"]}))
    (folder / "fence6.json").write_text(json.dumps({"tags": ["seldom"]}))
    return folder


def learned(data: Path, keyword: str) -> dict[str, str]:
    """The photos with the keyword, and the kind of their tag."""
    hits = run("search", "--keyword", keyword, "--data", data, "--json").json["hits"]
    return {hit["photo_id"]: tag["kind"] for hit in hits for tag in hit["tags"] if tag["label"] == keyword}


def test_learned_keywords_are_found_tested_and_removed(models_dir: Path, tmp_path: Path) -> None:
    assert models_dir.is_dir()
    data = tmp_path / "data"
    run("index", make_photos(tmp_path / "photos"), "--data", data, "--preset", "lean", "--json").json  # noqa: B018 # checks it
    refused = run("keywords", "test", "--data", data)
    assert (refused.code, "has no learned keywords; learn some with `miradouro keywords learn`" in refused.err) == (1, True)
    report = run("keywords", "learn", "--space", SPACE, "--data", data, "--json").json
    assert [(one["label"], one["photos"]) for one in report["keywords"]] == [("my fence", 6), ("my landscape", 6)]
    assert (report["left_out"], report["changed"]) == (["seldom"], 2)
    assert {"precision", "recall", "threshold"} < report["keywords"][0].keys()
    assert learned(data, "my fence")["fence6.jpg"] == "learned"
    assert learned(data, "my fence")["fence0.jpg"] == "user"
    listed = run("keywords", "list", "--data", data, "--json").json["collections"]
    assert [(one["collection"], one["provenance"]) for one in listed] == [("photos", report["provenance"])]
    with up(data):
        again = run("keywords", "learn", "--space", SPACE, "--hidden", 8, "--data", data)
        assert "left out, fewer than 5 photos: seldom" in again.out, again.err
        assert "8 hidden units; 12 photos" in run("keywords", "test", "--data", data).out
        removed = run("keywords", "remove", "--data", data, "--json").json
    assert removed == {"collection": "photos", "changed": 2}
    assert "fence6.jpg" not in learned(data, "my fence")
    assert run("keywords", "list", "--data", data).out == "no collection has learned keywords\n"
