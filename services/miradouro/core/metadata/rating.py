"""Ratings: stars, and the percentages that Windows writes for them."""

_LEAST_PERCENT = (1, 13, 38, 63, 88)  # of one star and up, halfway between what Windows writes: 1, 25, 50, 75, 99


def stars(rating: float | None, percent: float | None) -> int | None:
    """1 to 5, None for a photo that is not rated (0) or rejected (-1); `rating` counts before `percent`. Raises ValueError."""
    if rating is not None and rating != 0:
        if not -1 <= rating <= 5:
            raise ValueError(f"{rating} is no rating; allowed: -1 to 5")
        return max(1, round(rating)) if rating > 0 else None
    if percent is None:
        return None
    if not 0 <= percent <= 100:
        raise ValueError(f"{percent} is no percentage")
    return sum(percent >= least for least in _LEAST_PERCENT) or None
