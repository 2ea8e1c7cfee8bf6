"""What answers must be worth: each function asks through the doors and returns numbers with their goals."""

import json
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from miradouro.v1 import search_service_pb2 as wire
from miradouro.v1.search_service_pb2_grpc import SearchServiceStub

from evaluation.doors import command, example, hits_of, search_by_command, up
from evaluation.goals import Check, share
from evaluation.photos import Photo, middle, resaved

SELF_DISTANCE = 0.05
LABELS, PARENTS = 20, 5
TOP = 5
SAMPLE = 3  # questions of each kind that go through the command line too
ALL = 1_000  # the largest page


def sample(photos: Sequence[Photo]) -> Sequence[Photo]:
    """A few photos, spread over all."""
    return photos[:: max(1, len(photos) // SAMPLE)][:SAMPLE]


def indexed(photos: Sequence[Photo], data: Path) -> Check:
    """Every photo is in the index."""
    [collection] = command("stats", "--data", str(data))["collections"]
    return Check(f"photos indexed of {len(photos)} in the folder", collection["photos"], "==", len(photos))


def first_by_itself(stub: SearchServiceStub, photos: Sequence[Photo], data: Path) -> Iterator[Check]:
    """Each photo is its own first hit, in every space."""
    [collection] = stub.Stats(wire.StatsRequest()).collections
    for space in [space.name for space in collection.spaces]:
        farthest, wrong = 0.0, []
        for photo in photos:
            [first] = example(stub, photo.path.read_bytes(), space=space, limit=1)
            farthest = max(farthest, first.distance)
            if first.photo_id not in photo.same:
                wrong.append(f"{photo.photo_id}: first is {first.photo_id} at {first.distance:.4f}")
        yield share(f"{space}: a photo finds itself first", len(photos) - len(wrong), len(photos), goal=1, misses=wrong)
        yield Check(f"{space}: largest distance to itself", farthest, "<", SELF_DISTANCE)
        wrong = []
        for photo in sample(photos):
            [hit] = search_by_command(data, "--photo", str(photo.path), "--space", space, limit=1)
            if hit["photo_id"] not in photo.same or not hit["distance"] < SELF_DISTANCE:
                wrong.append(f"{photo.photo_id}: first is {hit['photo_id']} at {hit['distance']}")
        yield share(f"{space}: by the command too", SAMPLE - len(wrong), SAMPLE, goal=1, misses=wrong)


def resaved_finds_original(stub: SearchServiceStub, photos: Sequence[Photo], data: Path) -> Iterator[Check]:
    """A photo saved again, under another name and not indexed, finds its original first."""
    wrong = []
    for photo in photos:
        [first] = example(stub, resaved(photo), limit=1)
        if first.photo_id not in photo.same:
            wrong.append(f"{photo.photo_id}: first is {first.photo_id} at {first.distance:.4f}")
    yield share("re-saved at quality 85 finds its original first", len(photos) - len(wrong), len(photos), goal=1, misses=wrong)
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        for photo in sample(photos):
            path = Path(folder, "another name.jpg")
            path.write_bytes(resaved(photo))
            [hit] = search_by_command(data, "--photo", str(path), limit=1)
            if hit["photo_id"] not in photo.same:
                wrong.append(f"{photo.photo_id}: first is {hit['photo_id']} at {hit['distance']}")
    yield share("re-saved: by the command too", SAMPLE - len(wrong), SAMPLE, goal=1, misses=wrong)


def middle_finds_whole(stub: SearchServiceStub, photos: Sequence[Photo]) -> Check:
    """The middle of a photo, half as wide and half as high, finds the photo among the first five."""
    found = {photo.photo_id: {hit.photo_id for hit in example(stub, middle(photo), limit=TOP)} for photo in photos}
    wrong = [photo.photo_id for photo in photos if not photo.same & found[photo.photo_id]]
    return share(f"middle crop finds its photo in the top {TOP}", len(photos) - len(wrong), len(photos), goal=0.9, misses=wrong)


def true_class(photos: Sequence[Photo], label_of: dict[str, str]) -> Check:
    """The true class is among the first five labels; `label_of` maps the file name's WordNet id to the label."""
    labelled = {str(photo.path): label_of[photo.path.name.split("_")[0]] for photo in photos if "imagenet/" in photo.photo_id}
    wrong = []
    for result in command("embed", *labelled) if labelled else ():
        labels = [tag["label"] for tag in result["tags"]][:TOP]
        if labelled[result["path"]] not in labels:
            wrong.append(f"{result['path']}: {labels}")
    right = len(labelled) - len(wrong)
    return share(f"true class among the first {TOP} labels", right, len(labelled), goal=0.9, misses=wrong)


def keywords(stub: SearchServiceStub, photos: Sequence[Photo], data: Path) -> Iterator[Check]:
    """A keyword returns exactly the photos whose stored tags carry it, in the order of its probability."""
    carriers: dict[tuple[int, str], dict[str, float]] = defaultdict(dict)
    for photo in photos:
        for tag in stub.GetPhoto(wire.GetPhotoRequest(photo_id=photo.photo_id)).photo.tags:
            carriers[tag.kind, tag.label][photo.photo_id] = tag.score
    for kind, name, count in ((wire.TAG_KIND_LABEL, "labels", LABELS), (wire.TAG_KIND_PARENT, "parents", PARENTS)):
        words = sorted((len(found), word) for (of, word), found in carriers.items() if of == kind)
        chosen = [word for _, word in words[:: max(1, len(words) // count)]][-count:]  # from the rarest to the commonest
        wrong = []
        for word in chosen:
            expected: dict[str, float] = {}
            for (_, label), found in carriers.items():
                if label == word:
                    expected |= found
            order = sorted(expected, key=lambda photo_id: (-expected[photo_id], photo_id))
            question = wire.SearchRequest(keyword=wire.KeywordQuery(words=[word]), limit=ALL)
            by_grpc = [hit.photo_id for hit in hits_of(stub, question)]
            by_command = [hit["photo_id"] for hit in search_by_command(data, "--keyword", word, limit=ALL)]
            if order != by_grpc or order[:ALL] != by_command:
                wrong.append(f"{word}: {len(order)} carry it, gRPC gives {len(by_grpc)}, the command {len(by_command)}")
        yield share(f"keywords that are {name}: exact and in order", len(chosen) - len(wrong), count, goal=1, misses=wrong)


# With words that no label and no parent has: --text reads tags too, and would rightly find a bagel ("baked goods") by "bake".
CAPTIONS = (
    ("Two children were laughing along the promenades of Sagres", "laugh", "promenade"),
    ("Polished tiles on the façades of Lisbon", "facade", "polishing"),
    ("Both grandmothers are embroidering", "embroider", "grandmother"),
)


def captions(photos: Sequence[Photo], work: Path) -> Check:
    """A caption is found by a stemmed word, and no photo without the word is."""
    root, data = work / "captioned", work / "captioned-data"
    for folder in (root, data):
        shutil.rmtree(folder, ignore_errors=True)
    root.mkdir(parents=True)
    for number, (photo, (caption, *_)) in enumerate(zip(photos, CAPTIONS, strict=False)):
        shutil.copyfile(photo.path, root / f"{number}{photo.path.suffix}")
        (root / f"{number}.json").write_text(json.dumps({"caption": caption}))
    command("index", str(root), "--data", str(data))
    asked, wrong = 0, []

    def judge(word: str, caption: str, found: list[str]) -> None:
        nonlocal asked
        asked += 1
        if found != [caption]:
            wrong.append(f"{word}: {found}")

    with up(data) as stub:
        for caption, *words in CAPTIONS:
            for word in words:
                judge(word, caption, [hit.caption for hit in hits_of(stub, wire.SearchRequest(text=wire.TextQuery(text=word)))])
                judge(word, caption, [hit["caption"] for hit in search_by_command(data, "--text", word)])
    return share("a stemmed word finds its caption and no other", asked - len(wrong), asked, goal=1, misses=wrong)
