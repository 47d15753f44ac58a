"""What can be set about a comparison of pictures."""

from __future__ import annotations

from typing import Any

import gradio as gr

from workbench.panels.perceptual.choices import measures_here, missing_here, ticked_here
from workbench.panels.perceptual.config import PerceptualConfig

STATES, FILES = "states", "files"
SOURCES = [("the states on the page", STATES), ("my files", FILES)]


def measurement() -> dict[str, Any]:
    """What can be set, by its name in the config; source and files first."""
    defaults = PerceptualConfig()
    with gr.Row():
        source = gr.Radio(SOURCES, value=STATES, label="Pictures", min_width=220, elem_id="perceptual-source")
        files = gr.File(
            label="Files: the reference first",
            file_count="multiple",
            file_types=["image"],
            height=120,
            visible=False,
            elem_id="perceptual-files",
        )
    with gr.Accordion("Measurement", open=False, elem_id="perceptual-settings"):
        measures = gr.CheckboxGroup(
            measures_here(),
            value=ticked_here(),
            label="Measures",
            info=missing_here(),
            elem_id="perceptual-measures",
        )
        with gr.Row():
            against = gr.Radio(
                [("the reference", "reference"), ("the one before", "previous"), ("all others", "all")],
                value=defaults.against,
                label="Compare each picture with",
                min_width=300,
            )
            size = gr.Radio(
                [("the smallest", "smallest"), ("the reference", "reference"), ("refuse", "same")],
                value=defaults.size,
                label="Where sizes differ, take that of",
                info="bicubic; the size stands with every number",
                min_width=300,
            )
        with gr.Row():
            given = gr.Textbox(
                "",
                label="Folder with weights",
                info="of AlexNet, VGG16, SqueezeNet, where they are not in torch's own cache",
                max_lines=1,
                min_width=300,
            )
            download = gr.Checkbox(
                defaults.download,
                label="Download missing weights",
                info="of the measures that are ticked, on Look",
                min_width=220,
            )
    return {
        "source": source,
        "files": files,
        "measures": measures,
        "against": against,
        "size": size,
        "backbones": given,
        "download": download,
    }
