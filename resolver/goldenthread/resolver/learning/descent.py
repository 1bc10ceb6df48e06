"""Find the least of a smooth convex function by limited-memory BFGS; SciPy does as well, but takes long to import.

Nocedal and Wright, "Numerical optimization", 2006: algorithms 7.4 (two loops) and 3.5 with 3.6 (line search).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["least_of"]

Floats = NDArray[np.float64]
Loss = Callable[[Floats], tuple[float, Floats]]
"""Answer the value at a point, and the gradient there."""

_REMEMBERED = 20
_SMALL_GRADIENT, _SMALL_GAIN = 1e-5, 1e-11
"""The largest slope, and the decrease as a share of the value, at which the least is found."""

_DECREASE, _CURVATURE = 1e-3, 0.9
_MOST_TRIALS = 20


def least_of(loss: Loss, start: Floats, most_steps: int) -> Floats:
    """Go down from a point until the slope is small, nothing is gained, or the steps are used up."""
    point = start
    value, slope = loss(point)
    known: deque[tuple[Floats, Floats, float]] = deque(maxlen=_REMEMBERED)
    for _ in range(most_steps):
        if float(np.abs(slope).max(initial=0.0)) <= _SMALL_GRADIENT:
            break
        direction = _direction(slope, known)
        first = 1.0 if known else min(1.0, 1.0 / float(np.sqrt(slope @ slope)))
        share, after, slope_after = _along(loss, point, value, slope, direction, first)
        if share == 0.0:
            break
        step, bend = share * direction, slope_after - slope
        if (curve := float(step @ bend)) > 1e-10 * float(bend @ bend):
            known.append((step, bend, curve))
        gain = value - after
        point, value, slope = point + step, after, slope_after
        if gain <= _SMALL_GAIN * max(abs(value), abs(value + gain), 1.0):
            break
    return point


def _direction(slope: Floats, known: deque[tuple[Floats, Floats, float]]) -> Floats:
    """Multiply the slope by what recent steps say of the inverse of the curvature."""
    direction = -slope
    shares = []
    for step, bend, curve in reversed(known):
        shares.append(float(step @ direction) / curve)
        direction = direction - shares[-1] * bend
    if known:
        _, bend, curve = known[-1]
        direction = direction * (curve / float(bend @ bend))
    for (step, bend, curve), share in zip(known, reversed(shares), strict=True):
        direction = direction + (share - float(bend @ direction) / curve) * step
    return direction


def _along(
    loss: Loss, point: Floats, value: float, slope: Floats, direction: Floats, first: float
) -> tuple[float, float, Floats]:
    """Search along a direction for a share of it that lowers the value and the slope enough; 0 where there is none."""
    down = float(slope @ direction)
    low, value_low, down_low, slope_low = 0.0, value, down, slope
    high, value_high = np.inf, np.inf
    share = first
    for _ in range(_MOST_TRIALS):
        found, slope_found = loss(point + share * direction)
        down_found = float(slope_found @ direction)
        if not found <= value + _DECREASE * share * down or found >= value_low:
            high, value_high = share, found
        elif abs(down_found) <= -_CURVATURE * down:
            return share, found, slope_found
        else:
            if down_found * (high - low) >= 0:
                high, value_high = low, value_low
            low, value_low, down_low, slope_low = share, found, down_found, slope_found
        share = 2.0 * low if np.isinf(high) else _between(low, value_low, down_low, high, value_high)
    return low, value_low, slope_low


def _between(low: float, value_low: float, down_low: float, high: float, value_high: float) -> float:
    """Take the least of the parabola through two shares, not too near either."""
    wide = high - low
    bent = value_high - value_low - down_low * wide
    share = -0.5 * down_low * wide / bent if np.isfinite(bent) and bent > 0 else 0.5
    return low + wide * min(max(share, 0.1), 0.9)
