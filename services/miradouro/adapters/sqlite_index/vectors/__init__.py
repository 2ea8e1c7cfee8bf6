"""A vector engine: segments of vectors in memory-mapped files, derived from a changelog and searched exactly or by HNSW."""
