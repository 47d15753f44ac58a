"""The panel "Patches" on the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from workbench.page import lenient, markup
from workbench.page.bench import Bench, OnBench
from workbench.page.panel import Named, Panel, Progress, Updates, condition
from workbench.page.session import Session
from workbench.page.wiring import QUIET
from workbench.panels.capture.study import STUDY as CAPTURE
from workbench.panels.patches.captions import answer, beside, caption
from workbench.panels.patches.choices import PLACE, Choices, asked_by, first, fitting
from workbench.panels.patches.config import PatchesConfig
from workbench.panels.patches.explained import NO_ATTENTION, NO_LENS, READING
from workbench.panels.patches.quantities import (
    ALL,
    ATTENTION,
    QUANTITIES,
    SIMILARITY,
    WORD,
    Asked,
    compared,
    heads_of,
    held,
    queries_of,
    said,
    shape_of,
    span,
    stages_of,
    values,
    words_of,
)
from workbench.panels.patches.saved import from_capture
from workbench.panels.patches.study import NEEDS, STUDY, run
from workbench.panels.patches.view_settings import settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.models.protocol import Model
    from workbench.runs.result import Result


class PatchesView(Panel):
    """Components and handlers of the panel. Built inside its tab."""

    study = STUDY
    needs = NEEDS
    question = "What does the model have at one patch of the image?"
    explanation = (
        "Which patches are like it, which words the lens reads there, and how much attention it receives, "
        "at any layer."
    )
    invitation = "Press Look, then click a patch and scrub the layers: nothing is computed again."

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.asked = gr.State(None)
        with gr.Column(visible=False, elem_id="patches-parts") as self.parts:
            with gr.Row(elem_classes="patch-choices"):
                self.show = lenient.Radio(
                    [(name, key) for key, name in QUANTITIES.items()],
                    value=SIMILARITY,
                    label="Map",
                    elem_id="patches-show",
                )
                self.word = _choice("Word", "patches-word")
                self.query = _choice("From", "patches-query")
                self.head = _choice("Head", "patches-head")
            self.stage = lenient.Slider(
                0, 1, value=0, step=1, label="Stage", buttons=[], elem_id="patches-stage"
            )
            with gr.Row(elem_id="patches-maps"):
                with gr.Column(elem_classes="patch-column", min_width=0):
                    self.map = gr.Image(
                        format="png",
                        show_label=False,
                        interactive=False,
                        buttons=[],
                        container=False,
                        elem_id="patches-map",
                        elem_classes="patch-map",
                    )
                    self.caption = gr.HTML("", elem_id="patches-caption")
                    with gr.Row(elem_classes="pairs"):
                        self.row = lenient.Number(
                            1, label="Patch, row", precision=0, minimum=1, min_width=90, elem_id="patches-row"
                        )
                        self.col = lenient.Number(
                            1, label="column", precision=0, minimum=1, min_width=90, elem_id="patches-column"
                        )
                self.beside = gr.HTML("", elem_id="patches-beside")
                with gr.Column(elem_classes="rungs-column", min_width=0):
                    self.rungs = gr.HTML("", elem_id="patches-rungs")
                    self.remark = gr.HTML("", elem_id="patches-remark")
        self.empty = gr.HTML(_empty(), elem_id="patches-empty")
        self.settings = settings()
        self.foot(READING)
        self.chosen_by: dict[str, Any] = {
            "show": self.show,
            "word": self.word,
            "query": self.query,
            "head": self.head,
            "stage": self.stage,
            "row": self.row,
            "column": self.col,
        }
        self.outputs = [
            *(self.map, self.caption, self.beside, self.rungs, self.remark),
            *(self.stage, self.row, self.col, self.word, self.query, self.head),
        ]
        self.drawn_with = self.printed_with = [self.asked]
        self.wire()
        self.map.select(self.pick, [self.result, self.asked], [self.asked], **QUIET)
        # Only what a person does is a choice; a value that a result brought with it is none.
        for name, part in self.chosen_by.items():
            part.input(
                self._with_session(partial(self.choose, name)),
                [self.result, self.asked, part],
                [self.asked],
                trigger_mode="always_last",
                **QUIET,
            )

    @property
    def every(self) -> list[Any]:
        """Also what a result brings with it and no drawing of it changes."""
        return [*super().every, self.empty, self.parts, self.asked, self.show]

    def config(self, on: OnBench, settings: Mapping[str, Any]) -> PatchesConfig:
        """The config of a look at the bench."""
        given = dict(settings)
        words = (" ".join(word.split()) for word in str(given.pop("words") or "").split(","))
        for whole in ("top", "max_new_tokens", "attention_rows"):
            given[whole] = int(given[whole] or 0)
        return PatchesConfig(
            image=on.specimen.source,
            question=on.question,
            corruption=on.corruption,
            intensity=on.intensity,
            seed=on.seed,
            words=tuple(dict.fromkeys(word for word in words if word)),
            **given,
        )

    def images(self, on: OnBench, config: PatchesConfig) -> Mapping[str, str]:
        """The picture that goes in, and whether its objects are known."""
        return on.pictured

    def measured(
        self,
        on: OnBench,
        config: PatchesConfig,
        model: Model,
        say: Callable[[Any], None],
        stop: Callable[[], bool],
    ) -> Result:
        """Run the study, passing its progress on."""
        picture = on.specimen.picture
        return run(config, model, picture=picture, progress=lambda done, text: say((done, text)), stop=stop)

    def shown(self, result: Result | None) -> Updates:
        """The choices that a result brings with it; maps and words are drawn by ``overlaid``."""
        if result is None:
            return {self.empty: _empty(), self.parts: gr.Column(visible=False)}
        return {
            self.empty: "",
            self.parts: gr.Column(visible=True),
            self.numbers: _numbers(result),
            **self._offering(result, first(result)),
        }

    def _offering(self, result: Result, asked: Choices) -> Updates:
        """What a result lets be chosen, and these choices among it."""
        stages, queries = stages_of(result), queries_of(result)
        rows, cols = shape_of(result)
        heads = [("mean over heads", ALL), *((f"head {k + 1}", k) for k in range(heads_of(result)))]
        return {
            self.asked: asked,
            self.show: gr.Radio([(QUANTITIES[key], key) for key in held(result)], value=asked["show"]),
            self.word: gr.Dropdown(words_of(result), value=asked["word"] or None),
            self.query: gr.Dropdown(queries, value=asked["query"] if queries else None),
            self.head: gr.Dropdown(heads, value=asked["head"]),
            self.stage: gr.Slider(maximum=max(1, len(stages) - 1), value=stages.index(asked["stage"])),
            self.row: gr.Number(value=asked["row"], maximum=rows),
            self.col: gr.Number(value=asked["column"], maximum=cols),
        }

    def from_saved(self, run: Result, progress: Progress, stop: Callable[[], bool]) -> list[Result]:
        """A result of this study as it is; of a capture one result for each of its images."""
        return from_capture(run) if run.study == CAPTURE else super().from_saved(run, progress, stop)

    def prove(self, result: Result) -> None:
        """Also every map at every stage, and the words and numbers of a patch."""
        super().prove(result)
        for show in held(result):
            for stage in stages_of(result):
                values(result, stage, Asked(0, show)), said(result, stage, Asked(0, show))
            self.overlaid([("", result)], [], first(result) | {"show": show})

    def choose(self, name: str, session: Session, key: str | None, asked: Choices | None, value: Any) -> Any:
        """The choices with this one among them, the stage by its name; it stays chosen."""
        result = self.kept(session, key)
        if result is None or value is None:
            return gr.skip()
        if name == "stage":
            stages = stages_of(result)
            value = stages[min(max(int(value), 0), len(stages) - 1)]
        elif name in PLACE:
            value = min(max(int(value), 1), shape_of(result)[PLACE.index(name)])
        session.chosen.setdefault(STUDY, {})[name] = value
        return (asked or first(result)) | {name: value}

    def standing(self, session: Session, result: Result) -> Updates:
        """What was chosen, as far as this result has it."""
        chosen: Choices = session.chosen.get(STUDY, {})
        standing = fitting(result, first(result) | chosen)
        return self._offering(result, standing)

    def overlaid(self, named: Sequence[Named], pinned: Sequence[Named], *drawn_with: Any) -> Updates:
        """The map of the chosen patch and stage, pinned results' beside it, and the patch in words."""
        if not named:
            return {self.beside: ""}
        from workbench.panels.patches.figure import asked_of
        from workbench.panels.patches.ladder import MISLEADS, ladder
        from workbench.panels.patches.maps import map_image
        from workbench.panels.patches.screen import rungs

        result = named[0][1]
        asked, stage = asked_by(result, *drawn_with)
        able = [other for _, other in pinned if stage in stages_of(other) and asked.show in held(other)]
        every = [(result, asked), *((other, asked_of(result, asked, other)) for other in able)]
        ends = span(every, compared(result, asked.show, stage))
        row, col = divmod(asked.token, shape_of(result)[1])
        read = "lens_ids" in result.arrays
        remarks = [MISLEADS if read else NO_LENS]
        remarks += [] if "attention_000" in result.arrays else [NO_ATTENTION]
        return {
            self.map: map_image(result, stage, asked, ends),
            self.caption: caption(result, stage, asked, ends),
            self.stage: gr.Slider(label=f"Stage: {stage}"),
            self.row: row + 1,
            self.col: col + 1,
            self.word: gr.Dropdown(visible=asked.show == WORD),
            self.query: gr.Dropdown(visible=asked.show == ATTENTION),
            self.head: gr.Dropdown(visible=asked.show == ATTENTION),
            self.beside: "".join(beside(name, other, result, stage, asked, ends) for name, other in pinned),
            self.rungs: rungs(ladder(result, asked), stage, asked.word),
            self.remark: "".join(markup.remark(remark) for remark in [answer(result), *remarks]),
        }

    def paper(self, named: Sequence[Named], *printed_with: Any) -> Figure:
        """The chosen patch and map over the stages, the chosen stage among them; a row for each result."""
        from workbench.panels.patches import figure

        asked, stage = asked_by(named[0][1], *printed_with)
        able = [pair for pair in named if asked.show in held(pair[1])]
        return figure.paper(able, asked, stage=stage)

    def table(self, result: Result) -> DataFrame:
        """The stages."""
        return result.tables["stages"]

    def behind(self, result: Result, *printed_with: Any) -> DataFrame:
        """Everything about every patch; cosines are to the chosen one."""
        from workbench.panels.patches.ladder import numbers

        return numbers(result, asked_by(result, *printed_with)[0])

    def name(self, result: Result) -> str:
        """What was done to the image, and the model."""
        return f"{condition(result)}, {result.manifest['model']['id']}"

    def pick(self, key: str | None, asked: Choices | None, request: gr.Request, picked: gr.SelectData) -> Any:
        """The choices with the patch that was clicked; it stays chosen."""
        from workbench.panels.patches.maps import token_at

        session = self.bench.session(request)
        result = self.kept(session, key)
        if result is None:
            return gr.skip()
        x, y = picked.index
        place = divmod(token_at(result, float(x), float(y)), shape_of(result)[1])
        for name, at in zip(PLACE, place, strict=True):
            asked = self.choose(name, session, key, asked, at + 1)
        return asked


def _choice(label: str, name: str) -> gr.Dropdown:
    return gr.Dropdown([], value=None, label=label, visible=False, min_width=180, elem_id=name)


def _empty() -> str:
    return markup.placeholder("the picture stands here: click a patch, scrub the layers")


def _numbers(result: Result) -> Any:
    """The stages' table with three digits; empty where a stage has no such number."""
    table = result.tables["stages"].drop(columns=["index", "lens", "attention"])
    table = table.round({name: 3 for name in table.select_dtypes("floating").columns})
    return table.astype(object).where(table.notna(), "")
