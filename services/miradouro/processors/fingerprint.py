"""Bytes and pixels to the numbers by which copies are known."""

from dataclasses import replace

from miradouro.core.errors import BadPhoto
from miradouro.core.fingerprint import GEOMETRY, perceptual_hash, sha256
from miradouro.core.pipeline import Draft
from miradouro.processors.plugin import Context, ProcessorOptions, need


class FingerprintOptions(ProcessorOptions):
    """`fingerprint` has no options."""


class Fingerprint:
    """Fills `sha256` and `perceptual_hash`. Raises BadPhoto (sha256_mismatch) when the event told another hash."""

    Options = FingerprintOptions

    def __init__(self, options: FingerprintOptions, context: Context) -> None:
        del options, context

    def __call__(self, draft: Draft) -> Draft:
        """The draft with both fingerprints."""
        data, decoded = draft.data, draft.decoded
        need(data is not None and decoded is not None, "fingerprint", "the photo's bytes and pixels", "fetch and decode")
        assert data is not None
        assert decoded is not None
        found = sha256(data)
        if draft.event.sha256 not in {"", found}:
            raise BadPhoto(
                "sha256_mismatch", f"the event says sha256 {draft.event.sha256}, the bytes have {found}; send it again"
            )
        return replace(draft, sha256=found, perceptual_hash=perceptual_hash(decoded.tensors[GEOMETRY]))
