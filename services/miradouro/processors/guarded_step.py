"""Wraps a processor with its condition, retries, failure handling and observation."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol, TypeVar

import structlog

from miradouro.core.errors import ConfigurationError, Internal, InvalidArgument, MiradouroError, NotFound, is_shortage
from miradouro.core.pipeline import PhotoInProgress, Processor
from miradouro.processors.condition import Condition

_log = structlog.get_logger(__name__)
T = TypeVar("T")


class StepOutcome(StrEnum):
    """How a step ended."""

    DONE = "done"
    SKIPPED = "skipped"
    IGNORED = "failed, ignored"
    ANSWERED = "failed, answered by on_failure"
    FAILED = "failed"


@dataclass(frozen=True)
class StepRun:
    """One attempt of a step. `error` is set after a failure; `fetched_bytes` is the size of a photo that the step read."""

    name: str
    outcome: StepOutcome
    took_ms: float = 0.0
    error: MiradouroError | None = None
    fetched_bytes: int = 0


Observer = Callable[[StepRun], None]


class Attempt(Protocol):
    """Calls a function, and may repeat the call after retriable errors."""

    def __call__(self, name: str, call: Callable[[], T], /) -> T:
        """The result of `call`, which runs the step `name`. Raises its last error."""
        ...


def once(name: str, call: Callable[[], T]) -> T:  # noqa: ARG001 # an Attempt
    """The Attempt without retries."""
    return call()


@dataclass(frozen=True)
class GuardedStep:
    """A processor that runs when its condition holds. Its failure may be ignored or handled by the steps of `on_failure`.

    Only failures of the photo are ignored or handled. `attempt` retries retriable errors. Errors that stop every photo are
    raised. `observe` is called after each attempt.
    """

    name: str
    processor: Processor
    condition: Condition | None
    ignore_failure: bool
    on_failure: tuple["GuardedStep", ...]
    observe: Observer
    attempt: Attempt = once

    def __call__(self, photo: PhotoInProgress) -> PhotoInProgress:
        """The photo with the fields of this step, or of its `on_failure` steps. Raises the processor's errors."""
        if self.condition is not None and not self.condition.holds(photo):
            self.observe(StepRun(self.name, StepOutcome.SKIPPED))
            return replace(photo, left_out=(*photo.left_out, self.name))
        result = self.attempt(self.name, lambda: self._try(photo))
        if isinstance(result, PhotoInProgress):
            return result
        left = replace(photo, left_out=(*photo.left_out, self.name), failure=result)
        for step in self.on_failure:
            left = step(left)
        return replace(left, failure=photo.failure)

    def _try(self, photo: PhotoInProgress) -> PhotoInProgress | MiradouroError:
        """The photo, or the error of a failure that is ignored or handled. Raises every other error."""
        began = time.perf_counter()
        try:
            done = self.processor(photo)
        except Exception as exc:
            error = self._error(photo, exc)
            outcome = StepOutcome.FAILED if is_shortage(exc) else self._answer(error)
            self.observe(StepRun(self.name, outcome, _ms_since(began), error))
            if outcome is StepOutcome.FAILED:
                if isinstance(exc, ConfigurationError) and error is not exc:
                    raise error from exc
                raise
            fault = None if isinstance(exc, MiradouroError) else exc
            _log.info(
                "a step failed",
                step=self.name,
                photo_id=photo.event.photo_id,
                outcome=outcome,
                error=error.message,
                exc_info=fault,
            )
            return error
        fetched = len(done.data) if photo.data is None and done.data is not None else 0
        self.observe(StepRun(self.name, StepOutcome.DONE, _ms_since(began), fetched_bytes=fetched))
        return done

    def _answer(self, error: MiradouroError) -> StepOutcome:
        if not isinstance(error, InvalidArgument | NotFound | Internal):
            return StepOutcome.FAILED
        if self.on_failure:
            return StepOutcome.ANSWERED
        return StepOutcome.IGNORED if self.ignore_failure else StepOutcome.FAILED

    def _error(self, photo: PhotoInProgress, error: Exception) -> MiradouroError:
        """The error as a MiradouroError. When a skipped step left a field empty, the failure concerns only this photo."""
        if isinstance(error, ConfigurationError) and photo.left_out:
            left_out = ", ".join(photo.left_out)
            return InvalidArgument("photo", f"{self.name} can't run, for these steps were left out: {left_out} ({error.message})")
        if isinstance(error, MiradouroError):
            return error
        return Internal(f"processor {self.name} failed: {type(error).__name__}: {error}; the log has the traceback")


def _ms_since(began: float) -> float:
    return (time.perf_counter() - began) * 1_000
