"""The engines that other tests talk to: real ones, with what the index needs."""

import json
import os
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from tests.e2e.command import COMMAND, run


def test_kafka_answers_its_clients(kafka: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    try:
        assert admin.describe_cluster()["brokers"]
    finally:
        admin.close()


def test_opensearch_has_the_knn_plugin(opensearch: str) -> None:
    with urllib.request.urlopen(f"{opensearch}/_nodes/plugins") as answer:
        [node] = json.load(answer)["nodes"].values()
    assert "org.opensearch.knn.plugin.KNNPlugin" in {plugin["classname"] for plugin in node["plugins"]}


@pytest.mark.usefixtures("jdk")
def test_the_command_runs_engines_until_it_is_ended(tmp_path: Path) -> None:
    command = [COMMAND, "dev", "engines", "--no-opensearch", "--brokers", "2", "--folder", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as running:
        assert running.stdout is not None
        line = running.stdout.readline()
        bootstrap = line.split("MIRADOURO_TEST_KAFKA=")[1].strip()
        admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        brokers = admin.describe_cluster()["brokers"]
        admin.close()
        running.send_signal(signal.SIGTERM)
    assert (running.returncode, len(brokers)) == (0, 2)
    assert "Kafka Server started" in next(tmp_path.rglob("log.txt")).read_text()


def test_to_run_no_engine_is_refused(tmp_path: Path) -> None:
    done = run("dev", "engines", "--no-kafka", "--no-opensearch", "--folder", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "leave out --no-kafka or --no-opensearch" in done.err
