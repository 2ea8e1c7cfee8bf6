"""The ingest service's answers on learned keywords."""

from collections.abc import Iterable

from miradouro.core.keywords import Keyword, KeywordHead
from miradouro.ingest.keywords.learner import KeywordProgress, KeywordReport
from miradouro.v1 import ingest_service_pb2


def learn_response(message: KeywordProgress | KeywordReport, collection: str) -> ingest_service_pb2.LearnKeywordsResponse:
    """One message of the stream; the report is the last one."""
    if isinstance(message, KeywordProgress):
        return ingest_service_pb2.LearnKeywordsResponse(progress=_progress(message))
    return ingest_service_pb2.LearnKeywordsResponse(report=report_of(message, collection))


def remove_response(message: KeywordProgress | KeywordReport, collection: str) -> ingest_service_pb2.RemoveKeywordsResponse:
    """One message of the stream; the report is the last one."""
    if isinstance(message, KeywordProgress):
        return ingest_service_pb2.RemoveKeywordsResponse(progress=_progress(message))
    return ingest_service_pb2.RemoveKeywordsResponse(report=report_of(message, collection))


def report_of(report: KeywordReport, collection: str) -> ingest_service_pb2.KeywordReport:
    """The report on the keywords of a collection."""
    message = ingest_service_pb2.KeywordReport(collection=collection) if report.head is None else described(report.head)
    del message.keywords[:]
    message.keywords.extend(_keywords(report.keywords))
    message.left_out.extend(report.left_out)
    message.photos, message.top1 = report.photos, report.top1
    message.without_vectors, message.changed = report.without_vectors, report.changed
    return message


def described(head: KeywordHead) -> ingest_service_pb2.KeywordReport:
    """Learned keywords with their quality in cross-validation."""
    return ingest_service_pb2.KeywordReport(
        collection=head.collection,
        space=head.space,
        provenance=head.provenance,
        hidden=head.hidden,
        wanted_precision=head.wanted_precision,
        photos=head.photos,
        top1=head.top1,
        keywords=_keywords(head.keywords),
    )


def _keywords(keywords: Iterable[Keyword]) -> list[ingest_service_pb2.Keyword]:
    return [
        ingest_service_pb2.Keyword(
            label=one.label, photos=one.photos, precision=one.precision, recall=one.recall, threshold=one.threshold
        )
        for one in keywords
    ]


def _progress(progress: KeywordProgress) -> ingest_service_pb2.KeywordProgress:
    return ingest_service_pb2.KeywordProgress(done=progress.done, changed=progress.changed)
