"""Where the shell enters: the first and last moments of the command, in which Ctrl-C ends it without a word."""

import os
import signal
import sys


def main() -> None:
    """Runs the command and ends the process.

    While modules are imported, and while the interpreter winds down, KeyboardInterrupt can't be caught: it would show as a
    traceback. There the signal itself ends the process. A process that was started to ignore it goes on ignoring it.
    """
    _hold_standard_descriptors()
    handler = signal.getsignal(signal.SIGINT)
    is_caught = handler is signal.default_int_handler
    if is_caught:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from miradouro.cli.exit_status import EXIT_INTERRUPTED
    from miradouro.cli.main import main as run

    try:
        signal.signal(signal.SIGINT, handler)
        run()
    except KeyboardInterrupt:  # once more, while the command was ending because of the first
        sys.exit(EXIT_INTERRUPTED)
    finally:
        if is_caught:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def _hold_standard_descriptors() -> None:
    """Puts the null device where standard streams are closed: else a file of ours gets the number, and what libraries print."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
