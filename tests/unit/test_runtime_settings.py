import io
import json
import sys
import urllib.request

import pytest
import structlog
from miradouro.core.errors import ConfigurationError
from miradouro.development.engines import free_ports
from miradouro.embedding.settings import EmbeddingSettings
from miradouro.runtime import logs
from miradouro.runtime.metrics import process_registry
from miradouro.runtime.metrics_endpoint import metrics_endpoint
from miradouro.runtime.settings import LogSettings, ServerSettings, load, table

from tests.waiting import WAIT_S


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("MIRADOURO_MAX_CALLS_PER_TOKEN", "3")
    monkeypatch.setenv("MIRADOURO_BUNDLES", "a, b,c")
    monkeypatch.setenv("MIRADOURO_PRECISION", "")
    assert load(ServerSettings).max_calls_per_token == 3
    assert load(EmbeddingSettings).bundles == ("a", "b", "c")
    assert load(EmbeddingSettings).precision == "int8"  # empty means the default


@pytest.mark.parametrize(
    ("name", "value", "settings"),
    [
        ("MIRADOURO_MAX_CALLS_PER_TOKEN", "many", ServerSettings),
        ("MIRADOURO_MAX_CALLS_PER_TOKEN", "0", ServerSettings),
        ("MIRADOURO_LOG_FORMAT", "xml", LogSettings),
        ("MIRADOURO_BUNDLES", " , ", EmbeddingSettings),
    ],
)
def test_a_wrong_setting_is_refused_with_its_name(monkeypatch, name, value, settings):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=rf"^{name}="):
        load(settings)


def test_every_setting_is_described():
    for row in table(ServerSettings, LogSettings, EmbeddingSettings):
        assert row.variable.startswith("MIRADOURO_")
        assert row.description.endswith(".")


def test_logs_are_json_lines_with_the_traceback_inside(monkeypatch):
    before, out = structlog.get_config(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    try:
        logs.configure(LogSettings(log_format="json", log_level="warning"))
        structlog.get_logger().info("too quiet")
        try:
            {}["x"]
        except KeyError:
            structlog.get_logger().exception("loud", photo="a\nb")
    finally:
        structlog.configure(**before)
    (line,) = out.getvalue().splitlines()
    entry = json.loads(line)
    assert (entry["event"], entry["level"], entry["photo"]) == ("loud", "error", "a\nb")
    assert "KeyError: 'x'" in entry["exception"]


def test_metrics_are_served_on_loopback_inside_the_block():
    with metrics_endpoint(process_registry(), f"127.0.0.1:{free_ports(1)[0]}") as address:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=WAIT_S) as reply:
            assert b"process_resident_memory_bytes" in reply.read()
        with pytest.raises(ConfigurationError, match=r"MIRADOURO_METRICS_LISTEN=.*can't listen"):
            metrics_endpoint(process_registry(), str(address)).__enter__()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://{address}/metrics", timeout=WAIT_S)


def test_metrics_are_off_unless_requested():
    with metrics_endpoint(process_registry(), "") as address:
        assert address is None
    with pytest.raises(ConfigurationError, match=r"MIRADOURO_METRICS_LISTEN='metrics:9464'.*no IP address"):
        metrics_endpoint(process_registry(), "metrics:9464").__enter__()
