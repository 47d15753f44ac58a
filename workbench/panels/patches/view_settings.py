"""What can be set of a look at patches besides the bench."""

from __future__ import annotations

from typing import Any

import gradio as gr

from workbench.page.subject import number
from workbench.panels.patches.config import PatchesConfig


def settings() -> dict[str, Any]:
    """What can be set besides the bench, by its name in the config."""
    defaults = PatchesConfig()
    with gr.Accordion("Measurement", open=False, elem_id="patches-settings"):
        with gr.Row():
            words = gr.Textbox(
                "",
                label="Words to follow",
                info="separated by commas; beside the one that the answer begins with",
                max_lines=1,
                min_width=260,
                elem_id="patches-words",
            )
            centre = gr.Checkbox(
                defaults.centre,
                label="Centre the states",
                info="subtract the image's mean token before cosines",
                min_width=200,
            )
        with gr.Row():
            top = number(defaults.top, "Tokens of the lens", "at each patch, 1 to 20")
            longest = number(defaults.max_new_tokens, "Longest answer", "in tokens")
            kept = "whose attention is kept, 0 to 32"
            rows = number(defaults.attention_rows, "Answer tokens", kept, least=0)
    return {
        "words": words,
        "centre": centre,
        "top": top,
        "max_new_tokens": longest,
        "attention_rows": rows,
    }
