"""What `miradouro pipeline simulate` prints."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta, timezone
from typing import TYPE_CHECKING, Any

from miradouro.core.document import Document
from miradouro.core.printable import printable
from miradouro.core.redaction import public_uri

if TYPE_CHECKING:
    from miradouro.ingest.simulation import Simulation

_FIRST_VALUES = 4


def simulation_json(simulation: "Simulation") -> dict[str, Any]:
    """The steps with their outcomes, faults of sidecars, the document with its vectors summarised, the failure; null for none."""
    error = simulation.error
    return {
        "steps": [
            {
                "name": run.name,
                "outcome": run.outcome.value,
                "took_ms": round(run.took_ms, 3),
                "error": run.error.message if run.error else None,
            }
            for run in simulation.steps
        ],
        "sidecars": [{"path": one.path, "reason": one.reason} for one in simulation.sidecars],
        "goes_to": simulation.goes_to,
        "failure": {"reason": simulation.reason, "message": error.message} if error else None,
        "document": _document(simulation.document) if simulation.document else None,
    }


def simulation_lines(simulation: Mapping[str, Any]) -> Iterator[str]:
    """The same for a person."""
    for step in simulation["steps"]:
        error = f": {step['error']}" if step["error"] else ""
        yield printable(f"{step['took_ms']:9.1f} ms  {step['name']}: {step['outcome']}{error}")
    for one in simulation["sidecars"]:
        yield printable(f"sidecar: {one['path']}: {one['reason']}")
    yield f"goes to {simulation['goes_to']}"
    for field, value in (simulation["document"] or {}).items():
        if field == "vectors":
            for space, one in value.items():
                first = " ".join(f"{number:.3f}" for number in one["first"])
                yield f"  {space}: {one['vectors']} x {one['dimension']}, begins {first}"
        elif field == "tags":
            tags = [f"{tag['label']} {tag['score']:.2f} ({tag['kind']})" for tag in value]
            yield printable(f"  tags: {', '.join(tags)}")
        else:
            yield printable(f"  {field}: {json.dumps(value, ensure_ascii=False)}")


def _document(document: Document) -> dict[str, Any]:
    taken = document.taken_at
    taken_at = None
    if taken is not None:
        offset = taken.utc_offset_minutes
        zone = None if offset is None else timezone(timedelta(minutes=offset))
        taken_at = (taken.instant.astimezone(zone) if zone else taken.instant.replace(tzinfo=None)).isoformat()
    return {
        "collection": document.collection,
        "photo_id": document.photo_id,
        "version": document.version,
        "uri": public_uri(document.uri),
        "media_type": document.media_type,
        "sha256": document.sha256,
        "perceptual_hash": document.perceptual_hash,
        "width": document.width,
        "height": document.height,
        "title": document.title,
        "caption": document.caption,
        "caption_is_generated": document.caption_is_generated,
        "tags": [{"label": tag.label, "score": tag.score, "kind": tag.kind.value} for tag in document.tags],
        "owner": document.owner,
        "attributes": dict(document.attributes),
        "place": {"lat": document.place.latitude, "lon": document.place.longitude} if document.place else None,
        "taken_at": taken_at,
        "vectors": {
            space: {
                "vectors": vectors.shape[0],
                "dimension": vectors.shape[1],
                "first": [round(float(number), 6) for number in vectors[0, :_FIRST_VALUES]],
                "provenance": document.provenances[space],
            }
            for space, vectors in document.vectors.items()
        },
    }
