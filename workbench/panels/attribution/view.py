"""The panel "Attribution" on the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Literal

import gradio as gr

from workbench.errors import Refusal
from workbench.pace import Pace
from workbench.page import lenient, markup, subject
from workbench.page.bench import Bench, OnBench
from workbench.page.panel import Named, Panel, Updates, condition
from workbench.page.session import Session
from workbench.page.wiring import QUIET
from workbench.panels.attribution.chart import (
    maps,
    of_image,
    refused,
    stages_of,
    targets_of,
    verdict,
)
from workbench.panels.attribution.config import AttributionConfig
from workbench.panels.attribution.explained import READING
from workbench.panels.attribution.names import ALL_LAYERS
from workbench.panels.attribution.scores import MEASURES
from workbench.panels.attribution.study import NEEDS, STUDY, run
from workbench.panels.attribution.view_settings import WHOLE, settings
from workbench.panels.overlay import OVERLAY

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.models.protocol import Model
    from workbench.runs.result import Result


class AttributionView(Panel):
    """Components and handlers of the panel. Built inside its tab."""

    study = STUDY
    needs = NEEDS
    on_stop = "Stopped. The same look at a collection goes on from there; of one image nothing is kept."
    question = "Which part of the image does the answer rest on?"
    explanation = (
        "Maps of the answer by methods of every kind, side by side on one scale, and beneath each what "
        "becomes of the answer when what it points to is taken away."
    )
    invitation = "Press Look: the quickest map comes at once, the others as they are done."

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        info = "the bundled scenes: does each method point at what the question names? It takes minutes"
        self.subject = subject.Subject(STUDY, "Ask about", info)
        asked = self.subject.place()
        self.verdict = gr.HTML("", elem_id="attribution-verdict")
        with gr.Row(elem_classes="map-choices", visible=False) as self.choices:
            self.word = lenient.Radio([], value=None, label="Explained", elem_id="attribution-word")
            self.layer = lenient.Slider(
                0, 1, value=0, step=1, label="Layer", buttons=[], elem_id="attribution-layer"
            )
            self.opacity = lenient.Slider(
                0.1, 1, value=OVERLAY, step=0.05, label="Opacity", buttons=[], elem_id="attribution-opacity"
            )
        self.measure = lenient.Radio(
            [(title, name) for name, title in MEASURES.items()],
            value="pointing",
            label="Show",
            visible=False,
            elem_id="attribution-measure",
        )
        self.maps = gr.HTML(_empty(), elem_id="attribution-maps")
        self.plot = gr.Plot(show_label=False, visible=False, elem_id="attribution-plot")
        self.beside = gr.HTML("", elem_id="attribution-pinned")
        self.settings = {**asked, **settings()}
        self.foot(READING)
        self.outputs = [
            *(self.verdict, self.choices, self.word, self.layer),
            *(self.measure, self.maps, self.plot, self.beside),
        ]
        self.drawn_with = [self.word, self.layer, self.opacity, self.measure, bench.dark]
        self.printed_with = [self.word, self.layer, self.measure]
        self.wire()
        gr.on(
            [self.word.input, self.layer.input],
            self._with_session(self.choose),
            [self.result, self.word, self.layer],
            None,
            trigger_mode="always_last",
            **QUIET,
        )

    def config(self, on: OnBench, settings: Mapping[str, Any]) -> AttributionConfig:
        """The config of a look at the bench."""
        given = subject.chosen(on, dict(settings))
        given |= {name: int(given[name] or 0) for name in WHOLE}
        if not given["sensitivity"]:
            given["sensitivity"] = 0
        elif given["sensitivity"] is True:
            del given["sensitivity"]  # as many images as is usual
        one = bool(given["image"])
        if not one:
            given |= {"answer": "", "versus": "", "source": "image", "explains": "answer"}
        given["patch"] = _patch(given["patch"]) if given["explains"] == "drawing" else ()
        return AttributionConfig(
            question=on.question if one else "",
            corruption=on.corruption,
            intensity=on.intensity,
            seed=on.seed,
            **given,
        )

    def images(self, on: OnBench, config: AttributionConfig) -> Mapping[str, str]:
        """The picture that goes in, or a collection's list; whether its objects are known."""
        return subject.pictured(on, config.image, config.data)

    def measured(
        self,
        on: OnBench,
        config: AttributionConfig,
        model: Model,
        say: Callable[[Any], None],
        stop: Callable[[], bool],
    ) -> Result:
        """Run the study, passing on its progress and each map as it is done."""
        return run(
            config,
            model,
            picture=on.specimen.picture if config.image else None,
            progress=lambda done, text: say((done, text)),
            show=say,
            stop=stop,
        )

    def progressing(self) -> Callable[[Any], Updates]:
        """Words and a share, and the maps so far."""
        from workbench.panels.attribution.screen import cards

        pace = Pace()

        def show(said: Any) -> Updates:
            if not isinstance(said, tuple):
                return {self.verdict: _told(said), self.maps: cards(said)}
            done, text = said
            return {self.status: markup.status(text[:1].upper() + text[1:], done, pace.left(done))}

        return show

    def shown(self, result: Result | None) -> Updates:
        """The choices that a result brings with it; maps and charts are drawn by ``overlaid``."""
        if result is None:
            return {
                self.verdict: "",
                self.choices: gr.Row(visible=False),
                self.measure: gr.Radio(visible=False),
                self.maps: _empty(),
                self.plot: gr.Plot(visible=False),
            }
        one = of_image(result)
        updates: Updates = {
            self.verdict: _told(result),
            self.choices: gr.Row(visible=one),
            self.measure: gr.Radio(visible=not one),
            self.numbers: _numbers(result),
        }
        if one:
            targets, stages = targets_of(result), stages_of(result)
            updates[self.word] = gr.Radio(
                [(text, k) for k, text in enumerate(targets)], value=0, visible=len(targets) > 1
            )
            updates[self.layer] = gr.Slider(
                maximum=max(1, len(stages) - 1), value=0, visible=len(stages) > 1, label=_layer(result, 0)
            )
        return updates

    def choose(self, session: Session, key: str | None, word: int | None, layer: float | None) -> None:
        """Remember the word and the layer that a person chose, by their names."""
        result = self.kept(session, key)
        if result is not None and of_image(result):
            session.chosen[str(self.word.elem_id)] = targets_of(result)[_target(result, word)]
            session.chosen[str(self.layer.elem_id)] = _stage(result, layer)

    def standing(self, session: Session, result: Result) -> Updates:
        """The chosen word and layer, where this result has them."""
        updates: Updates = {}
        if not of_image(result):
            return updates
        targets, stages = targets_of(result), stages_of(result)
        word, layer = (session.chosen.get(str(part.elem_id)) for part in (self.word, self.layer))
        if word in targets:
            choices = [(text, k) for k, text in enumerate(targets)]
            updates[self.word] = gr.Radio(choices, value=targets.index(word), visible=len(targets) > 1)
        if layer in stages:
            most = max(1, len(stages) - 1)
            updates[self.layer] = gr.Slider(maximum=most, value=stages.index(layer), visible=len(stages) > 1)
        return updates

    def overlaid(self, named: Sequence[Named], pinned: Sequence[Named], *drawn_with: Any) -> Updates:
        """The maps of the chosen word and layer, pinned ones below; of a collection the chart."""
        from workbench.panels.attribution import screen

        word, layer, opacity, measure, dark = drawn_with
        chosen = _stage(named[0][1], layer) if named and of_image(named[0][1]) else ALL_LAYERS
        alone = "".join(
            screen.strip(name, other, _target(other, word), chosen, float(opacity or OVERLAY))
            for name, other in pinned
            if of_image(other)
        )
        if named and of_image(named[0][1]):
            result = named[0][1]
            return {
                self.maps: screen.cards(result, _target(result, word), chosen, float(opacity or OVERLAY)),
                self.layer: gr.Slider(label=_layer(result, layer)),
                self.plot: gr.Plot(visible=False),
                self.beside: alone,
            }
        many = [pair for pair in (*named, *pinned) if not of_image(pair[1])]
        if not named or not many:
            return {self.plot: gr.Plot(visible=False), self.beside: alone}
        theme: Literal["light", "dark"] = "dark" if dark else "light"
        drawn = screen.chart(many, measure or "pointing", theme=theme)
        return {self.maps: "", self.plot: gr.Plot(value=drawn, visible=True), self.beside: alone}

    def prove(self, result: Result) -> None:
        """Also every map of every target at every layer, or the chart."""
        super().prove(result)
        if not of_image(result):
            self.overlaid([("", result)], [], 0, 0, OVERLAY, "pointing", False)
            return
        for target in range(len(targets_of(result))):
            for layer, stage in enumerate(stages_of(result) or [ALL_LAYERS]):
                maps(result, target, stage)
                self.overlaid([("", result)], [], target, layer, OVERLAY, None, False)

    def paper(self, named: Sequence[Named], *printed_with: Any) -> Figure:
        """The chosen word and layer; of a collection where each method points."""
        from workbench.panels.attribution import figure

        word, layer, _ = printed_with
        first = named[0][1]
        alike = [pair for pair in named if of_image(pair[1]) == of_image(first)]
        if not of_image(first):
            return figure.paper(alike)
        target, stage = _target(first, word), _stage(first, layer)
        able = [
            pair
            for pair in alike
            if target < len(targets_of(pair[1])) and stage in (ALL_LAYERS, *stages_of(pair[1]))
        ]
        return figure.paper(able, target=target, stage=stage)

    def table(self, result: Result) -> DataFrame:
        """The measures of each map, or where each method points."""
        return result.tables["maps" if of_image(result) else "pointing"]

    def name(self, result: Result) -> str:
        """The condition, what was asked about, and the model."""
        data = ""
        if "data" in result.tables:
            about = result.tables["data"].set_index("what")["value"]
            data = f", {about['collection']}"
        return f"{condition(result)}{data}, {result.manifest['model']['id']}"


