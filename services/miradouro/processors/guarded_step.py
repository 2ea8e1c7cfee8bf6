"""A step with its `if`, `ignore_failure` and `on_failure`: whether it runs, and what happens when it can't."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

import structlog

from miradouro.core.errors import ConfigurationError, Internal, InvalidArgument, MiradouroError, NotFound, is_shortage
from miradouro.core.pipeline import PhotoInProgress, Processor
from miradouro.processors.condition import Condition

_log = structlog.get_logger(__name__)


class StepOutcome(StrEnum):
    """How a step ended."""

    DONE = "done"
    SKIPPED = "skipped"
    IGNORED = "failed, ignored"
    ANSWERED = "failed, answered by on_failure"
    FAILED = "failed"


@dataclass(frozen=True)
class StepRun:
    """One run of a step; `error` is what it failed with."""

    name: str
    outcome: StepOutcome
    took_ms: float = 0.0
    error: MiradouroError | None = None


Observer = Callable[[StepRun], None]


@dataclass(frozen=True)
class GuardedStep:
    """A processor that runs when its condition holds, and whose failure may be ignored or answered by other steps.

    That is for failures of the photo alone: an error that may pass is tried again as ever, and one that stops every photo
    stops it. `observe` is told each run.
    """

    name: str
    processor: Processor
    condition: Condition | None
    ignore_failure: bool
    on_failure: tuple["GuardedStep", ...]
    observe: Observer

    def __call__(self, photo: PhotoInProgress) -> PhotoInProgress:
        """The photo with this step's part, or that of the steps that answer its failure. Raises what the processor raises."""
        if self.condition is not None and not self.condition.holds(photo):
            self.observe(StepRun(self.name, StepOutcome.SKIPPED))
            return replace(photo, left_out=(*photo.left_out, self.name))
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
        else:
            self.observe(StepRun(self.name, StepOutcome.DONE, _ms_since(began)))
            return done
        left = replace(photo, left_out=(*photo.left_out, self.name), failure=error)
        for step in self.on_failure:
            left = step(left)
        return replace(left, failure=photo.failure)

    def _answer(self, error: MiradouroError) -> StepOutcome:
        if not isinstance(error, InvalidArgument | NotFound | Internal):
            return StepOutcome.FAILED
        if self.on_failure:
            return StepOutcome.ANSWERED
        return StepOutcome.IGNORED if self.ignore_failure else StepOutcome.FAILED

    def _error(self, photo: PhotoInProgress, error: Exception) -> MiradouroError:
        """The error as the photo's: what a step lacks since an earlier one was left out is no fault of the pipeline."""
        if isinstance(error, ConfigurationError) and photo.left_out:
            left_out = ", ".join(photo.left_out)
            return InvalidArgument("photo", f"{self.name} can't run, for these steps were left out: {left_out} ({error.message})")
        if isinstance(error, MiradouroError):
            return error
        return Internal(f"processor {self.name} failed: {type(error).__name__}: {error}; the log tells where")


def _ms_since(began: float) -> float:
    return (time.perf_counter() - began) * 1_000
