"""Are a photo's neighbours of its kind? Mean average precision over the photos below objects/, whose folders name their kinds."""

from collections.abc import Iterator, Sequence

from miradouro.v1 import search_service_pb2 as wire
from miradouro.v1.search_service_pb2_grpc import SearchServiceStub

from evaluation.doors import ANSWER_S
from evaluation.goals import Check
from evaluation.photos import Photo

ALL = 1_000  # the largest page
GOALS = {"efficientnet-lite0/look": 0.817, "efficientnet-lite0/features": 0.77}
MORE_GOAL = 0.01


def kinds(stub: SearchServiceStub, photos: Sequence[Photo]) -> Iterator[Check]:
    """Each photo asks for the others, ranked among themselves; and again in the default space with its hits mixed in."""
    asked = [photo for photo in photos if photo.photo_id.startswith("objects/")]
    found = {}
    for space, goal in GOALS.items():
        found[space] = _precision(stub, asked, space=space)
        yield Check(f"{space}: neighbours of the same kind, mAP", found[space], ">=", goal)
    default = next(iter(GOALS))
    gain = _precision(stub, asked, space=default, more=True) - found[default]
    yield Check(f"{default}: mAP gained by more of this kind", gain, ">=", MORE_GOAL)


def _precision(stub: SearchServiceStub, photos: Sequence[Photo], *, space: str, more: bool = False) -> float:
    kind_of = {photo.photo_id: photo.photo_id.split("/")[1] for photo in photos}
    averages = []
    for photo_id, kind in kind_of.items():
        like = wire.LikeQuery(photo_id=photo_id)
        answer = stub.Search(wire.SearchRequest(like=like, space=space, limit=ALL, more=more), timeout=ANSWER_S)
        others = [kind_of[hit.photo_id] for hit in answer.hits if hit.photo_id in kind_of and hit.photo_id != photo_id]
        right = [rank for rank, other in enumerate(others, 1) if other == kind]
        averages.append(sum(number / rank for number, rank in enumerate(right, 1)) / max(1, len(right)))
    return sum(averages) / max(1, len(averages))
