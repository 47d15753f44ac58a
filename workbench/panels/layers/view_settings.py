"""What can be set about the curves besides the bench."""

from __future__ import annotations

from typing import Any

import gradio as gr

from workbench.datasets.scenes import TARGETS
from workbench.page import subject
from workbench.panels.layers.config import MEASURES, QUICK, LayersConfig

FEWER = {"n_train": 240, "n_validation": 80, "n_test": 160}
"""Images of a collection that the page begins with: somebody waits for it. The command takes more."""
WHOLE = ("square", "permutations", "n_train", "n_validation", "n_test", "resamples")
"""Settings that are whole numbers; an emptied field is 0, and refused where it may not be."""


def measurement() -> dict[str, Any]:
    """What can be set besides the bench, by its name in the config."""
    defaults = LayersConfig()
    with gr.Accordion("Measurement", open=False, elem_id="layers-settings"):
        with gr.Row():
            centre = gr.Checkbox(
                defaults.centre,
                label="Centre the states",
                info="subtract an image's mean token before cosines",
                min_width=200,
            )
            purity = subject.purity(defaults.purity)
            permutations = subject.number(defaults.permutations, "Permutations", "behind the grey band")
        with gr.Row():
            measures = gr.CheckboxGroup(list(MEASURES), value=list(QUICK), label="Over a collection, measure")
        with gr.Row():
            targets = gr.Dropdown(
                list(TARGETS),
                value=[],
                multiselect=True,
                allow_custom_value=True,
                label="Read from the whole image",
                info="labels of the collection; its own choice if none is named",
                min_width=200,
            )
            square = subject.square()
            restored = gr.Checkbox(
                False,
                label="Restored",
                info="show the model its own drawing of the image, where it restores images",
                min_width=200,
            )
        with gr.Row():
            train = subject.number(FEWER["n_train"], "Collection: images to fit on")
            validation = subject.number(FEWER["n_validation"], "to choose the penalty")
            test = subject.number(FEWER["n_test"], "to score on")
            resamples = subject.number(defaults.resamples, "Resamples", "behind an interval")
    return {
        "centre": centre,
        "purity": purity,
        "permutations": permutations,
        "measures": measures,
        "targets": targets,
        "square": square,
        "restored": restored,
        "n_train": train,
        "n_validation": validation,
        "n_test": test,
        "resamples": resamples,
    }
