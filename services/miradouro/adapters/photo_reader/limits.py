"""What one photo may take of this machine. Constants: they depend on each other, and on the memory limits in deploy/.

Resting processes of `miradouro up` take about 400 MiB with their networks, each child 35 MiB: with four children and the whole
byte budget in use that is 1,180 MiB.
"""

from dataclasses import dataclass

MOST_PROCESSES = 4  # one decodes about 60 photos a second, and four outrun the networks of any CPU
BUDGET_BYTES = 640 * 2**20  # the largest photo that DecodeLimits admits fits; children share it
# A child of 112 MiB, an encoded photo of 32 MiB, the budget, and a fifth on top for the allocator: a second limit, for estimates
# that are wrong.
ADDRESS_SPACE_BYTES = 1024 * 2**20
WALL_S = 10.0  # a JPEG of 100 megapixels takes 2
# On a busy machine a child may not get its share of the CPU: it goes on for so many times WALL_S while it gets less than half.
MOST_TURNS = 6
CPU_S = 10  # whole seconds, as RLIMIT_CPU counts; it ends a child also when its parent is stopped
# Granted beforehand where it is free: most photos ask for no more, and asking costs a turn on a busy machine.
AT_HAND_BYTES = 16 * 2**20
START_S = 60.0  # until a new child answers: .2 on an idle machine
MOST_INTERACTIVE = 8  # half of the threads that answer calls by default, so that questions in words always find one
MOST_BULK = 512  # more than any number of ingest workers


@dataclass(frozen=True)
class ReaderLimits:
    """Of one photo: seconds on the clock and of CPU, address space of its process; and bytes of all photos together."""

    wall_s: float = WALL_S
    cpu_s: int = CPU_S
    address_space_bytes: int = ADDRESS_SPACE_BYTES
    budget_bytes: int = BUDGET_BYTES
