"""The files beside a photo that describe it.

    names ─► pairing ─► own | takeout | xmp ─► one Beside

`docs/metadata.md` lists the files that are read, in order, and those that are not.
"""
