"""The HTTP door through real sockets: the answers of the services in JSON, pictures, and what is refused."""

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from google.protobuf import json_format
from miradouro.core.errors import MiradouroError
from miradouro.query.page_files import static_files
from miradouro.runtime.call import Call
from miradouro.runtime.rpc import HTTP_CODES
from miradouro.v1 import search_service_pb2 as pb
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from PIL import Image

from tests.http_fixture import Answer, Door, open_door
from tests.pictures import blocks, encode, jpeg

PHOTOS = {f"trip/{name}.jpg": jpeg(320, 240, seed=seed, quality=95) for seed, name in enumerate("abcdef")}
PNG = encode(blocks(90, 60, seed=50), "PNG")
ODD_NAME = "odd/50% <b>#1?&'\"ü.jpg"


def fill(folder: Path) -> Path:
    """The photos, a PNG, one with an odd name, one that a camera held upright, and a file that is no photo."""
    for name, data in {**PHOTOS, "logo.png": PNG, ODD_NAME: jpeg(64, 48, seed=60), "broken.jpg": b"no photo"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    turned = Image.fromarray(blocks(400, 200, seed=70))
    exif = turned.getexif()
    exif[0x0112] = 6
    (folder / "upright.jpg").write_bytes(encode(turned, "JPEG", exif=exif))
    (folder / "trip" / "a.json").write_text(json.dumps({"caption": "Waves at the lighthouse", "tags": ["harbour"]}))
    return folder


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("ingest")
    with open_door(folder) as opened:
        report = opened.ingest.index_folder(fill(folder / "photos"))
        assert [failure.path for failure in report.failed] == ["broken.jpg"]
        yield opened


EVENT = {
    "eventId": "1",
    "kind": "PHOTO_EVENT_KIND_UPLOADED",
    "collection": "c",
    "photoId": "a.jpg",
    "version": 1,
    "title": "Tram 28",
    "data": base64.b64encode(jpeg(64, 48, seed=61)).decode(),
}


def place(photo_id: str, collection: str = "photos") -> str:
    return f"{quote(collection, safe='')}/{quote(photo_id, safe='')}"


def same_answer(answer: Answer, request: pb.SearchRequest, door: Door) -> bool:
    """Whether the HTTP answer equals the service's, except for the time taken."""
    parsed = json_format.Parse(answer.body, pb.SearchResponse())
    expected = door.search.Search(request, Call())
    for response in (parsed, expected):
        assert response.took_ms > 0
        response.took_ms = 0
    return bool(parsed == expected)


def test_a_json_query_gets_the_services_answer(door):
    question = {"keyword": {"words": ["Harbour"]}}
    answer = door.post("/v1/search", question)
    assert answer.code == 200
    [hit] = answer.json["hits"]
    assert (hit["photoId"], hit["caption"], answer.json["total"], answer.json["exact"]) == (
        "trip/a.jpg",
        "Waves at the lighthouse",
        "1",
        True,
    )
    assert same_answer(answer, json_format.ParseDict(question, pb.SearchRequest()), door)
    assert answer.json["truncated"] is False, "fields that are false are written too"


def test_names_may_be_spelt_as_in_the_proto(door):
    request = pb.SearchRequest(like=pb.LikeQuery(photo_id="trip/a.jpg"), max_distance=1.5, limit=2)
    camel = door.post("/v1/search", {"like": {"photoId": "trip/a.jpg"}, "maxDistance": 1.5, "limit": 2})
    snake = door.post("/v1/search", {"like": {"photo_id": "trip/a.jpg"}, "max_distance": 1.5, "limit": 2})
    assert same_answer(camel, request, door)
    assert same_answer(snake, request, door)


@pytest.mark.parametrize("photo_id", sorted(PHOTOS))
def test_a_photo_finds_itself_as_body_or_base64(door, photo_id):
    data = PHOTOS[photo_id]
    raw = door.ask("POST", "/v1/search/photo?limit=3", data, headers={"Content-Type": "image/jpeg"})
    coded = door.post("/v1/search", {"photo": {"data": base64.b64encode(data).decode()}, "limit": 3})
    for answer in (raw, coded):
        assert answer.json["hits"][0]["photoId"] == photo_id
        assert same_answer(answer, pb.SearchRequest(photo=pb.ExampleQuery(data=data), limit=3), door)


def test_options_of_a_photo_query_are_parameters(door):
    asked = pb.SearchRequest(
        photo=pb.ExampleQuery(data=PHOTOS["trip/b.jpg"]),
        collection="photos",
        space="tiny/shallow/max",
        limit=2,
        max_distance=1.25,
        exact=True,
        filters=[pb.Filter(file_name_prefix="c")],
    )
    prefix = quote(json.dumps({"fileNamePrefix": "c"}))
    path = f"/v1/search/photo?collection=photos&space=tiny/shallow/max&limit=2&maxDistance=1.25&exact=true&filters={prefix}"
    answer = door.ask("POST", path, PHOTOS["trip/b.jpg"])
    assert [hit["photoId"] for hit in answer.json["hits"]] == ["trip/c.jpg"]
    assert same_answer(answer, asked, door)


def test_pages_follow_each_other_by_token(door):
    question: dict[str, object] = {"like": {"photoId": "trip/a.jpg"}, "limit": 3}
    seen: list[str] = []
    while True:
        page = door.post("/v1/search", question).json
        seen += [hit["photoId"] for hit in page["hits"]]
        if not page["nextPageToken"]:
            break
        question["pageToken"] = page["nextPageToken"]
    assert len(seen) == len(set(seen)) == int(page["total"])


def test_documents_stats_and_failures_match_the_services(door):
    for photo_id in ("trip/a.jpg", ODD_NAME):
        expected = door.search.GetPhoto(pb.GetPhotoRequest(photo_id=photo_id), Call())
        assert json_format.Parse(door.get(f"/v1/photos/{place(photo_id)}").body, pb.GetPhotoResponse()) == expected
    assert door.get("/v1/photos/photos/trip/a.jpg").json == door.get(f"/v1/photos/{place('trip/a.jpg')}").json
    assert door.get("/v1/stats").json["collections"][0]["photos"] == str(len(PHOTOS) + 3)
    [failure] = door.get("/v1/failures?collection=photos&page_size=5").json["failures"]
    assert (failure["photoId"], failure["reason"]) == ("broken.jpg", "not_a_photo")
    assert door.get("/v1/failures?collection=elsewhere").json == {"failures": [], "nextPageToken": ""}


@pytest.mark.parametrize(
    ("message", "code", "status", "field"),
    [
        ({"keyword": {"words": ["cat"]}, "limit": 0}, 400, "INVALID_ARGUMENT", "limit"),
        ({"like": {"photoId": "nowhere.jpg"}}, 404, "NOT_FOUND", None),
    ],
)
def test_a_service_error_has_its_http_code(door, message, code, status, field):
    """Wrong requests are listed in tests/unit/test_search_request.py."""
    answer = door.post("/v1/search", message)
    assert (answer.code, answer.error["status"], answer.error.get("field")) == (code, status, field)
    assert answer.error["message"]


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"\xff\xfe", b'{"limit": 1, "limit": 2}', b"[" * 100_000, b'{"limit": NaN}'),
        *(b'{"wish": 1}', b'{"keyword": {"words": "cat"}}'),
    ],
)
def test_a_body_of_another_type_is_refused(door, body):
    answer = door.ask("POST", "/v1/search", body, headers={"Content-Type": "application/json"})
    assert (answer.code, answer.error["field"]) == (400, "body")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=no", "query"),
        ("limit=-1", "query"),
        ("limit=1&limit=2", "limit"),
        ("keyword=cat", "keyword"),
        ("wish=1", "wish"),
        ("exact=yes", "query"),
        ("filters=cat", "filters"),
    ],
)
def test_wrong_parameters_are_named(door, query, field):
    answer = door.ask("POST", f"/v1/search/photo?{query}", PHOTOS["trip/a.jpg"])
    assert (answer.code, answer.error["field"]) == (400, field)


