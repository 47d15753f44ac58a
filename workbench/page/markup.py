"""Small pieces of HTML that several panels show: figures, the status line, tables. Text is escaped here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from workbench.runs import png

BOX = 192
"""Pixels of the square that one picture of a row is shown in."""


def enlarged(pixels: np.ndarray, box: int) -> np.ndarray:
    """The picture at the largest whole multiple of its pixels that fits the box, or reduced to fit: uint8."""
    height, width = pixels.shape[:2]
    if max(height, width) <= box:
        times = box // max(height, width)
        return pixels.repeat(times, axis=0).repeat(times, axis=1)
    from PIL import Image

    scale = box / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def image(pixels: np.ndarray, alt: str, box: int = BOX) -> str:
    """An img element, lossless; small pictures at whole multiples of their pixels, never blurred."""
    height, width = pixels.shape[:2]
    small = max(height, width) <= box
    if small:
        times = box // max(height, width)
        shown, size = pixels, (width * times, height * times)
    else:
        shown = enlarged(pixels, 2 * box) if max(height, width) > 2 * box else pixels
        scale = box / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
    kind = ' class="whole"' if small else ""
    return f'<img{kind} src="{data_uri(shown)}" width="{size[0]}" height="{size[1]}" alt="{escape(alt)}">'


def data_uri(pixels: np.ndarray) -> str:
    """The picture as a PNG inside a data address, made quickly: it is sent once."""
    return png.data_uri(pixels, level=1)


def figure(name: str, note: str, pixels: np.ndarray | None, *, empty: str = "", mark: str = "") -> str:
    """One picture with its name and its number; a dashed frame with ``empty`` in it where there is none."""
    inside = (
        f'<div class="frame">{image(pixels, name)}</div>'
        if pixels is not None
        else f'<div class="frame empty">{escape(empty)}</div>'
    )
    caption = f'<figcaption>{escape(name)}<span class="quiet num">{escape(note)}</span></figcaption>'
    return f"<figure {mark}>{inside}{caption}</figure>"


def row(figures: Iterable[str], name: str) -> str:
    """A row of figures, named for those who do not see it."""
    return f'<div class="aft shots" role="group" aria-label="{escape(name)}">{"".join(figures)}</div>'


def heading(question: str, explanation: str) -> str:
    """A panel's question with what it is about."""
    return f'<div class="aft"><h2>{escape(question)}</h2><p class="quiet">{escape(explanation)}</p></div>'


def status(text: str, done: float | None = None, left: float | None = None) -> str:
    """What is happening, in words; ``done`` 0 … 1 adds a bar, ``left`` the seconds to go if above two."""
    bar = ""
    if done is not None:
        bar = (
            f'<span class="bar" role="progressbar" aria-valuemin="0" aria-valuemax="100" '
            f'aria-valuenow="{100 * done:.0f}"><span style="width:{100 * done:.1f}%"></span></span>'
        )
    wait = f'<span class="quiet num">{duration(left)} left</span>' if left is not None and left > 2 else ""
    return f'<div class="aft status" role="status"><span>{escape(text)}</span>{bar}{wait}</div>'


def notice(text: str, *, plain: bool = False) -> str:
    """A sentence that wants to be read: what went wrong, or (plain) what to know."""
    if not text:
        return ""
    role = "note" if plain else "alert"
    return f'<div class="aft notice{" plain" if plain else ""}" role="{role}">{escape(text)}</div>'


def duration(seconds: float) -> str:
    """Seconds in words: "40 s", "3 min"."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def table(rows: Sequence[tuple[str, str, str]], now: int | None = None, remark: str = "") -> str:
    """Rows of name, words, number; the row ``now`` stands out, with a quiet remark behind its words."""
    lines = []
    for index, (name, words, number) in enumerate(rows):
        kind = ' class="now"' if index == now else ""
        behind = f' <span class="quiet">{escape(remark)}</span>' if index == now and remark else ""
        lines.append(
            f'<div role="row"{kind}><span role="rowheader">{escape(name)}</span>'
            f'<span role="cell">{escape(words)}{behind}</span>'
            f'<span role="cell" class="num">{escape(number)}</span></div>'
        )
    return f'<div class="aft trace" role="table">{"".join(lines)}</div>'


def tokens(texts: Iterable[tuple[str, Iterable[tuple[str, float, bool]]]]) -> str:
    """Named texts token by token: each with its log-probability in nats, and whether it stands out."""
    rows = []
    for name, said in texts:
        spans = []
        for token, logprob, own in said:
            chance = math.exp(min(0.0, logprob))
            kind = ' class="own"' if own else ""
            hint = f"log p = {logprob:.3f}, p = {chance:.3f}"
            spans.append(f'<span{kind} style="--p:{chance:.3f}" title="{hint}">{escape(token)}</span>')
        rows.append(
            f'<div role="row"><span role="rowheader">{escape(name)}</span>'
            f'<span role="cell" class="said">{"".join(spans)}</span></div>'
        )
    return f'<div class="aft trace said-tokens" role="table" aria-label="tokens">{"".join(rows)}</div>'


def strip(title: str, images: Iterable[str], lines: Iterable[str]) -> str:
    """A title with small pictures before it and lines of text below."""
    text = "<br>".join(f'<span class="num">{escape(line)}</span>' for line in lines)
    return f'<div class="aft pinned">{"".join(images)}<p><b>{escape(title)}</b><br>{text}</p></div>'


def pinned(title: str, pixels: np.ndarray, box: int, lines: Iterable[str]) -> str:
    """A pinned result's picture as large as the present one's, to stand beside it, and lines below."""
    text = "<br>".join(f'<span class="quiet num">{escape(line)}</span>' for line in lines)
    caption = f"<figcaption><b>{escape(title)}</b><br>{text}</figcaption>"
    return f'<div class="aft pinned-map"><figure>{image(pixels, title, box)}{caption}</figure></div>'


def remark(text: str) -> str:
    """A quiet sentence or two under a picture."""
    return f'<p class="aft quiet">{escape(text)}</p>' if text else ""


def placeholder(text: str) -> str:
    """A dashed frame as wide as the panel, where a picture will be."""
    return f'<div class="aft wide-empty">{escape(text)}</div>'


def scale(text: str, bar: np.ndarray, low: str, high: str) -> str:
    """What a map shows, with its colours from low to high: ``bar`` is uint8 (H, W, 3)."""
    return (
        f'<div class="aft"><p>{escape(text)}</p><p class="scale num">{escape(low)}'
        f'<img src="{data_uri(bar)}" alt="colours from low to high">{escape(high)}</p></div>'
    )
