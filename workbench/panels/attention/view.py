"""The panel "Attention" on the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import gradio as gr

from workbench.page import lenient, markup, subject
from workbench.page.bench import Bench, OnBench
from workbench.page.panel import Named, Panel, Updates, condition
from workbench.page.session import Session
from workbench.page.wiring import QUIET
from workbench.panels.attention.config import AttentionConfig
from workbench.panels.attention.explained import READING
from workbench.panels.attention.reading import (
    DRAWING,
    MEAN,
    MOST,
    RULES,
    WAYS,
    Asked,
    Way,
    drew,
    fitting,
    heads_of,
    of_image,
    span,
    stages_of,
    tokens_of,
    views_of,
    ways_of,
)
from workbench.panels.attention.study import NEEDS, STUDY, run
from workbench.panels.attention.view_settings import COLLECTION_WHOLE, settings
from workbench.panels.layers.skipped import skipped

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.models.protocol import Model
    from workbench.runs.result import Result

BOX = 384
OF_ANSWER = " The matrix and the curves are of the prompt with the answer, not of the one in which it draws."
Choices = dict[str, Any]
"""What a person chose of a result: tokens, view, way, head, weighted, sinks, stage by its name."""


class AttentionView(Panel):
    """Components and handlers of the panel. Built inside its tab."""

    study = STUDY
    needs = NEEDS
    question = "What does the answer attend to?"
    explanation = (
        "Where each word of the answer looks in the image, by layer and head, and how much of its attention "
        "goes to the image, the drawing and the words."
    )
    invitation = "Press Look, then choose words, layers and heads: nothing is computed again."

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        info = "a collection has the shares of attention over the layers, with intervals, and no maps"
        self.subject = subject.Subject(STUDY, "Ask about", info)
        asked = self.subject.place()
        self.asked = gr.State(None)
        with gr.Column(visible=False, elem_id="attention-parts") as self.parts:
            self.tokens = gr.CheckboxGroup([], label="From", elem_id="attention-tokens")
            with gr.Row(elem_classes="patch-choices"):
                self.way = lenient.Radio([], label="Map", elem_id="attention-way", min_width=220)
                self.view = _choice("On", "attention-view")
                self.head = _choice("Head", "attention-head")
                self.sinks = gr.Dropdown(
                    [(name, rule) for rule, name in RULES.items()],
                    value="keep",
                    label="Sinks",
                    min_width=200,
                    elem_id="attention-sinks",
                )
                self.weighted = gr.Checkbox(
                    False, label="Weighted by values", min_width=150, elem_id="attention-weighted"
                )
            self.stage = lenient.Slider(
                0, 1, value=0, step=1, label="Layer", buttons=[], elem_id="attention-stage"
            )
            with gr.Row(elem_id="attention-maps"):
                with gr.Column(elem_classes="patch-column", min_width=0):
                    self.map = gr.Image(
                        format="png",
                        show_label=False,
                        interactive=False,
                        buttons=[],
                        container=False,
                        elem_id="attention-map",
                        elem_classes="patch-map",
                    )
                    self.caption = gr.HTML("", elem_id="attention-caption")
                self.beside = gr.HTML("", elem_id="attention-beside")
                self.blocks = gr.HTML("", elem_id="attention-blocks", min_width=280)
        self.plot = gr.Plot(show_label=False, visible=False, elem_id="attention-plot")
        self.remark = gr.HTML("", elem_id="attention-remark")
        self.empty = gr.HTML(_empty(), elem_id="attention-empty")
        self.settings = {**asked, **settings()}
        self.foot(READING)
        self.chosen_by: dict[str, Any] = {
            "tokens": self.tokens,
            "way": self.way,
            "view": self.view,
            "head": self.head,
            "sinks": self.sinks,
            "weighted": self.weighted,
            "stage": self.stage,
        }
        self.outputs = [
            *(self.map, self.caption, self.beside, self.blocks, self.plot, self.remark),
            *(self.tokens, self.stage, self.view, self.head, self.weighted, self.sinks),
        ]
        self.drawn_with = [self.asked, bench.dark]
        self.printed_with = [self.asked]
        self.wire()
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
        return [*super().every, self.empty, self.parts, self.asked, self.way]

    def config(self, on: OnBench, settings: Mapping[str, Any]) -> AttentionConfig:
        """The config of a look at the bench."""
        given = subject.chosen(on, dict(settings))
        for name in ("tokens", "max_new_tokens", "steps", *COLLECTION_WHOLE):
            given[name] = int(given[name] or 0)
        if not given["image"]:
            given |= {"flow": False, "restore": "never"}
        return AttentionConfig(
            question=on.question if given["image"] else "",
            corruption=on.corruption,
            intensity=on.intensity,
            seed=on.seed,
            **given,
        )

    def images(self, on: OnBench, config: AttentionConfig) -> Mapping[str, str]:
        """The picture that goes in, or a collection's list."""
        return subject.pictured(on, config.image, config.data)

    def measured(
        self,
        on: OnBench,
        config: AttentionConfig,
        model: Model,
        say: Callable[[Any], None],
        stop: Callable[[], bool],
    ) -> Result:
        """Run the study, passing its progress on."""
        picture = on.specimen.picture if config.image else None
        return run(config, model, picture=picture, progress=lambda done, text: say((done, text)), stop=stop)

    def shown(self, result: Result | None) -> Updates:
        """The choices that a result brings with it; maps and curves are drawn by ``overlaid``."""
        if result is None:
            return {
                self.empty: _empty(),
                self.parts: gr.Column(visible=False),
                self.plot: gr.Plot(visible=False),
            }
        choices: Updates = self._offering(result, _first(result)) if of_image(result) else {self.asked: {}}
        return {
            self.empty: "",
            self.parts: gr.Column(visible=of_image(result)),
            self.numbers: _numbers(result),
            **choices,
        }

    def _offering(self, result: Result, asked: Choices) -> Updates:
        """What a result lets be chosen, and these choices among it."""
        stages = stages_of(result)
        words = [(f"{text.strip() or 'space'}", k) for k, text in enumerate(tokens_of(result))]
        words += [("the drawing", DRAWING)] if drew(result) else []
        heads = [("mean over heads", MEAN), ("largest of the heads", MOST)]
        heads += [(f"head {k + 1}", k) for k in range(heads_of(result))]
        views = [(kind, k) for k, kind in enumerate(views_of(result))]
        return {
            self.asked: asked,
            self.tokens: gr.CheckboxGroup(words, value=list(asked["tokens"])),
            self.way: gr.Radio([(WAYS[way], way) for way in ways_of(result)], value=asked["way"]),
            self.view: gr.Dropdown(views, value=asked["view"]),
            self.head: gr.Dropdown(heads, value=asked["head"]),
            self.sinks: gr.Dropdown(value=asked["sinks"]),
            self.weighted: gr.Checkbox(value=asked["weighted"]),
            self.stage: gr.Slider(maximum=max(1, len(stages) - 1), value=stages.index(asked["stage"])),
        }

    def prove(self, result: Result) -> None:
        """Also every map at every layer, and the curves."""
        super().prove(result)
        if not of_image(result):
            self.overlaid([("", result)], [], {}, False)
            return
        sources: list[list[int]] = [[], [DRAWING]] if drew(result) else [[]]
        for way in ways_of(result):
            for stage in stages_of(result):
                for tokens in sources:
                    chosen = _first(result) | {"way": way, "stage": stage, "tokens": tokens}
                    self.overlaid([("", result)], [], chosen | {"sinks": "massive", "weighted": True}, False)

    def choose(self, name: str, session: Session, key: str | None, asked: Choices | None, value: Any) -> Any:
        """The choices with this one among them, the layer by its stage's name; it stays chosen."""
        result = self.kept(session, key)
        if result is None or value is None or not of_image(result):
            return gr.skip()
        if name == "stage":
            stages = stages_of(result)
            value = stages[min(max(int(value), 0), len(stages) - 1)]
        before = asked or _first(result)
        if name == "tokens":
            value = _ticked([int(k) for k in value], before["tokens"])
        session.chosen.setdefault(STUDY, {})[name] = value
        return before | {name: value}

    def standing(self, session: Session, result: Result) -> Updates:
        """What was chosen, as far as this result has it."""
        if not of_image(result):
            return {}
        chosen: Choices = session.chosen.get(STUDY, {})
        return self._offering(result, _fitting(result, _first(result) | chosen))

    def overlaid(self, named: Sequence[Named], pinned: Sequence[Named], *drawn_with: Any) -> Updates:
        """The map of the chosen tokens and layer, pinned results' beside it, blocks and curves."""
        if not named:
            return {self.beside: "", self.blocks: "", self.remark: "", self.plot: gr.Plot(visible=False)}
        from workbench.panels.attention.maps import map_image
        from workbench.panels.attention.screen import blocks, screen

        (_, result), (choices, dark) = named[0], drawn_with
        alike = [pair for pair in pinned if of_image(pair[1]) == of_image(result)]
        theme: Any = "dark" if dark else "light"
        if not of_image(result):
            plot = screen([*named, *alike], theme=theme)
            return {self.plot: gr.Plot(plot, visible=True), self.remark: markup.remark(skipped(result))}
        asked, stage = _asked(result, choices)
        able = [other for _, other in alike if stage in stages_of(other)]
        every = [(result, asked), *((other, fitting(other, asked)) for other in able)]
        ends = span(every, stages_of(result) if asked.way == "flow" else [stage])
        layered = asked.way == "layer"
        several = len(views_of(result)) > 1 and asked.tokens != (DRAWING,)
        return {
            self.map: map_image(result, stage, asked, ends),
            self.caption: _caption(result, stage, asked, ends),
            self.stage: gr.Slider(label=f"Layer: the one that writes {stage}"),
            self.view: gr.Dropdown(visible=several),
            self.head: gr.Dropdown(visible=layered),
            self.weighted: gr.Checkbox(visible=layered and asked.tokens != (DRAWING,)),
            self.sinks: gr.Dropdown(visible=asked.tokens != (DRAWING,)),
            self.tokens: gr.CheckboxGroup(value=list(asked.tokens)),
            self.beside: "".join(_beside(name, other, stage, asked, ends) for name, other in alike),
            self.blocks: blocks(result, stage, asked.head if layered else MEAN),
            self.plot: gr.Plot(screen([*named, *alike], asked, stage=stage, theme=theme), visible=True),
            self.remark: markup.remark(_answer(result) + (OF_ANSWER if asked.tokens == (DRAWING,) else "")),
        }

    def paper(self, named: Sequence[Named], *printed_with: Any) -> Figure:
        """Maps over the layers, shares, blocks; pinned results have a row of maps and a curve each."""
        from workbench.panels.attention import figure

        first = named[0][1]
        alike = [pair for pair in named if of_image(pair[1]) == of_image(first)]
        if not of_image(first):
            return figure.paper(alike)
        asked, stage = _asked(first, *printed_with)
        able = [pair for pair in alike if asked.way in ways_of(pair[1])]
        return figure.paper(able, asked, stage=stage)

    def table(self, result: Result) -> DataFrame:
        """Shares by layer and kind."""
        from workbench.panels.attention.reading import share_table

        return share_table(result, Asked())

    def behind(self, result: Result, *printed_with: Any) -> DataFrame:
        """What each patch is given at each layer; of a collection the shares."""
        from workbench.panels.attention import figure

        if not of_image(result):
            return self.table(result)
        return figure.numbers(result, fitting(result, _asked(result, *printed_with)[0]))

    def name(self, result: Result) -> str:
        """What was done to the image, and the model."""
        return f"{condition(result)}, {result.manifest['model']['id']}"


