"""Names of photos in any Unicode form: a Mac writes `é` as two characters, other systems as one, and both mean the same file.

A photo id keeps the form of the file's name, because the file is opened by it. Names are compared in NFC (Unicode Annex 15).
"""

import unicodedata

from miradouro.core.errors import NotFound
from miradouro.core.ports import PhotoIndex
from miradouro.core.query import MAX_LIMIT, After, EverythingClause, FileNamePrefix, IndexQuery

_MAX_PAGES = 10  # of photos whose file names begin with the wanted name


def nfc(text: str) -> str:
    """`text` with every character composed as far as it can be."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def file_name_of(photo_id: str) -> str:
    """The last part of a photo id, in NFC: what an index stores as its file name."""
    return nfc(photo_id.rpartition("/")[2])


def stored_photo_id(index: PhotoIndex, collection: str, photo_id: str) -> str:
    """`photo_id` itself where the index holds it, else the first id that differs from it in Unicode form alone.

    Raises NotFound (collection, photo). An id in ASCII has one form and is returned unchecked.
    """
    if photo_id.isascii():
        return photo_id
    try:
        return index.get(collection, photo_id).photo_id
    except NotFound:
        found = _equivalent(index, collection, photo_id)
        if found is None:
            raise
        return found


def _equivalent(index: PhotoIndex, collection: str, photo_id: str) -> str | None:
    wanted, after = nfc(photo_id), None
    for _ in range(_MAX_PAGES):
        query = IndexQuery(
            collection,
            EverythingClause(),
            (FileNamePrefix(file_name_of(photo_id)),),
            limit=MAX_LIMIT,
            with_documents=False,
            after=after,
        )
        matches = index.search(query).matches
        for match in matches:
            if nfc(match.photo_id) == wanted:
                return match.photo_id
        if len(matches) < MAX_LIMIT:
            break
        after = After(matches[-1].photo_id)
    return None
