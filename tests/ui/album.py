"""The photos that the page is tried with, one of them with texts that would be markup if anybody let them."""

import json
from pathlib import Path

from tests.pictures import jpeg

EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"
EVIL_FILE = "<img src=x onerror=alert(3)>'\"&%2f.jpg"
NAMES = [f"trip/{number:02d}.jpg" for number in range(60)]


def fill(folder: Path) -> Path:
    """Sixty photos with the tag `trip`, the first two with captions, and the evil one."""
    for seed, name in enumerate([*NAMES, EVIL_FILE]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(320, 240, seed=seed, quality=95))
        path.with_suffix(".json").write_text(json.dumps(sidecar(name)))
    return folder


def sidecar(name: str) -> dict[str, object]:
    """What a person wrote about a photo."""
    if name == EVIL_FILE:
        return {"title": EVIL, "caption": f"evil {EVIL}", "tags": [EVIL, "evil"]}
    captions = {NAMES[0]: "Waves at the lighthouse", NAMES[1]: "A quiet street"}
    return {"tags": ["trip"], **({"caption": captions[name]} if name in captions else {})}
