"""Photoshop's image resources ("Image Resource Blocks" of its file format), one of which holds IPTC-IIM."""

from miradouro.core.metadata.bounds import MAX_RESOURCES

_IPTC = 0x0404
_SIGNATURES = frozenset({b"8BIM", b"PHUT", b"DCSR", b"AgHg", b"MeSa"})  # the latter four by other programs


def iptc_resource(resources: bytes) -> bytes:
    """The IPTC-IIM datasets among `resources`, empty when there are none."""
    at = 0
    for _ in range(MAX_RESOURCES):
        if resources[at : at + 4] not in _SIGNATURES or at + 7 > len(resources):
            break
        kind = int.from_bytes(resources[at + 4 : at + 6], "big")
        name_bytes = 1 + resources[at + 6]
        at += 6 + name_bytes + name_bytes % 2
        size = int.from_bytes(resources[at : at + 4], "big")
        if kind == _IPTC:
            return resources[at + 4 : at + 4 + size]
        at += 4 + size + size % 2
    return b""
