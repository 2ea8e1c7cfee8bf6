"""The files beside a photo that describe it.

    names ─► pairing ─► own | takeout | xmp ─► one DescribedBeside

`docs/metadata.md` lists which files are read, in which order, and what is not.
"""
