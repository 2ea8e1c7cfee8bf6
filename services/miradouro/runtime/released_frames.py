"""Errors without what their functions held.

An error refers to the frames that it went through, and these to their variables: to the bytes of a request above all. A future
that failed refers to its error, and is such a variable: only the cycle collector frees the two. It runs after so many new
objects, not bytes: refused requests of 9 MB held a gigabyte after fifteen seconds.
"""

import traceback


def release_frames(error: BaseException) -> None:
    """Empties the variables of every ended function that `error`, or an error behind it, went through; its traceback stays."""
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        one = pending.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            traceback.clear_frames(one.__traceback__)
            pending += [one.__cause__, one.__context__]
