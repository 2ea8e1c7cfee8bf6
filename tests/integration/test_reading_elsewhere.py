"""Photos are decoded, and their metadata read, in child processes alone."""

import ast
from pathlib import Path

import miradouro

READS = {
    "miradouro.core.decode": "decode",
    "miradouro.core.metadata": "read_metadata",
    "miradouro.core.metadata.read": "read_metadata",
    "miradouro.core.thumbnail": "thumbnail",
}
SOURCE = Path(miradouro.__file__).parent
CHILD = SOURCE / "adapters" / "photo_reader" / "work.py"


def readers(path: Path) -> set[str]:
    """The functions that read photos and that a module imports, or reaches by their module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if READS.get(node.module or "") == alias.name or f"{node.module}.{alias.name}" in READS
    }
    whole = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names if alias.name in READS}
    return named | whole


def test_only_the_child_reads_photos() -> None:
    found = {path.relative_to(SOURCE) for path in SOURCE.rglob("*.py") if path.parent.name != "v1" and readers(path)}
    outside = {path for path in found if path.parts[0] != "core"}
    assert outside == {CHILD.relative_to(SOURCE)}


def test_the_child_imports_core_alone() -> None:
    rooms = {
        (node.module or "").split(".")[1]
        for name in ("child.py", "work.py", "frames.py", "__init__.py")
        for node in ast.walk(ast.parse((CHILD.parent / name).read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("miradouro.")
        if not (node.module or "").startswith("miradouro.adapters.photo_reader.")
    }
    assert rooms == {"core"}
