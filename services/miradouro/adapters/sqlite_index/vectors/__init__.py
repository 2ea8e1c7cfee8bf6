"""A vector engine without SQL: it keeps vectors in memory-mapped segments, and searches them exactly or by HNSW.

`index.VectorIndex` adds, searches, seals and merges the vectors of one space. It sees the database through the Protocol
`changelog.Changelog` alone. The database is the truth: every file here can be rebuilt from it.
"""
