"""Figures for papers.

The paper style: columns of 3.25 in and pages of 6.75 in, text of 8 points after printing, the Okabe–Ito
colours, fonts embedded, and files that are the same to the last bit whenever and wherever the same figure is
saved with the same versions.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import uuid
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.runs.store import told

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

COLUMN = 3.25
"""Inches: the width of one column of a paper."""
PAGE = 6.75
"""Inches: the width of both."""
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
"""Okabe and Ito's colours for readers of every colour vision, the well legible ones first."""
EASTERN = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Zen Hei"),
    *("PingFang SC", "Hiragino Sans", "Microsoft YaHei", "Malgun Gothic", "Droid Sans Fallback"),
)
"""Fonts of which one may be installed and has the characters of a question that DejaVu Sans lacks."""

MOST_NAMED = 12
"""Characters without a glyph that are named."""

_STYLING = threading.RLock()

# What the formats would otherwise write of the moment and the machine.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}


def _style() -> Any:
    from cycler import cycler
    from matplotlib.font_manager import get_font_names

    installed = set(get_font_names())
    return {
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans", *(name for name in EASTERN if name in installed)],
        "font.size": 8,
        "axes.titlesize": 8,
        "axes.labelsize": 8,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.fontsize": 8,
        "legend.frameon": False,
        "figure.titlesize": 8,
        "figure.figsize": (COLUMN, COLUMN * 0.7),
        "figure.dpi": 100,
        "figure.facecolor": "white",
        "savefig.facecolor": "white",
        "savefig.dpi": 300,
        "savefig.bbox": None,
        "axes.prop_cycle": cycler(color=OKABE_ITO),
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": False,
        "lines.linewidth": 1.2,
        "lines.markersize": 3,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "image.interpolation": "nearest",
        "image.cmap": "cividis",
        # A question with two dollar signs in it is no formula.
        "text.parse_math": False,
        "pdf.fonttype": 42,
        "svg.fonttype": "path",
        "svg.hashsalt": "afterimage",
    }


@contextlib.contextmanager
def paper_style() -> Iterator[None]:
    """Within it, matplotlib draws and saves in the paper style, whatever the user's own settings are.

    matplotlib's settings belong to the process, so only one thread at a time is within.
    """
    import matplotlib

    with _STYLING, matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_style())
        yield


def missing_glyphs(fig: Figure) -> str:
    """A sentence on the characters of a figure that no installed font has; empty where each has its glyph."""
    from matplotlib.text import Text

    known = _characters(tuple(_style()["font.sans-serif"]))
    written = {char for text in fig.findobj(Text) for char in text.get_text()}
    lacking = "".join(sorted(char for char in written if ord(char) not in known and char.isprintable()))
    if not lacking:
        return ""
    some = lacking if len(lacking) <= MOST_NAMED else f"{lacking[:MOST_NAMED]}…"
    return (
        f"No font that is installed here has {some}: the figure shows boxes in their place. Install one that "
        f"has them, such as Noto Sans CJK SC, and save the figure again."
    )


@lru_cache(maxsize=2)
def _characters(fonts: tuple[str, ...]) -> frozenset[int]:
    """The characters that these fonts have together."""
    from matplotlib.font_manager import findfont
    from matplotlib.ft2font import FT2Font

    return frozenset(code for name in fonts for code in FT2Font(findfont(name)).get_charmap())


def save_figure(fig: Figure, stem: Path, formats: Sequence[str] = ("png", "svg", "pdf")) -> list[Path]:
    """Save a figure as ``stem`` plus each format's ending; PNG has 300 dots an inch, the others are vectors.

    Missing parents are made. A file appears whole or not at all. Characters without a glyph are logged, in a
    sentence.

    Raises:
        Refusal: the disk is full or may not be written.
    """
    if lacking := missing_glyphs(fig):
        logging.getLogger(__name__).warning("%s", lacking)
    paths = [stem.parent / f"{stem.name}.{form}" for form in formats]
    with told(stem), paper_style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # said above, once
        stem.parent.mkdir(parents=True, exist_ok=True)
        for form, path in zip(formats, paths, strict=True):
            with whole(path) as fresh:
                fig.savefig(fresh, format=form, metadata=_METADATA[form])
    return paths


def save_numbers(table: DataFrame, path: Path) -> None:
    """Save a table as CSV for a spreadsheet: a header, no index. The file appears whole or not at all.

    Missing parents are made.

    Raises:
        Refusal: the disk is full or may not be written.
    """
    with told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as fresh:
            table.to_csv(fresh, index=False)


def save_text(text: str, path: Path) -> None:
    """Save a text as UTF-8. The file appears whole or not at all; missing parents are made.

    Raises:
        Refusal: the disk is full or may not be written.
    """
    with told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as fresh:
            fresh.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name beside ``path`` to write to; what was written takes its place, unless writing failed."""
    fresh = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        yield fresh
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
