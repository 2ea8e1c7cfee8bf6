"""`miradouro audit`: proves that the services did their work."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from miradouro.cli.options import json_option

if TYPE_CHECKING:
    from miradouro.ingest.audit.findings import Report, Violation

MAX_SEED = 2**31 - 1


@click.group()
def audit() -> None:
    """Prove that the index holds exactly the published photos."""


@audit.command()
@click.option(
    "--sample", type=click.IntRange(0), default=20, show_default=True, help="Photos whose vectors are made anew; 0: none."
)
@click.option("--seed", type=click.IntRange(0, MAX_SEED), help="Chooses those photos. Default: others each time.")
@click.option("--settled", is_flag=True, help="No record may wait: one that is not committed counts as lost too.")
@json_option
def events(*, sample: int, seed: int | None, settled: bool, as_json: bool) -> None:
    """Read every event and dead letter again, compare them with every document, and exit with 1 when an invariant is broken.

    I1: every committed event is in the index, known to be stale, or a dead letter. I2: each photo has one document, at its
    newest version; a deleted photo has a tombstone. I3: no offset is committed before everything before it is settled. I4: every
    record that is not an event has a dead letter. I5: the embedding service makes the stored vectors from the originals. Changes
    nothing, and may run beside the services. Takes about 150 bytes of temporary disk for every record; memory does not grow.
    """
    import secrets

    from miradouro.adapters.embedding_peer import EmbeddingPeerSettings
    from miradouro.adapters.grpc_embedder import GrpcEmbedder
    from miradouro.adapters.index_engines import SHARED_ENGINE, open_audited_index
    from miradouro.adapters.kafka import KafkaSettings
    from miradouro.adapters.photo_reader.reading import open_reading
    from miradouro.adapters.photo_reader.settings import ReadingSettings
    from miradouro.adapters.photo_store import PhotoStores, PhotoStoreSettings
    from miradouro.cli.output import write_json
    from miradouro.cli.progress import shown_steps
    from miradouro.ingest.audit.auditor import Audited
    from miradouro.ingest.audit.auditor import audit as prove
    from miradouro.runtime import logs
    from miradouro.runtime.settings import IndexSettings, LogSettings, load

    logs.configure(load(LogSettings))
    with (
        open_audited_index(load(IndexSettings).index or SHARED_ENGINE) as index,
        GrpcEmbedder(load(EmbeddingPeerSettings).embedding_address) as embedder,
        open_reading(load(ReadingSettings)) as reading,
        shown_steps() as show,
    ):
        audited = Audited(
            kafka=load(KafkaSettings),
            index=index,
            embedder=embedder,
            photo_store=PhotoStores(load(PhotoStoreSettings)),
            reading=reading,
            sample=sample,
            seed=secrets.randbelow(MAX_SEED) if seed is None else seed,
            settled=settled,
        )
        report = prove(audited, progress=show)
    if as_json:
        write_json(_json(report))
    else:
        for line in _lines(report):
            click.echo(line)
    if not report.holds:
        sys.exit(1)


def _json(report: "Report") -> dict[str, Any]:
    return {
        "holds": report.holds,
        "violations": [
            {
                "invariant": one.invariant,
                "name": one.name,
                "collection": one.collection,
                "photo_id": one.photo_id,
                "version": one.version,
                "partition": one.partition if one.partition >= 0 else None,
                "offset": one.offset if one.offset >= 0 else None,
                "message": one.message,
            }
            for one in report.violations
        ],
        "counts": dict(report.counts),
        "records": report.records,
        "events": report.events,
        "refused": report.refused,
        "waiting": report.waiting,
        "compacted": report.compacted,
        "dead_letters": report.dead_letters,
        "repeated_dead_letters": report.repeated,
        "photos": report.photos,
        "tombstones": report.tombstones,
        "sampled": report.sampled,
        "least_cosine": report.least_cosine,
        "seed": report.seed,
        "unproven": report.unproven,
        "unproven_count": report.unproven_count,
    }


def _lines(report: "Report") -> Iterator[str]:
    """The report for a person: violations, checks that were impossible, and counts."""
    from miradouro.core.printable import printable
    from miradouro.ingest.audit.findings import NAMES

    for name in (one for one in NAMES if one in report.counts):
        shown = [one for one in report.violations if one.name == name]
        yield f"{NAMES[name][0]} {name}: {NAMES[name][1]}"
        for one in shown:
            yield printable(f"    {_subject(one)}{one.message}")
        if (more := report.counts[name] - len(shown)) > 0:
            yield f"    and {more:,} more"
    for what in report.unproven:
        yield printable(f"not checked: {what}")
    if (more := report.unproven_count - len(report.unproven)) > 0:
        yield f"not checked: {more:,} more"
    yield (
        f"{report.records:,} records: {report.events:,} events, {report.refused:,} refused; {report.dead_letters:,} dead "
        f"letters, {report.repeated:,} of them again; {report.compacted:,} compacted away"
    )
    yield f"{report.photos:,} photos, {report.tombstones:,} tombstones; {report.waiting:,} records wait for the consumers"
    least = "" if report.least_cosine is None else f", least cosine {report.least_cosine:.6f}"
    yield f"vectors of {report.sampled:,} photos made anew{least} (seed {report.seed})"
    broken = sorted({NAMES[name][0] for name in report.counts})
    checked = "" if report.sampled and not report.unproven_count else ", as far as it was checked"
    yield f"every invariant holds{checked}" if report.holds else f"broken: {', '.join(broken)}"


def _subject(one: "Violation") -> str:
    photo = f"{one.collection}/{one.photo_id} version {one.version}" if one.photo_id else ""
    record = f"partition {one.partition}, offset {one.offset}" if one.offset >= 0 else ""
    subject = " at ".join(part for part in (photo, record) if part)
    return f"{subject}: " if subject else ""
