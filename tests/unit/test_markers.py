"""Markers follow from fixtures: a test cannot use an engine without the marker `engines`."""

import pytest

from tests import engine_processes


@pytest.mark.parametrize("address", [engine_processes.kafka, engine_processes.opensearch])
def test_no_engine_without_the_marker(address):
    with pytest.raises(RuntimeError, match="marker `engines`"):
        address()


def test_a_fixture_of_an_engine_brings_the_marker(request, pytestconfig):
    [plugin] = [one for one in pytestconfig.pluginmanager.get_plugins() if hasattr(one, "MARKED_BY")]
    item = request.node
    item.fixturenames.append("jdk")
    plugin.pytest_collection_modifyitems([item])
    assert item.get_closest_marker("engines")
    assert not item.get_closest_marker("browser")
