"""Changes fields of stored photos at their version.

It writes whole documents: the cluster's partial updates take no external version.
"""

from collections.abc import Callable, Sequence
from typing import Any

from opensearchpy import OpenSearch

from miradouro.adapters.opensearch.client import JSON, reason_of, translated
from miradouro.adapters.opensearch.documents import check_is_whole, id_of
from miradouro.adapters.opensearch.generation import Generation
from miradouro.adapters.opensearch.writes import BulkWriter, Write
from miradouro.core.error_text import shown
from miradouro.core.errors import InvalidArgument, Overloaded, Unavailable
from miradouro.core.ports import WriteStatus

_PAGE = 500  # documents with all their vectors, 43 kB each in the standard spaces

# The changed fields of a live source, None when it stays as it is.
Change = Callable[[dict[str, Any]], dict[str, Any] | None]


def rewrite(
    client: OpenSearch,
    bulk: BulkWriter,
    generation: Generation,
    *,
    alias: str,
    collection: str,
    photo_ids: Sequence[str],
    change: Change,
) -> int:
    """Reads each live document and writes it again as a whole at the same version; returns the number of stored documents.

    Unknown, deleted and meanwhile newer photos stay as they are. Raises Unavailable, Overloaded, InvalidArgument; some may be
    stored then.
    """
    stored = 0
    for start in range(0, len(photo_ids), _PAGE):
        part = photo_ids[start : start + _PAGE]
        with translated():
            found = client.mget(index=generation.index, body={"ids": [id_of(collection, name) for name in part]})
        writes = []
        for name, one in zip(part, found["docs"], strict=True):
            if "error" in one:
                raise Unavailable(f"OpenSearch can't read {name!r} of {shown(collection)} now: {reason_of(one['error'])}")
            if not one["found"] or one["_source"]["deleted"] or (changed := change(one["_source"])) is None:
                continue
            check_is_whole(one["_source"], generation.spaces)
            source = JSON.dumps({**one["_source"], **changed})
            writes.append(Write(alias, one["_id"], one["_source"]["version"], source))
        for result in bulk.write(writes, version_type="external_gte"):
            if isinstance(result, InvalidArgument | Overloaded):
                raise result
            stored += result is WriteStatus.STORED
    return stored
