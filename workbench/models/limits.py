"""What a setting may be; outside of it a Refusal says so."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real

from workbench.errors import Refusal

MOST_STEPS = 200
"""Denoising steps of one drawing."""


def within(name: str, value: object, low: float, high: float) -> None:
    """Raise Refusal unless the value is a number between the two, ends included; NaN is not."""
    if not (isinstance(value, Real) and low <= float(value) <= high):
        raise Refusal(f"{name} must be a number between {low:g} and {high:g}; it is {value}.")


def whole(name: str, value: object, low: int, high: int) -> None:
    """Raise Refusal unless the value is a whole number between the two, ends included."""
    if not (isinstance(value, Integral) and low <= int(value) <= high):
        raise Refusal(f"{name} must be a whole number between {low:,} and {high:,}; it is {value}.")


def one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    """Raise Refusal unless the value is one of those that are allowed."""
    if value not in allowed:
        raise Refusal(f"{name} must be one of {', '.join(allowed)}; it is {value!r}.")


def ordered(name: str, value: Sequence[float]) -> None:
    """Raise Refusal unless the value is an interval within 0 … 1, low end first."""
    if len(value) != 2:
        raise Refusal(f"{name} has two ends; {len(value)} were given.")
    low, high = value
    within(f"{name}'s low end", low, 0.0, 1.0)
    within(f"{name}'s high end", high, 0.0, 1.0)
    if low > high:
        raise Refusal(f"{name} must satisfy low <= high; it is {low:g} to {high:g}.")
