"""`miradouro search`, `stats` and `embed` on an index of real networks: answers, their JSON, and what is refused."""

import json
import shutil

import numpy as np
import pytest
from miradouro.bundles.catalogue import find
from miradouro.bundles.registry import model_path, record_path
from PIL import Image

from tests.e2e.command import run
from tests.e2e.conftest import PHOTOS, Indexed, make_photos
from tests.networks import INDEXED
from tests.pictures import jpeg

HIT_FIELDS = {"photo_id", "uri", "score", "distance", "space", "tags", "caption", "caption_is_generated", "region"}
ANSWER_FIELDS = {"hits", "total", "total_is_exact", "truncated", "exact", "took_ms"}
DEFAULT_SPACES = {
    "efficientnet-lite0/look",
    "efficientnet-lite0/features",
    "vgg16-conv/pool1/avg",
    "vgg16-conv/pool2/avg",
    "vgg16-conv/pool3/avg",
    "vgg16-conv/pool4/avg",
    "vgg16-conv/pool5/rmac",
    "vgg16-conv/pool5/regions",
}


def _search(indexed: Indexed, *words: object) -> dict:
    return run("search", *words, "--data", indexed.data, "--json").json


def _ids(answer: dict) -> list[str]:
    return [hit["photo_id"] for hit in answer["hits"]]


def _check_shape(answer: dict) -> None:
    assert set(answer) - {"understood"} == ANSWER_FIELDS
    assert (answer["total_is_exact"], answer["truncated"], answer["exact"]) == (True, False, True)
    assert answer["took_ms"] > 0
    for hit in answer["hits"]:
        assert set(hit) - {"title_parts", "caption_parts"} == HIT_FIELDS
        assert hit["uri"].startswith("file:///")
        assert all(set(tag) == {"label", "score", "kind"} for tag in hit["tags"])
        kinds = [tag["kind"] for tag in hit["tags"]]
        assert kinds == sorted(kinds, key=["user", "label", "parent"].index)
    scores = [hit["score"] for hit in answer["hits"]]
    assert scores == sorted(scores, reverse=True)


def test_indexing_reports_each_files_result(indexed):
    nothing = dict.fromkeys(("unchanged", "moved", "deleted", "withheld", "ignored_folders"), 0)
    ignored = {"ignored": 1, "ignored_by": {"not_a_photo": 1}}
    assert indexed.report | {"failed": []} == nothing | ignored | {"indexed": 6, "failed": [], "sidecars": []}
    [failed] = indexed.report["failed"]
    assert (set(failed), failed["path"], failed["code"]) == ({"path", "code", "reason"}, "broken.jpg", "not_a_photo")
    assert "no picture format" in failed["reason"]


def test_keywords_ignore_the_case_and_accents_of_tags(indexed):
    answer = _search(indexed, "--keyword", "lighthouse")
    _check_shape(answer)
    [hit] = answer["hits"]
    assert (hit["photo_id"], hit["score"], hit["distance"], hit["space"], hit["region"]) == (
        "beach/ana.jpg",
        1.0,
        None,
        None,
        None,
    )
    assert hit["caption"] == "Waves at the red lighthouse"
    assert hit["tags"][0]["kind"] == "user"
    assert _ids(_search(indexed, "--keyword", "GOLDEN HOUR")) == ["beach/ana.jpg"]


def test_several_keywords_mean_any_of_them(indexed):
    both = ["beach/ana.jpg", "beach/rui.jpg"]
    assert sorted(_ids(_search(indexed, "--keyword", "lighthouse", "street"))) == both
    assert sorted(_ids(_search(indexed, "--keyword", "lighthouse", "--keyword", "street"))) == both
    assert _ids(_search(indexed, "--keyword", "golden", "hour")) == []


def test_a_label_finds_exactly_its_tagged_photos_ranked(indexed):
    everything = _search(indexed, "--like", "one.jpg", "--limit", 100)["hits"]
    tags = {hit["photo_id"]: {tag["label"]: tag["score"] for tag in hit["tags"]} for hit in everything}
    label = next(tag["label"] for tag in everything[0]["tags"] if tag["kind"] == "label")
    parent = next(tag["label"] for hit in everything for tag in hit["tags"] if tag["kind"] == "parent")
    for word in (label, parent):
        answer = _search(indexed, "--keyword", word, "--limit", 100)
        carrying = {photo_id: scores[word] for photo_id, scores in tags.items() if word in scores}
        found = {hit["photo_id"]: hit["score"] for hit in answer["hits"]}
        if word == parent:  # it counts less than its probability, by its distance from the label
            assert found.keys() == carrying.keys()
            assert all(0 < score < carrying[photo_id] for photo_id, score in found.items())
        else:
            assert found == pytest.approx(carrying)
        _check_shape(answer)


