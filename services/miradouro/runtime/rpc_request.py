"""Reads the single request of a gRPC call within a deadline, and counts its bytes while it is in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from miradouro.core.errors import InvalidArgument
from miradouro.runtime.byte_budget import ByteBudget
from miradouro.runtime.call_limits import CallSlot

SMALL_BYTES = 8 * 1024
RECEIVE_WITHIN_S = 10.0  # 33 MiB at 30 Mbit/s


class RequestReader:
    """Reads requests, all of them together within `budget`."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget

    @asynccontextmanager
    async def read(self, requests: AsyncIterator[bytes], slot: CallSlot) -> AsyncIterator[bytes]:
        """The serialized request, which counts against the budget until the block ends; what follows a small one is not read.

        Raises TooSlow, Overloaded and InvalidArgument (not one was sent).
        """
        async with slot.receiving(RECEIVE_WITHIN_S):
            data = await anext(requests, None)
            # To its end: grpc.aio's iterator refers to itself, and with that holds its last message for the cycle collector.
            # That matters for many bytes alone, and the end of a short question is one more turn of the event loop.
            more = await anext(requests, None) if data is not None and len(data) > SMALL_BYTES else None
        if data is None or more is not None:
            raise InvalidArgument("request", f"the call has {'none' if data is None else 'more than one'}; send one")
        with self._budget.taken(len(data)):
            yield data
