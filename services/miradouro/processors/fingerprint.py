"""Computes the fingerprints that identify copies of a photo: the SHA-256 of its bytes and a hash of its pixels."""

from dataclasses import replace

from miradouro.core.errors import BadPhoto
from miradouro.core.fingerprint import GEOMETRY, perceptual_hash, sha256
from miradouro.core.pipeline import PhotoInProgress
from miradouro.processors.plugin import Context, ProcessorOptions, need


class FingerprintOptions(ProcessorOptions):
    """`fingerprint` has no options."""


class Fingerprint:
    """Fills `sha256` and `perceptual_hash`. Raises BadPhoto (sha256_mismatch) when the event states another SHA-256."""

    Options = FingerprintOptions

    def __init__(self, options: FingerprintOptions, context: Context) -> None:
        del options, context

    def __call__(self, photo: PhotoInProgress) -> PhotoInProgress:
        """The photo with both fingerprints."""
        data = need(photo.data, "fingerprint", "the photo's bytes", "fetch")
        decoded = need(photo.decoded, "fingerprint", "the photo's pixels", "decode")
        found = photo.sha256 or sha256(data)
        if photo.event.sha256 not in {"", found}:
            raise BadPhoto(
                "sha256_mismatch", f"the event says sha256 {photo.event.sha256}, the bytes have {found}; send it again"
            )
        return replace(photo, sha256=found, perceptual_hash=perceptual_hash(decoded.tensors[GEOMETRY]))