def test_text_finds_captions_by_a_stemmed_word(indexed):
    answer = _search(indexed, "--text", "wave")
    _check_shape(answer)
    assert _ids(answer) == ["beach/ana.jpg"]
    assert answer["hits"][0]["distance"] is None
    assert _ids(_search(indexed, "--text", "graca")) == ["beach/rui.jpg"]
    assert _ids(_search(indexed, "--text", '"red lighthouse"')) == ["beach/ana.jpg"]
    assert _ids(_search(indexed, "--text", "street -quiet")) == []


@pytest.mark.parametrize("space", sorted(DEFAULT_SPACES))
def test_every_photo_finds_itself_in_every_space(indexed, space):
    for question in (("--photo", indexed.photos / PHOTOS[1]), ("--like", PHOTOS[1])):
        answer = _search(indexed, *question, "--space", space)
        _check_shape(answer)
        first = answer["hits"][0]
        assert (first["photo_id"], first["space"], answer["total"]) == (PHOTOS[1], space, len(PHOTOS))
        assert first["distance"] < 0.05
        assert (first["region"] is not None) == space.endswith("/regions")


def test_a_resaved_photo_finds_its_original(indexed, tmp_path):
    with Image.open(indexed.photos / PHOTOS[3]) as original:
        original.save(tmp_path / "copy.webp", quality=90)
    answer = _search(indexed, "--photo", tmp_path / "copy.webp", "--limit", 1)
    assert (_ids(answer), answer["hits"][0]["space"]) == ([PHOTOS[3]], "efficientnet-lite0/look")


def test_more_names_the_mixed_examples(indexed):
    plain, more = (_search(indexed, "--like", "one.jpg", *words) for words in ((), ("--more",)))
    assert more["mixed_in"] == _ids(plain)[1:4]
    line = run("search", "--like", "one.jpg", "--more", "--data", indexed.data).out.splitlines()[-2]
    assert line == f"more of this kind: mixed with {', '.join(more['mixed_in'])}"


def test_limit_distance_and_layer_options_are_obeyed(indexed):
    everything = _search(indexed, "--like", "one.jpg", "--space", "vgg16-conv/pool5", "--exact")
    assert {hit["space"] for hit in everything["hits"]} == {"vgg16-conv/pool5/rmac"}
    assert _ids(_search(indexed, "--like", "one.jpg", "--space", "vgg16-conv/pool5", "--limit", 2)) == _ids(everything)[:2]
    radius = (everything["hits"][1]["distance"] + everything["hits"][2]["distance"]) / 2
    near = _search(indexed, "--like", "one.jpg", "--space", "vgg16-conv/pool5", "--max-distance", radius)
    assert (_ids(near), near["total"]) == (_ids(everything)[:2], 2)


def test_people_get_readable_lines_and_the_count(indexed):
    done = run("search", "--keyword", "lighthouse", "--data", indexed.data)
    assert done.code == 0
    first, other_name, last = done.out.splitlines()
    assert other_name == "lighthouse: also searched as beacon (synonym)"
    assert first.split()[:3] == ["1", "1.0000", "beach/ana.jpg"]
    assert "Golden Hour 1.00" in first
    assert last.startswith("1 of 1 photos")


def test_stats_count_photos_failures_and_vectors_per_space(indexed):
    answer = run("stats", "--data", indexed.data, "--json").json
    assert set(answer) == {"collections", "bytes"}
    [photos] = answer["collections"]
    spaces = photos.pop("spaces")
    counts = {"photos": 6, "deleted": 0, "failed": 1}
    assert photos == {"name": "photos", "root": str(indexed.photos), "preset": "standard", **counts}
    assert {space["name"]: space["vectors"] for space in spaces} == {
        name: 6 * 14 if name.endswith("/regions") else 6 for name in DEFAULT_SPACES
    }
    assert all(
        set(space) == {"name", "dimension", "provenance", "vectors"} and len(space["provenance"]) == 64 for space in spaces
    )
    lines = run("stats", "--data", indexed.data).out.splitlines()
    assert lines[0].startswith("photos: 6 photos, 0 deleted, 1 failed")


