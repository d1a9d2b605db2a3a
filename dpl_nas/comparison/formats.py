"""Numbers as text, alike in every table and sentence."""

from __future__ import annotations

from dpl_nas.comparison.statistics import Estimate, Interval

__all__ = ["NOTHING", "accuracy", "counted", "each", "ends", "number", "p_value", "points", "time"]

#: The text of a missing value.
NOTHING = "-"
_MINUS = "\N{MINUS SIGN}"


def points(share: float | None) -> str:
    """Write a share as percent, or a difference of shares as points, with one decimal."""
    if share is None:
        return NOTHING
    text = f"{100 * share:.1f}"
    # -0.04 is neither below nor above.
    return "0.0" if text == "-0.0" else text.replace("-", _MINUS)


def accuracy(estimate: Estimate) -> str:
    """Write percent and the half-width in points, such as ``81.2 +- 1.3``."""
    if estimate.half_width is None:
        return points(estimate.mean)
    return f"{points(estimate.mean)} \N{PLUS-MINUS SIGN} {points(estimate.half_width)}"


def each(estimate: Estimate) -> str:
    """Write the single values in percent."""
    return " ".join(map(points, estimate.values)) or NOTHING


def ends(interval: Interval | None) -> str:
    """Write the two ends of an interval in percent, or in points."""
    return NOTHING if interval is None else f"{points(interval.low)} to {points(interval.high)}"


def p_value(p: float | None) -> str:
    """Write three decimals, or that the number is smaller than they can show."""
    if p is None:
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def number(value: float | None, decimals: int = 0) -> str:
    """Write a number with its thousands separated."""
    if value is None:
        return NOTHING
    return f"{value:,.{decimals}f}".replace("-", _MINUS)


def time(seconds: float) -> str:
    """Write a time in seconds, minutes or hours, as fits."""
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def counted(count: int, what: str) -> str:
    """Write a number and its noun, such as ``1 pair`` or ``2 pairs``."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
