"""The limit of open files and connections of this process."""

import resource

_ENOUGH = 65_536  # some systems set no limit at all, and programs that we start may walk through every number below theirs


def raise_file_limit() -> int:
    """Raises the soft limit of open files to the hard one, up to 65,536, and gives the limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
