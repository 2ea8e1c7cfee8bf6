"""A number with its goal."""

import operator
from dataclasses import dataclass

COMPARISONS = {">=": operator.ge, "<=": operator.le, "<": operator.lt, "==": operator.eq}


@dataclass(frozen=True)
class Check:
    """`value` compared with `goal`; `misses` lists the first wrong cases, for inspection."""

    name: str
    value: float
    comparison: str
    goal: float
    misses: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the goal is met."""
        return bool(COMPARISONS[self.comparison](self.value, self.goal))

    def line(self) -> str:
        """One line of the report, and one for each of the first misses."""
        line = f"{'ok  ' if self.holds else 'MISS'}  {self.value:8.4f} {self.comparison:>2} {self.goal:<6g}  {self.name}"
        return "\n".join([line, *(f"          {miss}" for miss in self.misses[:5])])


def share(name: str, right: int, of: int, *, goal: float, misses: list[str]) -> Check:
    """How many of all were right, as a fraction; no case at all is a miss."""
    return Check(f"{name} ({right} of {of})", right / of if of else 0.0, ">=", goal, tuple(misses))