def test_embedding_prints_vectors_tags_and_errors(indexed):
    missing, good, bad = indexed.photos / "nowhere.jpg", indexed.photos / "one.jpg", indexed.photos / "broken.jpg"
    done = run("embed", missing, good, bad, "--json")
    rows = done.json
    assert done.code == 3
    assert [set(row) for row in rows] == [{"path", "error", "vectors", "tags"}] * 3
    assert [row["path"] for row in rows] == [str(missing), str(good), str(bad)]
    assert "No such file" in rows[0]["error"]
    assert "no picture format" in rows[2]["error"]
    assert (rows[0]["vectors"], rows[0]["tags"], rows[1]["error"]) == ({}, [], None)
    assert set(rows[1]["vectors"]) == DEFAULT_SPACES
    for name, values in rows[1]["vectors"].items():
        assert np.linalg.norm(values, axis=-1) == pytest.approx(np.ones(14) if name.endswith("/regions") else 1.0, abs=1e-4)
    probabilities = [tag["score"] for tag in rows[1]["tags"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert 0 < sum(probabilities) <= 1.001


def test_embedding_only_bad_files_fails_with_reasons(indexed):
    done = run("embed", indexed.photos / "broken.jpg", "--json")
    assert done.code == 1
    assert "no picture format" in json.loads(done.out)[0]["error"]
    assert done.err == "error: none of the 1 files could be embedded\n"


def test_one_space_can_be_embedded_alone(indexed):
    [row] = run("embed", indexed.photos / "one.jpg", "--space", "vgg16-conv/pool1", "--json").json
    assert {name: len(values) for name, values in row["vectors"].items()} == {"vgg16-conv/pool1/avg": 64}


def test_words_and_indexed_photos_need_no_model(indexed, tmp_path, monkeypatch):
    monkeypatch.setenv("MIRADOURO_MODELS_DIR", str(tmp_path))
    for question in (["--keyword", "street"], ["--text", "street"], ["--like", "one.jpg"]):
        assert _search(indexed, *question, "--offline")["hits"]
    assert run("stats", "--data", indexed.data).code == 0
    done = run("search", "--photo", indexed.photos / "one.jpg", "--data", indexed.data, "--offline")
    assert done.code == 1
    assert "miradouro models pull efficientnet-lite0 --precision int8" in done.err


def test_a_corrupt_model_file_is_never_loaded(indexed, models_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("MIRADOURO_MODELS_DIR", str(tmp_path))
    for manifest in INDEXED:
        kept = model_path(models_dir, manifest, manifest.precisions[0])
        for file in (kept, record_path(kept)):
            shutil.copy(file, tmp_path)
    model = model_path(tmp_path, find("efficientnet-lite0"), "int8")
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    for words in (
        ["search", "--photo", indexed.photos / "one.jpg", "--data", indexed.data],
        ["embed", indexed.photos / "one.jpg"],
    ):
        done = run(*words)
        assert done.code == 1
        assert str(model) in done.err
        assert "corrupt" in done.err
        assert "miradouro models pull efficientnet-lite0 --precision int8" in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--like", "nowhere.jpg"], "photo 'nowhere.jpg'"),
        (["--like", "one.jpg", "--limit", -1], "limit: -1; allowed: 1 to 1,000"),
        (["--like", "one.jpg", "--limit", 10**12], "limit: 1,000,000,000,000; allowed: 1 to 1,000"),
        (["--keyword", "street", "--collection", "trips"], "collection 'trips' does not exist; there is photos"),
        (["--keyword", "\udcff"], "keyword.words: '\\udcff' is not UTF-8"),
        (["--photo", "nowhere.jpg"], "photo: nowhere.jpg can't be read: No such file or directory"),
        (["--photo", "."], "photo: . can't be read: it is not a regular file"),
    ],
)
def test_a_wrong_question_exits_1_naming_the_field(indexed, words, message):
    done = run("search", *words, "--data", indexed.data, "--json")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: ")
    assert message in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the photo has 0 bytes"),
        (b"GIF89a" + bytes(64), "the photo is image/gif; convert it to JPEG, PNG, WebP or AVIF"),
        (jpeg(240, 200)[:-400], "the JPEG data ends after"),
    ],
)
def test_an_unreadable_example_is_refused_with_the_reason(indexed, tmp_path, content, message):
    (tmp_path / "example.jpg").write_bytes(content)
    done = run("search", "--photo", tmp_path / "example.jpg", "--data", indexed.data)
    assert done.code == 1
    assert done.err.startswith("error: photo: ")
    assert message in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "ask one of --keyword, --text, --photo, --like; none given, and nothing to list by: --filter, --sort or --facet"),
        (["--keyword", "a", "--text", "b"], "--keyword and --text given"),
        (["dog"], "'dog' belongs to no option; do you mean --keyword, or --text? see `miradouro search --help`"),
        (["--text", "a", "b"], "'b' belongs to no option; words for --text go into one pair of quotes"),
        (["--keyword", "a", "--server", "127.0.0.1:1", "--data", "x"], "--server and --data exclude each other"),
        (["--keyword", "a", "--server", ""], "'--server': '' is not host:port; for example 127.0.0.1:7350"),
        (["--keyword", "a", "--server", "127.0.0.1:65536"], "'--server': '127.0.0.1:65536' is not host:port"),
        (["--keyword", "a", "--server", "127.0.0.1:0"], "'--server': '127.0.0.1:0' is not host:port"),
        (["--keyword", "a", "--server", "nowhere"], "'--server': 'nowhere' is not host:port"),
        (["--keyword", "a", "--server", "http://127.0.0.1:7350"], "'--server': 'http://127.0.0.1:7350' is not host:port"),
        (["--keyword", "a", "--data", ""], "'--data': it is empty; name a folder"),
        (["--keyword", "a", "--all", "--limit", "5"], "--all and --limit exclude each other"),
        (["--filter", "tag:a", "b"], "'b' belongs to no option; a value of --filter goes into one pair of quotes"),
        (["--keyword", "a", "--sort", "newest"], "'newest' is not one of 'relevance', 'taken'"),
        (["--keyword", "a", "--limit", "many"], "'many' is not a valid integer"),
        (["--nonsense"], "No such option"),
        (["--keyword"], "Option '--keyword' requires an argument"),
    ],
)
def test_wrong_usage_exits_2_and_mentions_the_help(words, message):
    done = run("search", *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert message in done.err
    assert "miradouro search --help" in done.err


def test_a_folder_without_index_suggests_a_remedy(tmp_path):
    for words in (["search", "--keyword", "dog"], ["stats"]):
        done = run(*words, "--data", tmp_path / "nothing")
        assert done.code == 1
        assert "holds no index; index some photos into it first" in done.err
    assert not (tmp_path / "nothing").exists()


def test_an_unknown_command_error_suggests_the_intended_one():
    done = run("sarch", "--keyword", "dog")
    assert (done.code, done.err) == (2, "error: No such command 'sarch'. Did you mean 'search'? see `miradouro --help`\n")
    assert run("xyzzy").err == "error: No such command 'xyzzy'; see `miradouro --help`\n"


def test_an_empty_result_is_reported(indexed):
    assert run("search", "--text", "unheardof", "--data", indexed.data).out.startswith("no such photos, ")


def test_a_server_that_does_not_answer_is_named():
    done = run("search", "--keyword", "dog", "--server", "127.0.0.1:1")
    assert done.code == 1
    assert done.err.startswith("error: 127.0.0.1:1 can't be reached, or went away: ")
    assert "check that a server runs there" in done.err


@pytest.mark.parametrize("group", [[], ["models"], ["pipeline"]])
def test_a_command_without_its_subcommand_shows_usage(group):
    done = run(*group)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"Usage: {' '.join(['miradouro', *group])} ")
    assert done.err.count("--help") == 1


