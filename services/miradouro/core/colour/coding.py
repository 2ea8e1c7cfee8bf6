"""Colour spaces that files name by numbers, as ICC profiles: cICP and nclx (ITU-T H.273), gAMA and cHRM (PNG)."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from miradouro.core.colour.icc import SRGB, Point, Primaries, power_curve, profile_of, sampled_curve, srgb_curve

_D65, _C = (0.3127, 0.3290), (0.310, 0.316)
_UNSPECIFIED = 2
_SRGB_PRIMARIES = Primaries((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65)
_SMPTE_C = Primaries((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65)
_PRIMARIES = {  # H.273, table 2
    1: _SRGB_PRIMARIES,
    _UNSPECIFIED: _SRGB_PRIMARIES,
    4: Primaries((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: Primaries((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: _SMPTE_C,
    7: _SMPTE_C,
    8: Primaries((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    9: Primaries((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    22: Primaries((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}
# The curves of video are those of cameras; screens apply nearly the curve of sRGB to them.
_SRGB_CURVES = frozenset({1, _UNSPECIFIED, 6, 13, 14, 15})
_SAMPLES = np.linspace(0, 1, 4_096)
_WHITE_NITS = 203.0  # of diffuse white in pictures of high dynamic range (ITU-R BT.2408); brighter samples become white
_HLG_PEAK_NITS, _HLG_SYSTEM_GAMMA = 1_000.0, 1.2
_NEAR_SRGB_GAMMA = 0.05  # 1 / 2.2 within 5 % is how programs write sRGB's curve
_NEAR_SRGB_POINT = 0.005
_GAMMAS = (0.1, 10.0)


@lru_cache(maxsize=64)  # files may hold any numbers
def profile_of_numbers(primaries: int, transfer: int) -> bytes | None:
    """The profile of H.273's colour primaries and transfer characteristics: SRGB, or None for numbers not known here."""
    if primaries == transfer == _UNSPECIFIED or primaries not in _PRIMARIES:
        return None
    if transfer in _SRGB_CURVES:
        same = _PRIMARIES[primaries] == _SRGB_PRIMARIES
        return SRGB if same else profile_of(_PRIMARIES[primaries], srgb_curve())
    curve = _CURVES.get(transfer)
    return None if curve is None else profile_of(_PRIMARIES[primaries], curve())


def profile_of_gamma(gamma: float | None, chromaticities: Primaries | None) -> bytes | None:
    """The profile of samples that are light ** `gamma` (PNG, 11.3.2): SRGB when it is nearly that, None for invalid values.

    Without a `gamma` the curve is that of sRGB, without `chromaticities` the primaries are.
    """
    if gamma is not None and not _GAMMAS[0] <= gamma <= _GAMMAS[1]:
        return None
    is_srgb_curve = gamma is None or abs(gamma * 2.2 - 1) <= _NEAR_SRGB_GAMMA
    primaries = chromaticities or _SRGB_PRIMARIES
    if is_srgb_curve and _are_near(primaries, _SRGB_PRIMARIES):
        return SRGB
    return profile_of(primaries, srgb_curve() if gamma is None else power_curve(1 / gamma))


def _are_near(one: Primaries, other: Primaries) -> bool:
    def points(primaries: Primaries) -> tuple[Point, ...]:
        return (primaries.red, primaries.green, primaries.blue, primaries.white)

    return bool(np.abs(np.array(points(one)) - np.array(points(other))).max() <= _NEAR_SRGB_POINT)


def _perceptual_quantizer() -> bytes:
    """SMPTE ST 2084, as in ITU-R BT.2100, table 4."""
    m1, m2, c1, c2, c3 = 2_610 / 16_384, 2_523 / 32, 3_424 / 4_096, 2_413 / 128, 2_392 / 128
    powers = _SAMPLES ** (1 / m2)
    return sampled_curve((np.maximum(powers - c1, 0) / (c2 - c3 * powers)) ** (1 / m1) * 10_000 / _WHITE_NITS)


def _hybrid_log_gamma() -> bytes:
    """ITU-R BT.2100, table 5. The system's gamma is defined for luminance; here it is applied to each channel."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(_SAMPLES <= 0.5, _SAMPLES**2 / 3, (np.exp((_SAMPLES - c) / a) + b) / 12)
    return sampled_curve(scene**_HLG_SYSTEM_GAMMA * _HLG_PEAK_NITS / _WHITE_NITS)


_CURVES: dict[int, Callable[[], bytes]] = {  # H.273, table 3
    4: lambda: power_curve(2.2),
    5: lambda: power_curve(2.8),
    8: lambda: power_curve(1.0),
    16: _perceptual_quantizer,
    18: _hybrid_log_gamma,
}
