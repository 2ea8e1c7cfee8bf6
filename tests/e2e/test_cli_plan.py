"""`miradouro plan`: figures for people and programs, refusals that name the option, the documentation's example word by word."""

import re
import shlex

import pytest

from tests.documentation import TEXT
from tests.e2e.command import run

SMALL = ("plan", "--photos", "2e6", "--rate", "5")


def figures(*words: object) -> dict[str, float | None]:
    report = run(*SMALL, *words, "--json").json
    return {f"{figure['group']}: {figure['name']}": figure["value"] for figure in report["figures"]}


def test_every_figure_has_a_formula_and_source():
    report = run(*SMALL, "--json").json
    assert report["demand"]["photos"] == 2_000_000
    assert {space["name"] for space in report["demand"]["spaces"]} >= {"efficientnet-lite0/features", "vgg16-conv/pool5/regions"}
    assert all(figure["formula"] and figure["sources"] for figure in report["figures"])
    assert {source for figure in report["figures"] for source in figure["sources"]} == set(report["sources"])
    lines = run(*SMALL).out.splitlines()
    for figure in report["figures"]:
        assert any(figure["name"] in line and f"{figure['formula']} [" in line for line in lines), figure
    assert {name for name, text in report["sources"].items() if not any(name in line and text in line for line in lines)} == set()


def test_regions_and_spaces_are_chosen():
    all_of_them, whole = figures("--regions"), figures("--no-regions")
    assert all_of_them == figures()
    vectors = "one photo, in each copy: vectors"
    assert all_of_them[vectors] == 512 + 14 * 256 + 4 * (1_280 + 64 + 128 + 256 + 512 + 512)
    assert whole[vectors] == 512 + 4 * (1_280 + 64 + 128 + 256 + 512 + 512)
    assert figures("--spaces", "vgg16-conv/pool5, efficientnet-lite0/features")[vectors] == 4 * (512 + 1_280)
    assert whole["OpenSearch: data nodes"] < all_of_them["OpenSearch: data nodes"]
    lean = figures("--spaces", "lean")
    assert figures("--spaces", "lean,filters/colour")[vectors] == lean[vectors] + 4 * 162
    assert figures("--spaces", "laboratory")[vectors] > all_of_them[vectors], "public networks are not among them: unmeasured"


def test_replicas_engine_and_machines_change_the_cluster():
    once, twice = figures(), figures("--replicas", 2)
    disk = "OpenSearch: disk of the replicas"
    assert twice[disk] == pytest.approx(2 * once[disk])
    assert figures("--node-memory", 128)["OpenSearch: data nodes"] < once["OpenSearch: data nodes"]
    assert figures("--in-memory", 0.5)["OpenSearch: page cache"] == pytest.approx(once["OpenSearch: page cache"] / 2)
    assert "OpenSearch: native memory" in figures("--engine", "faiss")
    assert "faiss was never run by the makers" in run(*SMALL, "--engine", "faiss").out


def test_node_cores_and_precision_change_the_plan():
    busy = ("--queries", 1_000)
    assert figures(*busy, "--node-cores", 2)["OpenSearch: data nodes"] > figures(*busy)["OpenSearch: data nodes"]
    assert figures("--precision", "fp32")["embedding: cores"] > figures("--precision", "int8")["embedding: cores"]


def test_a_gpu_without_a_rate_is_unknown():
    assert figures("--gpu", "A10")["embedding: GPUs"] is None
    assert re.search(r"GPUs +\? +unknown: .* give --gpu-rate", run(*SMALL, "--gpu", "A10").out)
    assert figures("--gpu", "A10", "--gpu-rate", 1_000)["embedding: GPUs"] == 2