def _choice(label: str, name: str) -> gr.Dropdown:
    return gr.Dropdown([], value=None, label=label, visible=False, min_width=180, elem_id=name)


def _ticked(now: list[int], before: Sequence[int]) -> list[int]:
    """The tokens that are ticked: the drawing stands alone, whichever was ticked last."""
    if DRAWING in now and DRAWING not in before:
        return [DRAWING]
    return [k for k in now if k != DRAWING] or ([DRAWING] if DRAWING in now else [])


def _first(result: Result) -> Choices:
    """What is shown before anybody chooses: the whole answer, half-way through the language model."""
    stages = stages_of(result)
    return {
        "tokens": list(range(len(tokens_of(result)))),
        "view": 0,
        "way": "layer",
        "head": MEAN,
        "sinks": "keep",
        "weighted": False,
        "stage": stages[(len(stages) - 1) // 2],
    }


def _fitting(result: Result, asked: Choices) -> Choices:
    """The choices as far as this result has them: some may be of an earlier one."""
    first = _first(result)
    tokens = [k for k in asked["tokens"] if k in first["tokens"] or (k == DRAWING and drew(result))]
    has: Mapping[str, Sequence[Any]] = {
        "view": range(len(views_of(result))),
        "way": ways_of(result),
        "head": range(MOST, heads_of(result)),
        "sinks": list(RULES),
        "stage": stages_of(result),
        "weighted": (False, True),
    }
    kept = {name: asked[name] for name, known in has.items() if asked[name] in known}
    return first | kept | {"tokens": tokens or first["tokens"]}


def _asked(result: Result, choices: Choices | None) -> tuple[Asked, str]:
    """What the choices ask of this result, and at which stage."""
    fit = _fitting(result, _first(result) | (choices or {}))
    way: Way = fit["way"] if fit["way"] in get_args(Way) else "layer"
    asked = Asked(tuple(fit["tokens"]), fit["view"], way, fit["head"], fit["weighted"], fit["sinks"])
    return fitting(result, asked), fit["stage"]


def _caption(result: Result, stage: str, asked: Asked, ends: tuple[float, float]) -> str:
    """What the map shows, with its scale."""
    from workbench.panels.attention.maps import percent, said
    from workbench.panels.overlay import scale_bar

    return markup.scale(said(result, stage, asked), scale_bar(), *(percent(end) for end in ends))


def _beside(name: str, other: Result, stage: str, asked: Asked, ends: tuple[float, float]) -> str:
    """The same tokens, layer and colours of a pinned result; a sentence where it has no such map."""
    from workbench.panels.attention.maps import map_image, source

    if stage not in stages_of(other):
        return markup.strip(name, (), [f"It has no layer that writes {stage}."])
    own = fitting(other, asked)
    if own.way != asked.way:
        return markup.strip(name, (), [f"It holds no {WAYS[asked.way]}."])
    return markup.pinned(name, map_image(other, stage, own, ends), BOX, [source(other, own)])


def _answer(result: Result) -> str:
    """What the model answered."""
    row = result.tables["answer"].iloc[0]
    asked = result.config["question"]
    to = f"Asked “{asked}”, the" if asked else "Without a question, the"
    after = " after its drawing" if "drawn" in result.images else ""
    kept, every = len(tokens_of(result)), len(result.tables["tokens"])
    some = f" The attention of its first {kept} of {every} tokens is kept." if kept < every else ""
    return f"{to} model answers “{row['answer']}”{after}, p {row['probability']:.2f}.{some}"


def _empty() -> str:
    return markup.placeholder("the picture stands here, and where the answer's words look in it")


def _numbers(result: Result) -> Any:
    """Shares by layer (rows) and kind (columns), in per cent."""
    from workbench.panels.attention.reading import share_table

    table = share_table(result, Asked())
    wide = table.pivot_table("value", "stage", "kind", sort=False, dropna=False)
    return (100 * wide).round(1).reset_index()
