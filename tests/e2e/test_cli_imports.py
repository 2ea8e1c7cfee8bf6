"""What a question in words imports: its start-up is most of what a person waits for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from miradouro.adapters.sqlite_index import SqliteIndex

from tests.photo_documents import COLLECTION, SPACES, photo

# Each takes 30 ms or more to import, on an idle machine, and a question in words needs none of them.
UNUSED = {
    "PIL", "asyncio", "fsspec", "grpc", "httpcore", "kafka", "multiprocessing", "onnx", "onnxruntime", "opensearchpy",
    "playwright", "prometheus_client", "pydantic_settings", "rich", "s3fs", "starlette", "structlog", "uvicorn", "yaml",
}  # fmt: skip
PROGRAM = """
import json, sys
from miradouro.cli.main import main
try:
    main(sys.argv[1:])
finally:
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with SqliteIndex.open(tmp_path / "data", writer=True) as index:
        index.ensure_collection(COLLECTION, spaces=SPACES)
        index.write([photo("a.jpg", title="a red boat")])
    return tmp_path / "data"


@pytest.mark.parametrize(
    "question", [["--text", "boat"], ["--keyword", "dog"], ["--filter", "tag:boat"]], ids=lambda words: words[0]
)
def test_a_question_in_words_imports_no_network_library(data: Path, question: list[str]) -> None:
    words = ["search", "--data", str(data), "--collection", COLLECTION, *question]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert ("a.jpg" in done.stdout) is (question[0] == "--text")
    assert UNUSED & set(json.loads(done.stderr.splitlines()[-1])) == set()