def test_more_shards_than_allowed_are_reported():
    assert "MIRADOURO_OPENSEARCH_SHARDS" in run("plan", "--photos", "10e9", "--rate", "5").out
    assert "MIRADOURO_OPENSEARCH_SHARDS" not in run("plan", "--photos", "10e9", "--rate", "5", "--collections", "1000").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--photos", "0"], "--photos: 0 makes no plan; allowed: 1 to"),
        (["--photos", "-5"], "--photos: -5 makes no plan"),
        (["--photos", "1.5"], "--photos: 1.5 is no whole number"),
        (["--photos", "nan"], "--photos: nan is no whole number"),
        (["--photos", "inf"], "--photos: inf is no whole number"),
        (["--photos", "many"], "'many' is not a valid float"),
        (["--rate", "0"], "--rate: 0 makes no plan; allowed: more than 0"),
        (["--rate", "-1"], "--rate: -1 makes no plan"),
        (["--queries", "-1"], "--queries: -1 makes no plan"),
        (["--spaces", "vgg16-conv/pool9"], "--spaces: 'vgg16-conv/pool9' is not a known space; allowed: efficientnet-lite0/"),
        (["--spaces", ""], "--spaces: '' is not a known space"),
        (["--spaces", "vgg16-conv/pool5/regions", "--no-regions"], "--spaces: none is left"),
        (["--replicas", "-1"], "--replicas: -1 makes no plan; allowed: 0 to 16"),
        (["--collections", "2e6"], "'2e6' is not a valid integer"),
        (["--collections", "3000000"], "--collections: 3e+06 makes no plan; allowed: 1 to the number of photos"),
        (["--engine", "nmslib"], "'nmslib' is not one of 'lucene', 'faiss'"),
        (["--bits", "1"], "--bits: 1: the engine lucene offers 32, 8"),
        (["--in-memory", "80"], "--in-memory: 80 makes no plan; allowed: a share"),
        (["--gpu-rate", "100"], "--gpu-rate: it is the speed of a GPU, and no GPU is named"),
        (["--gpu", "A10", "--gpu-rate", "0"], "--gpu-rate: 0 makes no plan"),
        (["--cpu-rate", "-2"], "--cpu-rate: -2 makes no plan"),
        (["--shard-size", "0"], "--shard-size: 0 makes no plan; allowed: 1 GB to"),
        (["--node-memory", "1"], "--node-memory: 1e+09 makes no plan; allowed: 4 GB"),
        (["--node-cores", "0"], "--node-cores: 0 makes no plan; allowed: 1 to"),
        (["--precision", "fp16"], "'fp16' is not one of 'int8', 'fp32'"),
        (["--node-disk", "nan"], "--node-disk: nan makes no plan"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_nonsense_is_refused_by_option_name(words, message):
    done = run(*SMALL, *words)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.rstrip().endswith("see `miradouro plan --help`")


def test_photos_and_rate_are_required():
    done = run("plan")
    assert (done.code, done.err.startswith("error: Missing option '--photos'")) == (2, True)


def test_the_readme_shows_the_commands_output():
    examples = re.findall(r"^```sh\n(miradouro plan [^\n]*)\n```\n+```text\n(.*?)^```", TEXT, re.M | re.S)
    assert examples
    for command, printed in examples:
        done = run(*shlex.split(command)[1:])
        assert (done.code, done.out) == (0, printed)


def test_the_readmes_capacity_figures_match_the_command():
    [base] = re.findall(r"computed, by `miradouro (plan --photos 10e9 [^`]*)`", TEXT)
    [table] = re.findall(r"^\| what changes \| options .*?\n\n", TEXT, re.M | re.S)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[2:]]
    assert len(rows) >= 5
    for _, options, *expected in rows:
        printed = run(*shlex.split(base), *shlex.split(options.strip("`"))).out
        names = ("disk to provide", "page cache|native memory", "data nodes", "cores for questions")
        found = [re.search(rf"^ +(?:{name}) +(\S+(?: [kMGTP]?B)?) ", printed, re.M) for name in names]
        assert expected == [match and match.group(1) for match in found], options
