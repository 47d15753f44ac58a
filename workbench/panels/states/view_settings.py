"""The sampling parameters of the panel "States" as controls."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import gradio as gr

from workbench.models.limits import MOST_STEPS
from workbench.models.presets import PRESETS, preset
from workbench.models.protocol import MOST_NEW_TOKENS, RENORMS, RESTORES, ROUTES
from workbench.page import lenient
from workbench.page.wiring import QUIET
from workbench.panels.states.config import StatesConfig


def sampling() -> dict[str, Any]:
    """Every sampling parameter by its name in the config."""
    defaults = StatesConfig()

    def slider(low: float, high: float, step: float, value: float, label: str, info: str = "") -> gr.Slider:
        return lenient.Slider(
            low, high, value=value, step=step, label=label, info=info or None, buttons=[], min_width=180
        )

    with gr.Accordion("Sampling", open=False, elem_id="states-settings"):
        sets = [(f"{each.label}: {each.source}", each.name) for each in PRESETS]
        chosen = gr.Dropdown(
            sets, value=None, label="Documented set", info="fills in what is below", elem_id="states-preset"
        )
        with gr.Row():
            restore = gr.Radio(
                list(RESTORES),
                value=defaults.restore,
                label="Draw",
                info="auto: the model decides; always: once",
                min_width=240,
            )
            steps = slider(1, MOST_STEPS, 1, defaults.steps, "Denoising steps", "more are slower")
            shift = slider(
                0.5, 8, 0.1, defaults.shift, "Timestep shift", "above 1: more steps near the noise"
            )
        with gr.Row():
            text_scale = slider(0, 8, 0.1, defaults.text_scale, "Guidance on the text", "1: none")
            image_scale = slider(
                0,
                8,
                0.1,
                defaults.image_scale,
                "Guidance on the image",
                "1: none; acts only with that on the text",
            )
        with gr.Row():
            low = slider(0, 1, 0.05, defaults.interval[0], "Guide while t is above")
            high = slider(0, 1, 0.05, defaults.interval[1], "and at most")
        with gr.Row():
            renorm = gr.Dropdown(
                list(RENORMS),
                value=defaults.renorm,
                label="Renormalise guidance",
                info="global: over all tokens; channel: token by token",
                min_width=180,
            )
            least = slider(0, 1, 0.05, defaults.renorm_min, "Least factor of that", "1: not at all")
        with gr.Row():
            route = gr.Dropdown(
                list(ROUTES),
                value=defaults.route,
                label="The drawing comes back",
                info="re-encode: through the vision tower; bridge: as its latent",
                min_width=180,
            )
            tokens = lenient.Typed(
                defaults.max_new_tokens,
                label="Longest text",
                info="tokens at a time",
                precision=0,
                minimum=1,
                maximum=MOST_NEW_TOKENS,
                min_width=180,
            )
    settings: dict[str, Any] = {
        "restore": restore,
        "steps": steps,
        "shift": shift,
        "text_scale": text_scale,
        "image_scale": image_scale,
        "guide_above": low,
        "guide_up_to": high,
        "renorm": renorm,
        "renorm_min": least,
        "route": route,
        "max_new_tokens": tokens,
    }
    parts = list(settings.values())
    chosen.input(partial(documented, list(settings)), [chosen], parts, **QUIET)
    # A set with one value changed is that set no more.
    gr.on([part.input for part in parts], None, None, [chosen], js="() => null", api_visibility="private")
    return settings


def documented(names: Sequence[str], chosen: str | None) -> list[Any]:
    """What a documented set says for the settings of these names."""
    if not chosen:
        return [gr.skip()] * len(names)
    values = preset(chosen).parameters()
    values["guide_above"], values["guide_up_to"] = values.pop("interval")
    return [values[name] for name in names]
