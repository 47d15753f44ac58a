"""What can be set about an atlas besides the bench."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from workbench.page import subject
from workbench.panels.atlas import ways
from workbench.panels.atlas.config import AtlasConfig

CLEAN_ONLY, BENCH, BOTH = "clean", "bench", "both"
NEIGHBOURS = (5, 10, 15, 30, 50, 100)
DISTANCES = (0.0, 0.05, 0.1, 0.25, 0.5, 0.8)
WHOLE = ("images", "tokens", "square")
"""Settings that are whole numbers; an emptied field is 0, and refused where it may not be."""


def conditions() -> gr.Radio:
    """In which condition."""
    choices = [("as on the bench", BENCH), ("clean", CLEAN_ONLY), ("both", BOTH)]
    return gr.Radio(choices, value=BENCH, label="Condition", elem_id="atlas-conditions", min_width=300)


def layout(methods: Sequence[str]) -> tuple[gr.Radio, gr.Radio]:
    """By which method, on which planes."""
    defaults = AtlasConfig()
    method = gr.Radio(
        [(ways.NAMES[name], name) for name in methods],
        value=defaults.method,
        label="Layout",
        elem_id="atlas-method",
        min_width=220,
    )
    planes = gr.Radio(
        [("one for each", "each"), ("one for all", "joint")],
        value=defaults.planes,
        label="Planes of stages",
        elem_id="atlas-planes",
        min_width=210,
    )
    return method, planes


def measurement() -> tuple[dict[str, Any], gr.Dropdown, gr.Dropdown]:
    """Settings of a look by their names in the config; then neighbours and least distance of the layout."""
    defaults = AtlasConfig()
    with gr.Accordion("Measurement", open=False, elem_id="atlas-settings"):
        with gr.Row():
            stages = gr.Dropdown(
                [],
                value=[],
                multiselect=True,
                allow_custom_value=True,
                label="Stages",
                info="none chosen: llm 0, the middle layer and the last",
                elem_id="atlas-stages",
            )
        with gr.Row():
            tokens = subject.number(
                defaults.tokens, "Tokens at most", "over all stages and conditions", least=12
            )
            images = subject.number(defaults.images, "Of a collection: images", "the first of its test split")
            square = subject.square()
            purity = subject.purity(defaults.purity)
            unit = gr.Checkbox(
                defaults.unit, label="Scale tokens to length 1", info="directions alone count", min_width=200
            )
        with gr.Row():
            neighbours = gr.Dropdown(
                list(NEIGHBOURS),
                value=defaults.neighbours,
                label="Neighbours",
                info="of UMAP and PaCMAP; perplexity of t-SNE",
                min_width=150,
            )
            min_dist = gr.Dropdown(
                list(DISTANCES),
                value=defaults.min_dist,
                label="Least distance",
                info="of UMAP",
                min_width=150,
            )
    settings = {"stages": stages, "tokens": tokens, "images": images, "square": square}
    settings |= {"purity": purity, "unit": unit}
    return settings, neighbours, min_dist
