"""Resource limits of reading one photo. They are constants because they depend on each other and on the memory limits in deploy/.

The idle processes of `miradouro up` take about 400 MiB with their networks, and each child 35 MiB. With four children and the
whole byte budget in use that is 1,180 MiB.
"""

from dataclasses import dataclass

MOST_PROCESSES = 4  # one decodes about 60 photos a second; four are faster than the networks on any CPU
BUDGET_BYTES = 640 * 2**20  # shared by the children; fits the largest photo that DecodeLimits admits
# A child of 112 MiB, an encoded photo of 32 MiB, the budget, and a fifth more for the allocator. This second limit catches wrong
# estimates.
ADDRESS_SPACE_BYTES = 1024 * 2**20
WALL_S = 10.0  # a JPEG of 100 megapixels takes 2
# On a busy machine a child may starve: while it gets less than half a CPU, its time is extended up to so many times WALL_S.
MOST_TURNS = 6
CPU_S = 10  # whole seconds, as RLIMIT_CPU counts; also ends a child whose parent is stopped
# Granted in advance when free: most photos need no more, and a request costs a round trip.
AT_HAND_BYTES = 16 * 2**20
START_S = 60.0  # until a new child answers: 0.2 s on an idle machine
MOST_INTERACTIVE = 8  # half of the default threads for calls: text queries always find a free thread
MOST_BULK = 512  # more than the number of ingest workers


@dataclass(frozen=True)
class ReaderLimits:
    """Limits of one photo: wall-clock and CPU seconds, and the address space of its process. `budget_bytes`: of all photos."""

    wall_s: float = WALL_S
    cpu_s: int = CPU_S
    address_space_bytes: int = ADDRESS_SPACE_BYTES
    budget_bytes: int = BUDGET_BYTES
