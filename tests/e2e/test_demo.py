"""`miradouro demo` on a person's photos."""

import re
import signal
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from tests.e2e.command import START_S, Done, channel_to, run, start
from tests.e2e.conftest import make_photos

pytestmark = pytest.mark.usefixtures("models_dir")


@pytest.fixture(scope="module")
def demonstrated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    place = tmp_path_factory.mktemp("demo")
    photos = make_photos(place / "photos")
    (photos / "broken.jpg").write_bytes(b"not a photo")
    return place, run("demo", "--photos", photos, "--folder", place / "demo", "--no-serve")


def test_a_persons_photos_answer_four_kinds_of_question(demonstrated: tuple[Path, Done]) -> None:
    _, done = demonstrated
    assert done.code == 0, done.err
    assert "6 indexed" in done.out
    asked = re.findall(r"^  \$ .* (--keyword|--text|--photo|--like) ", done.out, re.M)
    assert asked == ["--keyword", "--text", "--photo", "--like"]
    like = done.out.split("Photos like ")[1].splitlines()
    assert like[2].split()[:3] == ["1.", "distance", "0.00"]
    assert like[0].split("  (")[0] in like[2]


def test_the_page_holds_every_hit_without_external_links(demonstrated: tuple[Path, Done]) -> None:
    place, done = demonstrated
    page = place / "demo" / "contact-sheet.html"
    assert page.as_uri() in done.out
    html = page.read_text(encoding="utf-8")
    assert "6 photos from" in html
    assert "All of the photos" in html
    assert "http://" not in html
    assert "https://" not in html
    shown = set(re.findall(r'<div class="name">(.+?)</div>', html))
    assert {"beach/ana.jpg", "beach/rui.jpg", "city/a b.jpg", "city/ção.jpg", "one.jpg", "two.jpg"} >= shown
    assert len(shown) >= 5


def test_the_questions_can_be_repeated_on_the_cli(demonstrated: tuple[Path, Done]) -> None:
    place, _ = demonstrated
    [data] = (place / "demo").glob("data-*")
    hits = run("search", "--data", data, "--photo", place / "demo" / "question.jpg", "--json").json["hits"]
    assert len(hits) == 6


def test_a_folder_without_photos_is_reported(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = run("demo", "--photos", tmp_path / "empty", "--folder", tmp_path / "demo", "--no-serve")
    assert done.code == 1
    assert "holds no photo that could be indexed" in done.err


def test_the_services_stay_up_until_they_are_ended(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", ("one.jpg", "two.jpg"))
    process = start("demo", "--photos", photos, "--folder", tmp_path / "demo", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
    assert process.stdout is not None
    try:
        output = ""
        while "page: " not in output:
            line = process.stdout.readline()
            assert line, process.communicate(timeout=START_S)
            output += line
        [target] = re.findall(r"^ready: (127\.0\.0\.1:\d+)$", output, re.M)
        [data] = (tmp_path / "demo").glob("data-*")
        with channel_to(target, data) as channel:
            answer = HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=START_S)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        process.send_signal(signal.SIGINT)
        assert process.wait(START_S) == 0
    finally:
        process.kill()
        process.communicate()
