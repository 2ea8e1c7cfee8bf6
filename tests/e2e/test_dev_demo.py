"""`miradouro dev demo`: the whole of many machines, held against the embedded index."""

import re

import pytest
from kafka import KafkaConsumer
from miradouro.adapters.opensearch import OpenSearchSettings
from miradouro.adapters.opensearch.client import connect

from tests.e2e.command import run


@pytest.mark.usefixtures("models_dir")
def test_forty_answers_agree_and_nothing_of_it_stays(kafka: str, opensearch: str) -> None:
    done = run("dev", "demo", "--kafka", kafka, "--opensearch", opensearch)
    assert done.code == 0, done.out + done.err
    kinds = re.findall(r"^(keyword|text|photo|region) .* agrees: ", done.out, re.M)
    assert {kind: kinds.count(kind) for kind in kinds} == {"keyword": 10, "text": 10, "photo": 10, "region": 10}
    assert done.out.splitlines()[-1] == "40 of 40 answers agree; the audit holds"
    processes = re.findall(r"^(embedding|ingest|query) service: process (\d+) on ", done.out, re.M)
    assert [name for name, _ in processes] == ["embedding", "ingest", "query"]
    assert len({pid for _, pid in processes}) == 3
    [photos, gone] = re.findall(r"^the audit: (\d+) photos, (\d+) tombstones, 1 dead letters$", done.out, re.M)[0]
    assert int(photos) > 40
    assert int(gone) >= 3
    consumer = KafkaConsumer(bootstrap_servers=kafka)
    assert [topic for topic in consumer.topics() if topic.startswith("miradouro-demo-")] == []
    consumer.close()
    client = connect(OpenSearchSettings(opensearch_url=opensearch))
    assert client.indices.get_alias(index="miradouro-demo-*") == {}
    client.close()


def test_both_engines_are_to_be_named() -> None:
    done = run("dev", "demo", "--kafka")
    assert done.code == 2
    assert "--opensearch" in done.err


def test_an_unwritable_samples_folder_ends_the_demo() -> None:
    done = run("dev", "demo", "--kafka", "127.0.0.1:1", "--opensearch", "http://127.0.0.1:1", "--folder", "/proc/nowhere")
    assert done.code == 1
    assert done.err.startswith("error: /proc/nowhere/photos: the sample photos can't be written")
