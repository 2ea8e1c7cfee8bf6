"""Reads untrusted photos in child processes: `pool` is the adapter, `process` its end of a connection, `child` the other end.

The package itself imports nothing: a child process loads only `child` and `core`.
"""