def test_help_lists_commands_without_network_libraries():
    done = run("--help")
    assert done.code == 0
    for name in ("index", "search", "embed", "stats", "up", "demo", "serve", "models", "pipeline"):
        assert f"\n  {name} " in done.out


def test_words_of_sidecars_and_names_steer_no_terminal(models_dir, tmp_path):
    assert models_dir.is_dir()
    title, photos, data = "\x1b]0;owned\x07", tmp_path / "photos", tmp_path / "data"
    make_photos(photos, [f"a{title}.jpg"])
    (photos / f"b{title}.jpg").write_bytes(b"no photo")
    (photos / f"a{title}.json").write_text(json.dumps({"caption": f"caption {title}", "tags": [f"tag {title}"], "owner": title}))
    (photos / f"b{title}.json").write_text(json.dumps({"taken_at": title}))
    commands = [
        run("index", photos, "--data", data),
        run("search", "--data", data, "--text", "caption", "--facet", "owner", "--facet", "tag"),
        run("search", "--data", data, "--like", title),
        run("search", "--data", data, "--filter", f"near:{title}"),
        run("failures", "--data", data),
        run("retry", "--data", data),
        run("embed", photos / f"a{title}.jpg", photos / f"a{title}.json"),
        run("embed", "--space", title, photos / f"a{title}.jpg"),
        run(title),
    ]
    for done in commands:
        assert all(one.isprintable() or one == "\n" for one in done.out + done.err)
    assert [done.code for done in commands] == [3, 0, 1, 1, 0, 1, 3, 1, 2]
    assert "caption \\x1b]0;owned\\x07" in commands[1].out
