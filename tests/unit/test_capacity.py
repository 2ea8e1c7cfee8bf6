"""Plans: more never needs less, parts sum up, and what the arithmetic takes for granted is what the code does."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from miradouro.adapters.kafka import KafkaSettings
from miradouro.adapters.opensearch import OpenSearchSettings
from miradouro.adapters.opensearch.mapping import index_body
from miradouro.cli.plan import formatted
from miradouro.core.capacity import Demand, Figure, Plan, assumptions, plan, storage
from miradouro.core.capacity.demand import BITS
from miradouro.core.errors import InvalidArgument
from miradouro.core.spaces import Preset, Space, Storage, choose_spaces

from tests.networks import INDEXED

OFFERED = [space for manifest in INDEXED for space in manifest.described_spaces(manifest.precisions[0])]
DEFAULT = tuple(choose_spaces([], OFFERED, field="spaces"))
REPLICAS = "what the replicas cost of this"


def dummy(dimension: int, bundle: str = "vgg16-conv") -> Space:
    return Space(bundle, "layer", "", dimension, "0" * 64, preset=Preset.STANDARD, is_default_pooling=True)


@st.composite
def demands(draw: Callable[..., Any]) -> Demand:
    engine = draw(st.sampled_from(list(BITS)))
    photos = draw(st.integers(1, 10**12))
    return Demand(
        photos=photos,
        rate=draw(st.floats(0.01, 1e5)),
        spaces=tuple(draw(st.lists(st.sampled_from(OFFERED), min_size=1, unique_by=lambda space: space.name))),
        queries=draw(st.floats(0, 1e4)),
        replicas=draw(st.integers(0, 4)),
        collections=draw(st.integers(1, min(photos, 10_000))),
        engine=engine,
        precision=draw(st.sampled_from(["int8", "fp32"])),
        bits=draw(st.sampled_from(BITS[engine])),
        resident=draw(st.floats(0.01, 1)),
        shard_bytes=draw(st.floats(1e9, 1e11)),
        node_memory_bytes=draw(st.floats(4e9, 1e12)),
    )


def values(made: Plan) -> dict[tuple[str, str], float]:
    found = {(figure.group, figure.name): figure.value for figure in made.figures if figure.value is not None}
    assert len(found) == len(made.figures), "every figure has a value and a name of its own"
    return found


@given(demands(), st.floats(1, 100), st.sampled_from(["photos", "rate", "queries"]))
def test_a_larger_load_never_needs_less(demand: Demand, times: float, field: str) -> None:
    more = (
        {"photos": math.ceil(min(demand.photos * times, 10**13))}
        if field == "photos"
        else {field: getattr(demand, field) * times}
    )
    less, much = values(plan(demand)), values(plan(replace(demand, **more)))
    assert less.keys() == much.keys()
    # What replicas cost in whole nodes is a difference of two roundings; faster ingest is over sooner.
    allowed = {(REPLICAS, "data nodes"), ("ingest", "until all are in")}
    assert {name for name in less if much[name] < less[name] * (1 - 1e-9)} <= allowed


@given(demands())
def test_parts_sum_up_and_no_figure_is_negative(demand: Demand) -> None:
    made = plan(demand)
    found = values(made)
    assert all(math.isfinite(value) and value >= 0 for value in found.values())
    photo = {name: value for (group, name), value in found.items() if group == "one photo, in each copy"}
    assert photo.pop("disk") == pytest.approx(sum(value for name, value in photo.items() if name != "memory"))
    search = {name: value for (group, name), value in found.items() if group == "OpenSearch"}
    assert search["disk in all"] == pytest.approx(search["disk of the primaries"] + search["disk of the replicas"])
    assert search["disk to provide"] > search["disk in all"]
    assert search["shards in all"] == search["primary shards of a collection"] * demand.collections * (1 + demand.replicas)
    assert search["heap of a node"] <= min(31e9, demand.node_memory_bytes / 2)
    assert all(figure.formula and set(figure.sources) <= set(assumptions.SOURCES) for figure in made.figures)


@given(demands(), st.integers(1, 4))
def test_twice_the_replicas_cost_twice_as_much(demand: Demand, replicas: int) -> None:
    once, twice = (values(plan(replace(demand, replicas=count))) for count in (replicas, 2 * replicas))
    for name in (("OpenSearch", "disk of the replicas"), (REPLICAS, "disk to provide"), (REPLICAS, "memory")):
        assert twice[name] == pytest.approx(2 * once[name])
    none = values(plan(replace(demand, replicas=0)))
    assert none["OpenSearch", "disk of the replicas"] == none[REPLICAS, "data nodes"] == 0


@given(demands())
def test_data_nodes_hold_the_required_memory_and_disk(demand: Demand) -> None:
    search = {name: value for (group, name), value in values(plan(demand)).items() if group == "OpenSearch"}
    [cache] = {"page cache", "native memory"} & set(search)
    assert search["data nodes"] * search[f"{cache} of a node"] >= search[cache] * (1 - 1e-9)
    assert search["data nodes"] * demand.node_disk_bytes >= search["disk to provide"] * (1 - 1e-9)
    assert search["data nodes"] >= 1 + demand.replicas


@given(st.floats(0, 1e19), st.sampled_from(["B", "", "cores", "days"]))
def test_displayed_values_are_rounded_without_an_exponent(value: float, unit: str) -> None:
    text = formatted(Figure("group", "name", value, unit, "formula", ("ours",)))
    assert unit != "B" or text.split()[1] in {"B", "kB", "MB", "GB", "TB", "PB"}
    number = float(text.split()[0].replace(",", ""))
    size = {"kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15}.get(text.split()[-1], 1.0)
    assert number * size == pytest.approx(value, rel=0.05, abs=0.5 if unit == "" else 1e-300)
    assert "e+" not in text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(999.6e9, "B", "1 TB"), (999.4e9, "B", "999 GB"), (0.0, "B", "0 B"), (7.5, "B", "7.5 B"), (12_345.0, "B", "12.3 kB"),
     (99.7, "cores", "100"), (9.96, "cores", "10"), (0.25, "cores", "0.25"), (2.31, "days", "2.3 days"), (1_234.5, "", "1,234")],
)  # fmt: skip
def test_values_for_people_round_as_people_do(value: float, unit: str, text: str) -> None:
    assert formatted(Figure("group", "name", value, unit, "formula", ("ours",))) == text


def test_faiss_memory_matches_the_documentation() -> None:
    assert storage.faiss_bytes(256, m=16) * 1e6 == pytest.approx(1.267e9, rel=1e-3)  # its own example: a million vectors


def test_vectors_and_graphs_take_the_computed_bytes() -> None:
    floats = dummy(512)
    assert storage.vector_bytes(floats) == 2_048
    assert storage.vector_bytes(replace(floats, storage=Storage.INT8, clip=0.2)) == 512
    # Three vectors: lists of two neighbours below 128, a byte of length each, an offset of two bytes, upper lists for 1 of 15.
    assert storage.graph_bytes(3) == pytest.approx(1 + 2 + 0.25 * 0.5 + 2 + (1 / 15) * (1 + 2 + 0.25 * 0.5 + 1 + 2))
    # Differences of 31 neighbours among 10^8 mostly take three bytes, among 10^3 mostly one.
    assert 31 * 1.25 < storage.graph_bytes(1_000) < 31 * 1.5 + 8
    assert 31 * 3.25 < storage.graph_bytes(1e8) < 31 * 3.6 + 8


@given(st.integers(1, 10**9), st.floats(2, 32))
def test_graphs_grow_with_links_and_vectors(vectors: int, links: float) -> None:
    assert storage.graph_bytes(vectors, links=links) <= storage.graph_bytes(vectors + 1, links=links) + 1e-9
    assert storage.graph_bytes(vectors, links=links / 2) <= storage.graph_bytes(vectors, links=links) + 1e-9


def test_dimensions_come_from_the_spaces() -> None:
    demand = Demand(10**6, 1, (dummy(10),))
    assert values(plan(demand))["one photo, in each copy", "vectors"] == 40
    regions = next(space for space in OFFERED if space.regions)
    found = values(plan(Demand(10**6, 1, (regions,))))["one photo, in each copy", "vectors"]
    assert found == regions.dimension * len(regions.regions), "codes"


def test_quantised_vectors_need_less_memory_and_more_disk() -> None:
    plain, small = (values(plan(Demand(10**8, 10, DEFAULT, bits=bits))) for bits in (32, 8))
    assert small["OpenSearch", "page cache"] < 0.6 * plain["OpenSearch", "page cache"]
    assert small["OpenSearch", "disk in all"] > 1.1 * plain["OpenSearch", "disk in all"]


def test_questions_visit_the_shards_of_one_collection() -> None:
    one, many = (values(plan(Demand(10**9, 10, DEFAULT, collections=count))) for count in (1, 100))
    assert many["OpenSearch", "cores for questions"] == pytest.approx(one["OpenSearch", "cores for questions"] / 100, rel=0.2)


def test_gpus_are_unknown_until_their_speed_is_given() -> None:
    unknown = plan(Demand(10**6, 100, DEFAULT, gpu="A10"))
    assert unknown.value("embedding", "GPUs") is None
    assert "--gpu-rate" in next(figure.formula for figure in unknown.figures if figure.name == "GPUs")
    assert plan(Demand(10**6, 90, DEFAULT, gpu="A10", gpu_rate=10)).value("embedding", "GPUs") == math.ceil(100 / 7)


def test_an_unmeasured_network_needs_its_rate() -> None:
    demand = Demand(10**6, 70, (dummy(10, "mine"),), queries=0)
    with pytest.raises(InvalidArgument, match="cpu_rate: mine in int8 was never measured"):
        plan(demand)
    assert plan(replace(demand, cpu_rate=10)).value("embedding", "cores") == pytest.approx(10)


def test_the_tagger_runs_without_any_space() -> None:
    spaces = tuple(space for space in DEFAULT if space.bundle == "vgg16-conv")
    alone, tagged = (plan(Demand(10**6, 100, spaces, tagger=name)) for name in ("", "efficientnet-lite0"))
    assert tagged.value("embedding", "cores") > alone.value("embedding", "cores")


@pytest.mark.parametrize(
    "wrong",
    [
        {"photos": 0}, {"photos": 10**14}, {"rate": 0}, {"rate": -1}, {"rate": math.nan}, {"rate": math.inf}, {"queries": -1},
        {"queries": math.nan}, {"replicas": -1}, {"replicas": 17}, {"collections": 0}, {"collections": 11}, {"engine": "nmslib"},
        {"bits": 7}, {"bits": 1}, {"resident": 0}, {"resident": 1.1}, {"resident": math.nan}, {"cpu_rate": 0}, {"gpu_rate": 5},
        {"gpu": "A10", "gpu_rate": -5}, {"shard_bytes": 1}, {"node_memory_bytes": 1e9}, {"node_disk_bytes": 0},
        {"node_cores": 0}, {"spaces": ()}, {"spaces": (DEFAULT[0], DEFAULT[0])},
    ],
    ids=str,
)  # fmt: skip
def test_an_impossible_plan_is_refused_by_option_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Demand(**{"photos": 10, "rate": 1, "spaces": DEFAULT, **wrong})
    assert caught.value.field in wrong


def test_the_assumptions_of_the_arithmetic_match_the_code() -> None:
    body = index_body(DEFAULT, root="", settings=OpenSearchSettings())
    methods = [
        (field["properties"]["vector"] if field["type"] == "nested" else field)["method"]
        for field in body["mappings"]["properties"].values()
        if field.get("type") in {"knn_vector", "nested"}
    ]
    assert {method["parameters"]["m"] for method in methods} == {storage.M}
    assert len(methods) == len(DEFAULT)
    assert KafkaSettings.model_fields["kafka_partitions"].default == assumptions.LEAST_PARTITIONS
    limits = OpenSearchSettings.model_fields["opensearch_shards"].metadata
    assert assumptions.MAX_SHARDS in [getattr(limit, "le", None) for limit in limits]
    measured = {(manifest.name, precision) for manifest in INDEXED for precision in manifest.precisions}
    assert measured == set(assumptions.EMBED_RATES)