@pytest.mark.parametrize(("body", "reason"), [(b"", "0 bytes"), (b"GIF89a....", "image/gif"), (PNG[:60], "upload it again")])
def test_a_bad_photo_has_its_own_error(door, body, reason):
    answer = door.ask("POST", "/v1/search/photo", body)
    assert (answer.code, answer.error["field"]) == (400, "photo")
    assert reason in answer.error["message"]


def test_a_json_body_must_declare_its_type(door):
    answer = door.ask("POST", "/v1/search", b'{"keyword": {"words": ["cat"]}}', headers={"Content-Type": "text/plain"})
    assert (answer.code, answer.error["status"]) == (415, "INVALID_ARGUMENT")
    assert door.ask("POST", "/v1/search", b"{}", headers={"Content-Type": "Application/JSON; charset=utf-8"}).code == 400


def test_unknown_paths_and_methods_are_answered_in_json(door):
    for path in ("/nothing", "/v1", "/v1/stats/", "/page/", "/page/../page.py", "/photos", "/photos/photos"):
        assert (door.get(path).code, door.get(path).error["status"]) == (404, "NOT_FOUND"), path
    for method, path, allowed in (("GET", "/v1/search", "POST"), ("DELETE", "/", "GET"), ("POST", "/v1/stats", "GET")):
        answer = door.ask(method, path)
        assert answer.code == 405
        assert allowed in answer.headers["Allow"]
        assert answer.error["status"] == "INVALID_ARGUMENT"


def test_every_status_of_an_error_has_a_code():
    def statuses(error: type[MiradouroError]) -> set[str]:
        return {error.status}.union(*(statuses(one) for one in error.__subclasses__()))

    assert statuses(MiradouroError) <= set(HTTP_CODES)


