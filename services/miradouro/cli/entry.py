"""The entry point of the command. During start and exit, Ctrl-C ends the process without a traceback."""

import gc
import os
import signal
import sys

# New objects until the next collection. Imports make objects that stay, and the default, 700, examines them hundreds of times.
COLLECT_AFTER_OBJECTS = 100_000


def main() -> None:
    """Runs the command and ends the process.

    During imports and interpreter shutdown KeyboardInterrupt cannot be caught and would print a traceback. There the signal's
    default action ends the process. A process that was started with the signal ignored keeps ignoring it.
    """
    _hold_standard_descriptors()
    gc.set_threshold(COLLECT_AFTER_OBJECTS, *gc.get_threshold()[1:])
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # it reads the metadata of every installed package otherwise
    handler = signal.getsignal(signal.SIGINT)
    is_caught = handler is signal.default_int_handler
    if is_caught:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from miradouro.cli.exit_status import EXIT_INTERRUPTED
    from miradouro.cli.main import main as run

    try:
        signal.signal(signal.SIGINT, handler)
        run()
    except KeyboardInterrupt:  # a second Ctrl-C while the command ends
        sys.exit(EXIT_INTERRUPTED)
    finally:
        if is_caught:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def _hold_standard_descriptors() -> None:
    """Opens the null device for closed standard streams: otherwise libraries' output would go into a file with that number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
