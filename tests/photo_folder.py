"""Folders of photos as tests make them, and the reports about them."""

import json
from pathlib import Path

from miradouro.v1.ingest_service_pb2 import FolderReport

from tests.ingest_fixture import age


def write(path: Path, data: bytes | dict[str, object], *, seconds_ago: int = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(json.dumps(data).encode() if isinstance(data, dict) else data)
    age(path, seconds=seconds_ago)
    return path


def counts(report: FolderReport) -> tuple[int, int, int, int, int]:
    """indexed, unchanged, deleted, ignored, failed"""
    return report.indexed, report.unchanged, report.deleted, report.ignored, len(report.failed)


def reasons(report: FolderReport) -> dict[str, str]:
    return {failure.path: failure.reason for failure in report.failed}
