"""Lines of text that fit a width on paper."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache


def wrapped(text: str, width: float) -> list[str]:
    """A text of 8 points as lines of at most ``width`` inches; a word longer than a line is cut."""
    lines: list[list[str]] = [[]]
    space, left = inches(" "), width
    for word in text.split(" "):
        if lines[-1] and space + inches(word) > left:
            lines.append([])
            left = width
        while inches(word) > width:
            fits = _fitting(word, width)
            lines[-1:] = [[word[:fits]], []]
            word = word[fits:]
        left -= inches(word) + (space if lines[-1] else 0)
        lines[-1].append(word)
    return [" ".join(line) for line in lines if any(line)]


def _fitting(word: str, width: float) -> int:
    """How many of the first letters fit, at least one."""
    return max(1, bisect_right(range(1, len(word)), width, key=lambda count: inches(word[:count])))


@lru_cache(maxsize=4096)
def inches(text: str) -> float:
    """How wide a text of 8 points is."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    points, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(size=8), ismath=False)
    return float(points) / 72
