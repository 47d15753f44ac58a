"""Filling in what a mask hides, from its rim inwards, by the fast marching method.

A. Telea, "An image inpainting technique based on the fast marching method", Journal of Graphics Tools 9(1),
2004. A hidden pixel is the mean of the known ones within a radius, each weighted by its direction along the
front's normal, its distance and its nearness to the level set, and corrected by the image's gradient there,
whose sum is taken as a unit vector, as OpenCV's ``inpaint`` does.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
FAR = 1e6


def filled(image: Bytes, hidden: NDArray[np.bool_], radius: int) -> Bytes:
    """The image, uint8 (H, W, 3), with its hidden pixels, bool (H, W), filled from within ``radius`` pixels.

    Where all is hidden there is nothing to fill from, and the image stays as it is.
    """
    if not hidden.any() or hidden.all():
        return image.copy()
    march = _march()
    framed = np.pad(hidden, 1)
    rim = _rim(framed)
    pixels = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
    # How far the known pixels lie before the rim, as far as they count.
    before = np.where(rim, 0.0, FAR)
    march(pixels, ~framed & ~rim, before, 0, 2.0 * radius)
    times = np.where(framed | (before == FAR), FAR, -before)
    march(pixels, framed, times, radius, FAR)
    return np.ascontiguousarray(pixels[1:-1, 1:-1])


def _rim(hidden: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The known pixels next to hidden ones, off the frame."""
    near = np.zeros_like(hidden)
    near[1:] |= hidden[:-1]
    near[:-1] |= hidden[1:]
    near[:, 1:] |= hidden[:, :-1]
    near[:, :-1] |= hidden[:, 1:]
    rim: NDArray[np.bool_] = near & ~hidden
    rim[[0, -1]] = False
    rim[:, [0, -1]] = False
    return rim


@lru_cache(maxsize=1)
def _march() -> Callable[..., Any]:
    """The march, compiled: each pixel waits for those before it, so there is no form in whole arrays."""
    from numba import njit

    arrival, mean = njit(nogil=True)(_arrival), njit(nogil=True)(_mean)

    @njit(nogil=True)
    def march(pixels: Any, inside: Any, times: Any, radius: int, limit: float) -> None:
        """Reach every pixel inside, those of the lowest time first; with a radius, fill it, too."""
        height, width = inside.shape
        waiting = [(0.0, 0, 0, 0)]
        waiting.pop()
        order = 0
        for i in range(height):
            for j in range(width):
                if times[i, j] == 0.0 and not inside[i, j]:
                    waiting.append((0.0, order, i, j))
                    order += 1
        heapq.heapify(waiting)
        while len(waiting) > 0:
            time, _, y, x = heapq.heappop(waiting)
            if time > limit:
                break
            for i, j in ((y - 1, x), (y, x - 1), (y + 1, x), (y, x + 1)):
                if i < 1 or j < 1 or i > height - 2 or j > width - 2 or not inside[i, j]:
                    continue
                reached = FAR
                for k in (i - 1, i + 1):
                    for m in (j - 1, j + 1):
                        reached = min(reached, arrival(times[k, j], times[i, m], inside[k, j], inside[i, m]))
                times[i, j] = reached
                if radius > 0:
                    mean(pixels, inside, times, i, j, radius)
                inside[i, j] = False
                heapq.heappush(waiting, (reached, order, i, j))
                order += 1

    return march


def _arrival(down: float, across: float, later_down: bool, later_across: bool) -> float:
    """When the front arrives, from two neighbours' times: |grad T| = 1, upwind."""
    if later_down and later_across:
        return 1.0 + min(down, across)
    if later_down or later_across:
        return 1.0 + (across if later_down else down)
    if abs(down - across) >= 1.0:
        return 1.0 + min(down, across)
    return 0.5 * (down + across + np.sqrt(2.0 - (down - across) ** 2))


def _mean(pixels: Any, inside: Any, times: Any, i: int, j: int, radius: int) -> None:
    height, width = inside.shape
    normal_y, normal_x = 0.0, 0.0
    if not inside[i + 1, j]:
        normal_y += times[i + 1, j] - times[i, j]
    if not inside[i - 1, j]:
        normal_y += times[i, j] - times[i - 1, j]
    if not inside[i + 1, j] and not inside[i - 1, j]:
        normal_y *= 0.5
    if not inside[i, j + 1]:
        normal_x += times[i, j + 1] - times[i, j]
    if not inside[i, j - 1]:
        normal_x += times[i, j] - times[i, j - 1]
    if not inside[i, j + 1] and not inside[i, j - 1]:
        normal_x *= 0.5
    for channel in range(3):
        total, weights, pull_x, pull_y = 0.0, 1e-20, 0.0, 0.0
        for k in range(max(1, i - radius), min(height - 2, i + radius) + 1):
            for m in range(max(1, j - radius), min(width - 2, j + radius) + 1):
                squared = (k - i) ** 2 + (m - j) ** 2
                if inside[k, m] or squared > radius * radius:
                    continue
                y, x = i - k, j - m
                along = y * normal_y + x * normal_x
                if abs(along) <= 0.01:
                    along = 1e-6
                near = 1.0 / (1.0 + abs(times[k, m] - times[i, j]))
                weight = abs(along) * near / (squared * np.sqrt(squared))
                here = float(pixels[k, m, channel])
                slope_x, slope_y = 0.0, 0.0
                if not inside[k, m + 1] and not inside[k, m - 1]:
                    slope_x = 2.0 * (float(pixels[k, m + 1, channel]) - float(pixels[k, m - 1, channel]))
                elif not inside[k, m + 1]:
                    slope_x = float(pixels[k, m + 1, channel]) - here
                elif not inside[k, m - 1]:
                    slope_x = here - float(pixels[k, m - 1, channel])
                if not inside[k + 1, m] and not inside[k - 1, m]:
                    slope_y = 2.0 * (float(pixels[k + 1, m, channel]) - float(pixels[k - 1, m, channel]))
                elif not inside[k + 1, m]:
                    slope_y = float(pixels[k + 1, m, channel]) - here
                elif not inside[k - 1, m]:
                    slope_y = here - float(pixels[k - 1, m, channel])
                total += weight * here
                pull_x -= weight * slope_x * x
                pull_y -= weight * slope_y * y
                weights += weight
        value = total / weights + (pull_x + pull_y) / (np.sqrt(pull_x**2 + pull_y**2) + 1e-20)
        pixels[i, j, channel] = np.uint8(min(255.0, max(0.0, np.rint(value + 0.5))))