def test_an_event_is_indexed_over_http(tmp_path):
    deleted = {"eventId": "2", "kind": "PHOTO_EVENT_KIND_DELETED", "collection": "c", "photoId": "a.jpg", "version": 2}
    with open_door(tmp_path) as door:
        answer = door.post("/v1/events", {"events": [EVENT, deleted | {"version": 1}]})
        assert [one["status"] for one in answer.json["results"]] == ["EVENT_STATUS_STORED", "EVENT_STATUS_STALE"]
        assert door.get("/v1/photos/c/a.jpg").json["photo"]["title"] == "Tram 28"
        assert door.post("/v1/events", {"events": [deleted]}).json["results"][0]["status"] == "EVENT_STATUS_STORED"
        assert door.get("/v1/photos/c/a.jpg").code == 404
        assert (door.post("/v1/events", {}).code, door.ask("POST", "/v1/events", b"{}").code) == (400, 415)


def test_answers_conform_to_the_valid_openapi_description(door):
    described = door.get("/openapi.json").json
    validate(described)
    assert described["openapi"].startswith("3.1")
    answers = {
        "SearchResponse": door.post("/v1/search", {"like": {"photoId": "trip/a.jpg"}}),
        "GetPhotoResponse": door.get(f"/v1/photos/{place('trip/a.jpg')}"),
        "StatsResponse": door.get("/v1/stats"),
        "ListFailuresResponse": door.get("/v1/failures"),
        "PutEventsResponse": door.post("/v1/events", {"events": [{"eventId": "1", "collection": "c"}]}),
        "Error": door.get("/nothing"),
    }
    for name, answer in answers.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": described["components"]}
        assert [error.message for error in OAS31Validator(schema).iter_errors(answer.json)] == [], name
    request = {"$ref": "#/components/schemas/SearchRequest", "components": described["components"]}
    assert OAS31Validator(request).is_valid({"keyword": {"words": ["cat"]}, "limit": 3})
    assert not OAS31Validator(request).is_valid({"keyword": {"words": ["cat"]}, "text": {"text": "cat"}})
    assert not OAS31Validator(request).is_valid({"keyword": {"words": ["cat"]}, "wish": 1})
    event = OAS31Validator({"$ref": "#/components/schemas/PhotoEvent", "components": described["components"]})
    assert event.is_valid({"kind": "PHOTO_EVENT_KIND_DELETED", "photoId": "a.jpg"})
    assert not event.is_valid({"photoId": "a.jpg", "uri": "file:///a.jpg", "data": ""})


def test_the_description_names_every_path_that_programs_use(door):
    described = door.get("/openapi.json").json["paths"]
    for path, methods in described.items():
        concrete = path.replace("{collection}", "photos").replace("{photo_id}", quote("trip/a.jpg", safe=""))
        for method in methods:
            assert door.ask(method.upper(), concrete).code not in {404, 405}, path
    assert len(described) == 8


def test_every_field_is_described(door):
    schemas = door.get("/openapi.json").json["components"]["schemas"]
    del schemas["Error"]
    undescribed = [name for name, schema in schemas.items() if not schema["description"]]
    undescribed += [
        f"{name}.{field}"
        for name, schema in schemas.items()
        for field, details in schema.get("properties", {}).items()
        if not details["description"]
    ]
    assert undescribed == []
    assert schemas["SearchResponse"]["properties"]["tookMs"]["description"] == "Time that the service took, in milliseconds."


def test_the_page_and_its_files_have_etags(door):
    for path, file in static_files().items():
        answer = door.get(path)
        assert (answer.code, answer.body, answer.headers["Content-Type"]) == (200, file.data, file.media_type)
        again = door.get(path, If_None_Match=answer.headers["ETag"])
        assert (again.code, again.body) == (304, b"")
        assert door.ask("HEAD", path).body == b""


def test_the_counters_can_be_read(tmp_path):
    with open_door(tmp_path) as door:
        door.get("/v1/stats")
        door.get("/v1/photos/photos/nowhere.jpg")
        counted = door.registry.get_sample_value
        assert counted("miradouro_http_requests_total", {"route": "/v1/stats", "code": "200"}) == 1
        route = "/v1/photos/{collection}/{photo_id:photo_id}"
        assert counted("miradouro_http_requests_total", {"route": route, "code": "404"}) == 1


def test_two_servers_answer_on_the_same_loop(tmp_path, door):
    shutil.copytree(door.ingest.data.parent / "photos" / "trip", tmp_path / "photos")
    with open_door(tmp_path / "second") as second:
        second.ingest.index_folder(tmp_path / "photos")
        assert second.http.address != door.http.address
        assert int(second.get("/v1/stats").json["collections"][0]["photos"]) == len(PHOTOS)
    assert door.get("/v1/stats").code == 200