def _patch(typed: str) -> tuple[int, ...]:
    """Row and column as typed; empty where nothing was. Raises Refusal."""
    words = (typed or "").replace(",", " ").split()
    if words and (len(words) != 2 or not all(word.isdecimal() for word in words)):
        raise Refusal(f"A drawn patch is named by its row and column, as in 3, 4; {typed!r} is not.")
    return tuple(map(int, words))


def _target(result: Result, word: Any) -> int:
    """The chosen word, as far as this result has it; else the whole answer."""
    return int(word) if word is not None and int(word) < len(targets_of(result)) else 0


def _stage(result: Result, layer: Any) -> str:
    """The chosen layer by its name."""
    stages = stages_of(result)
    return stages[min(max(int(layer or 0), 0), len(stages) - 1)] if stages else ALL_LAYERS


def _layer(result: Result, layer: Any) -> str:
    return f"Layer: {_stage(result, layer)}"


def _told(result: Result) -> str:
    """What the result says, and which methods do not apply."""
    said = "".join(f"<p>{escape(sentence)}</p>" for sentence in verdict(result))
    reasons = "".join(markup.notice(reason, plain=True) for reason in refused(result))
    return f'<div class="aft told">{said}</div>{reasons}'


def _empty() -> str:
    return markup.placeholder("maps stand here side by side, one for each method")


def _numbers(result: Result) -> Any:
    """The table with three digits; empty where there is no such number."""
    table = result.tables["maps" if of_image(result) else "pointing"]
    table = table.round({column: 3 for column in table.select_dtypes("floating").columns})
    return table.astype(object).where(table.notna(), "")
