"""An error that stops every photo ends `miradouro serve ingest` with one line, and loses nothing."""

import signal
from pathlib import Path

import pytest
from miradouro.core.event import EventKind, PhotoEvent

from tests.certificates import token, write_secret
from tests.e2e.command import START_S
from tests.e2e.many_machines import deployed, eventually
from tests.pictures import jpeg


@pytest.mark.usefixtures("models_dir")
def test_a_consumer_with_a_refused_token_ends(kafka: str, opensearch: str, tmp_path: Path) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    for path in (right, wrong):
        write_secret(path, token())
    with deployed(kafka, opensearch) as here:
        here.environment["MIRADOURO_TOKEN_FILE"] = str(right)
        embedding = here.start("embedding")
        here.environment |= {"MIRADOURO_EMBEDDING_ADDRESS": embedding.address, "MIRADOURO_TOKEN_FILE": str(wrong)}
        refused = here.start("ingest", log=tmp_path / "log")
        here.publish(PhotoEvent("e", EventKind.UPLOADED, "photos", "a.jpg", 1, data=jpeg()))
        refused.process.communicate(timeout=START_S)
        assert refused.process.returncode == 1
        last = (tmp_path / "log").read_text().splitlines()[-1]
        assert last.startswith("error: ")
        assert "MIRADOURO_TOKEN_FILE" in last
        assert "Traceback" not in (tmp_path / "log").read_text()
        assert here.dead_letters.list(limit=10)[0] == [], "it is no fault of the photo"

        here.environment["MIRADOURO_TOKEN_FILE"] = str(right)
        ingest = here.start("ingest")
        eventually("the event that was refused is stored", lambda: here.versions("photos") == {"a.jpg": (1, False)})
        assert ingest.end(signal.SIGTERM) == 0
