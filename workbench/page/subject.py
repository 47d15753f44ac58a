"""Whose states a panel measures: the image on the bench, the bundled scenes, or a person's own data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import gradio as gr

from workbench.datasets import SCENES, distant, open_collection
from workbench.errors import Refusal
from workbench.page import lenient
from workbench.page.bench import OnBench
from workbench.page.wiring import QUIET

IMAGE, PROBES, DATA = "image", "probes", "data"
CHOICES = [("the image on the bench", IMAGE), ("the bundled scenes", PROBES), ("your own data", DATA)]


class Subject:
    """The choice and, below whatever stands beside it, where one's own data are (``place``).

    Their settings have the names "subject" and "data". ``image`` tells whether the image
    on the bench can be chosen.
    """

    data: gr.Textbox

    def __init__(self, study: str, label: str, info: str | None = None, *, image: bool = True) -> None:
        choices = CHOICES if image else CHOICES[1:]
        self.kind = gr.Radio(
            choices, value=choices[0][1], label=label, info=info, elem_id=f"{study}-subject", min_width=400
        )
        self.study = study

    def place(self) -> dict[str, Any]:
        """Ask where the data are, here and only where they are asked for; the settings by name."""
        self.data = gr.Textbox(
            "",
            label="Data",
            info="a folder of images, with classes or masks or without; a .parquet; a VLMEvalKit .tsv; the "
            "id of a data set of the Hugging Face hub",
            placeholder="/data/pets, OWNER/NAME …",
            visible=False,
            elem_id=f"{self.study}-data",
        )
        self.kind.change(lambda kind: gr.Textbox(visible=kind == DATA), [self.kind], [self.data], **QUIET)
        return {"subject": self.kind, "data": self.data}


def square() -> lenient.Typed:
    """How large a collection's images are cut."""
    return number(0, "Cut to squares", "of so many pixels; 0: images as they are", least=0)


def purity(value: float) -> gr.Slider:
    """How much of a patch its label covers."""
    return lenient.Slider(
        0.05,
        1,
        value=value,
        step=0.05,
        label="Label purity",
        info="share of a patch that its label must cover",
        buttons=[],
        min_width=200,
    )


def number(value: int, label: str, info: str | None = None, *, least: int = 1) -> lenient.Typed:
    """A whole number among the settings of a measurement."""
    return lenient.Typed(value, label=label, info=info, precision=0, minimum=least, min_width=150)


def chosen(on: OnBench, given: dict[str, Any]) -> dict[str, Any]:
    """The settings with "image" and "data" as a study's config has them.

    Raises Refusal where no data are named, or they may not be opened.
    """
    kind, data = given.pop("subject"), given.pop("data")
    image = on.specimen.source if kind == IMAGE else ""
    return {**given, "image": image, "data": own(data) if kind == DATA else SCENES}


def own(data: str) -> str:
    """The collection that a visitor names. Raises Refusal where none is named, or it may not be opened."""
    named = data.strip()
    if not named:
        raise Refusal(
            "Name your data: a folder, a .parquet, a VLMEvalKit .tsv, or a data set's id of the hub."
        )
    if "SPACE_ID" in os.environ and named != SCENES and not distant(named):
        raise Refusal("On this Space only data sets of the hub are opened: give an id, OWNER/NAME.")
    return named


def pictured(on: OnBench, image: str, data: str) -> Mapping[str, str]:
    """What decides a result besides settings and model: the picture that goes in, or a collection's list."""
    if image:
        return on.pictured
    # The hub's copy is asked for only where progress can be told.
    local = data != SCENES and not distant(data)
    return {"data": open_collection(data).fingerprint} if local else {}
