"""Painting over the drawing on the page."""

from __future__ import annotations

import hashlib
from typing import Any

import gradio as gr
import numpy as np

from workbench.errors import Refusal
from workbench.images.fit import at_size
from workbench.page import markup
from workbench.page.session import Session

SIDE = 384
"""Pixels that the drawing is shown at for painting, at most."""


class Painting:
    """The editor with its two buttons; ``chosen`` names the painting that counts, and what it is of."""

    def __init__(self, study: str) -> None:
        with gr.Accordion(
            "Paint over the drawing", open=False, visible=False, elem_id=f"{study}-paint"
        ) as fold:
            gr.HTML(
                markup.remark(
                    "Change what the model drew, and see whether its answer follows: paint an object in "
                    "another colour, or paint it away."
                )
            )
            self.editor = gr.ImageEditor(
                type="numpy",
                image_mode="RGB",
                format="png",
                sources=[],
                transforms=[],
                layers=False,
                buttons=[],
                show_label=False,
                height=SIDE + 96,
                canvas_size=(SIDE, SIDE),
                brush=gr.Brush(default_size=24),
                elem_id=f"{study}-editor",
            )
            with gr.Row():
                self.use = gr.Button(
                    "Answer with the painting", size="sm", min_width=200, elem_id=f"{study}-use"
                )
                self.forget = gr.Button(
                    "Leave the painting out", size="sm", min_width=180, elem_id=f"{study}-forget"
                )
        self.fold = fold
        self.chosen = gr.State("")

    def showing(self, drawing: np.ndarray | None) -> dict[Any, Any]:
        """Updates that lay a drawing down to be painted over; without one the editor goes."""
        if drawing is None:
            return {self.fold: gr.Accordion(visible=False), self.editor: gr.skip()}
        large = markup.enlarged(drawing, SIDE)
        value = {"background": large, "layers": [], "composite": large}
        return {self.fold: gr.Accordion(visible=True), self.editor: value}


def flattened(edited: Any, drawing: np.ndarray) -> np.ndarray:
    """What was painted, uint8 of the drawing's size; what was left alone has the drawing's own pixels.

    Raises Refusal where nothing was painted.
    """
    composite = (edited or {}).get("composite")
    if composite is None:
        raise Refusal("There is no painting yet: paint over the drawing first.")
    shown = markup.enlarged(drawing, SIDE)
    painted = at_size(np.asarray(composite)[..., :3].astype(np.uint8), shown.shape[:2])
    touched = (np.abs(painted.astype(int) - shown.astype(int)).max(axis=-1) > 2).astype(np.uint8)
    if not touched.any():
        raise Refusal("Nothing was painted over the drawing yet: choose a brush and a colour.")
    height, width = drawing.shape[:2]
    from PIL import Image

    small = np.asarray(Image.fromarray(painted).resize((width, height), Image.Resampling.BOX))
    where = np.asarray(Image.fromarray(255 * touched).resize((width, height), Image.Resampling.BOX)) > 0
    return np.where(where[..., None], small, drawing)


def keep(session: Session, pixels: np.ndarray) -> str:
    """Keep a painting for this visit; the file's path, named after what it shows. Raises Refusal."""
    from PIL import Image

    path = session.sub("paintings") / f"{hashlib.sha256(pixels.tobytes()).hexdigest()[:24]}.png"
    try:
        with session.writing():
            Image.fromarray(pixels).save(path)
    except OSError as error:
        raise Refusal(f"The painting cannot be kept: {error.strerror}. Free some disk space.") from error
    return str(path)


def read(path: str) -> np.ndarray:
    """A painting that was kept: uint8 (H, W, 3). Raises Refusal where it is there no more."""
    from PIL import Image

    try:
        with Image.open(path) as stored:
            return np.asarray(stored.convert("RGB"))
    except OSError:
        raise Refusal("The painting is no longer kept: paint it again.") from None
