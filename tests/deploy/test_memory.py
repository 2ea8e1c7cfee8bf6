"""The memory limit of every container holds its process and, all at their own limit, the children that decode photos.

A container requests what its process takes by itself: the networks, what it holds of photos and questions.
"""

from pathlib import Path

import pytest
from miradouro.adapters.photo_reader.limits import ADDRESS_SPACE_BYTES, BUDGET_BYTES, MOST_PROCESSES

from tests.deploy.rendering import COMPONENTS, DEPLOY, OVERLAYS, SERVICES, Resource, main_containers, render, render_with
from tests.deploy.test_compose import MAIN, bytes_of

UP_MOST_BYTES = 1_229 * 2**20  # 1.2 GiB, whatever photos come
UP_RESTING_BYTES = (400 + MOST_PROCESSES * 45) * 2**20


def assert_room(resources: list[Resource]) -> None:
    for name, container in main_containers(resources).items():
        own, limit = (bytes_of(container.spec["resources"][kind]["memory"]) for kind in ("requests", "limits"))
        processes = int(container.environment["MIRADOURO_PHOTO_PROCESSES"])
        assert 1 <= processes <= MOST_PROCESSES
        assert own + processes * ADDRESS_SPACE_BYTES <= limit, name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_has_room_for_children(overlay: str) -> None:
    assert_room(render(DEPLOY / "overlays" / overlay))


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_alone_has_room_for_children(component: str, tmp_path: Path) -> None:
    assert_room(render_with(DEPLOY, tmp_path, component=component))


def test_compose_has_room_for_children() -> None:
    own = {
        name: bytes_of(one.spec["resources"]["requests"]["memory"])
        for name, one in main_containers(render(DEPLOY / "base")).items()
    }
    assert set(MAIN) == set(SERVICES)
    for name, service in MAIN.items():
        processes = int(service["environment"]["MIRADOURO_PHOTO_PROCESSES"])
        assert own[name] + processes * ADDRESS_SPACE_BYTES <= bytes_of(service["mem_limit"]), name


def test_one_machine_stays_within_its_bound() -> None:
    assert UP_RESTING_BYTES + BUDGET_BYTES <= UP_MOST_BYTES
