"""Reads somebody else's photos in processes of their own: `pool` is the adapter, `process` and `child` are the two ends of it.

This package imports nothing by itself: the child processes load `child` and what that needs, which is `core` alone.
"""
