"""The panel "Atlas" on the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from probes.projection import available
from workbench.errors import Cancelled, Refusal
from workbench.page import markup, results
from workbench.page.aside import Aside
from workbench.page.bench import Bench, OnBench
from workbench.page.panel import Named, Panel, Updates, condition
from workbench.page.session import Session
from workbench.page.wiring import QUIET
from workbench.panels.atlas import ways
from workbench.panels.atlas.config import AtlasConfig, Way
from workbench.panels.atlas.study import NEEDS, STUDY, run
from workbench.panels.specimen import CLEAN

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.models.protocol import Model
    from workbench.runs.result import Result

READING = """
Each point is one **visual token**: the state of one patch of one image at one stage. Move over it (or tap
it) to see the patch. Points can be coloured by what is known of them; that, and the layout, ask the model
nothing.

**PCA** is there at once. It is a shadow of the states: what is far apart here is far apart there, what lies
together may still differ along axes that are not shown. The axes say their share of the variance.
**UMAP**, **t-SNE** and **PaCMAP** (where it is installed) start from the first 50 principal components and
keep who is next to whom. They do *not* show: distances between clusters, sizes of clusters, density. Another
seed or another number of neighbours gives another picture; do not read a gap as a finding before it is there
in several, and before a measure of the states themselves (the panel Layers) says the same.

**A plane for each stage** asks how patches relate at that stage, whatever its width. **One plane for all**
asks how stages lie to each other; it wants states of one width, and the growth of their norm from layer to
layer then takes most of the room. Scaling tokens to length 1 takes norms out, those of a few very long
tokens too.

The tokens are a seeded sample: the same patches at each stage of one grid, clean and damaged. Several pinned
results are each laid out by themselves and stand under each other: their colours compare, their places do
not. To compare places of clean and damaged tokens, choose *both* and they share a plane.

A patch of a drawn scene has a **class** where that covers most of it; others are grey.
"""
IMAGE, PROBES = "image", "probes"
CLEAN_ONLY, BENCH, BOTH = "clean", "bench", "both"
NEIGHBOURS = (5, 10, 15, 30, 50, 100)
DISTANCES = (0.0, 0.05, 0.1, 0.25, 0.5, 0.8)
SCRIPT = Path(__file__).with_name("card.js")
PLACE = ["left", "top", "width", "height", "image_width", "image_height"]
INVITATION = "Move over a point, or tap it: its patch, with what is around it, and its picture."
LAYING = "atlas layout"
"""What a visit knows the work beside the page by."""


class AtlasView(Panel):
    """Components and handlers of the panel. Built inside its tab."""

    study = STUDY
    needs = NEEDS
    question = "Which patches does the model hold to be alike?"
    explanation = (
        "A sample of visual tokens on a plane, at several stages; each point is a patch of an image."
    )
    invitation = "Press Look: one pass through the model, and its tokens are laid out."

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.aside = Aside()
        with gr.Row():
            self.subject, self.conditions = _subject(), _conditions()
        with gr.Row():
            self.method, self.planes = _layout(available())
            self.colour = gr.Dropdown([], value=None, label="Colour", min_width=110, elem_id="atlas-colour")
        with gr.Row(visible=False, elem_classes="laying") as self.laying_row:
            self.laying = gr.HTML("", elem_id="atlas-laying")
            self.halt = gr.Button("Stop", size="sm", scale=0, min_width=72, elem_id="atlas-halt")
        self.plot = gr.Plot(show_label=False, visible=False, elem_id="atlas-plot")
        self.card = gr.HTML(
            "", visible=False, js_on_load=SCRIPT.read_text("utf-8"), elem_id="atlas-card", elem_classes="card"
        )
        self.note = gr.HTML(_empty(), elem_id="atlas-note")
        self.ready = gr.State("")
        settings, self.neighbours, self.min_dist = _measurement()
        self.stages = settings["stages"]
        self.settings = {"subject": self.subject, "conditions": self.conditions, **settings}
        self.foot(READING)
        self.outputs = [self.plot, self.card, self.note, self.colour, self.stages, self.method, self.planes]
        way: list[Any] = [self.method, self.planes, self.neighbours, self.min_dist]
        self.drawn_with = [*way, self.colour, bench.dark, bench.narrow, self.ready]
        self.printed_with = [*way, self.colour]
        self.wire()
        shown_pins = [bench.pins.all, bench.pins.shown]
        gr.on(
            [self.result.change, bench.pins.chosen.change, *(part.change for part in way)],
            self._with_session(self.lay),
            [self.result, *shown_pins, *way],
            [self.ready, self.laying, self.laying_row],
            trigger_mode="multiple",
            **QUIET,
        )
        self.halt.click(self._with_session(self.halted), None, [self.laying_row], queue=False, **QUIET)
        self.colour.input(self._with_session(self.choose), [self.colour], None, **QUIET)

    def config(self, on: OnBench, settings: Mapping[str, Any]) -> AtlasConfig:
        """The config of a look: principal components of what lies on the bench, or of the probe set."""
        given = dict(settings)
        image = on.specimen.source if given.pop("subject") == IMAGE else ""
        shown = given.pop("conditions")
        damaged = on.corruption != CLEAN and shown in (BENCH, BOTH)
        for whole in ("images", "tokens"):
            given[whole] = int(given[whole] or 0)
        return AtlasConfig(
            method="pca",
            image=image,
            corruption=on.corruption if damaged else CLEAN,
            intensity=on.intensity,
            with_clean=damaged and shown == BOTH,
            seed=on.seed,
            **given,
        )

    def images(self, on: OnBench, config: AtlasConfig) -> Mapping[str, str]:
        """The picture that goes in, and whether its objects are known; none for the probe set."""
        if not config.image:
            return {}
        return on.pictured

    def measured(
        self,
        on: OnBench,
        config: AtlasConfig,
        model: Model,
        say: Callable[[Any], None],
        stop: Callable[[], bool],
    ) -> Result:
        """Run the study, passing its progress on."""
        picture = on.specimen.picture if config.image else None
        return run(config, model, picture=picture, progress=lambda done, text: say((done, text)), stop=stop)

    def shown(self, result: Result | None) -> Updates:
        """The parts that a result brings with it; the points are drawn by ``overlaid``."""
        from workbench.panels.atlas.colours import choices

        if result is None:
            return {
                self.plot: gr.Plot(visible=False),
                self.card: gr.HTML(visible=False),
                self.note: _empty(),
            }
        able = choices([result])
        updates: Updates = {
            self.numbers: _numbers(result),
            self.colour: _colours(able, able[0]),
            self.stages: gr.Dropdown(choices=result.tables["stages"]["stage"].tolist()),
        }
        if result.config["method"] != "pca":  # of a saved run: shown as it was laid out
            updates |= {self.method: result.config["method"], self.planes: result.config["planes"]}
        return updates

    def standing(self, session: Session, result: Result) -> Updates:
        """The colour that was chosen, where this result has it."""
        from workbench.panels.atlas.colours import choices

        able, chosen = choices([result]), session.chosen.get(STUDY)
        return {self.colour: _colours(able, chosen)} if chosen in able else {}

    def prove(self, result: Result) -> None:
        """Also its points, its card, and that it can be laid out anew."""
        from workbench.panels.atlas import figure

        super().prove(result)
        first = Way(method="pca")
        for one in (result, ways.laid(result, first, ways.projected(result, first))):
            figure.screen([("", one)])
            figure.caveat(one)
        _card([result])

    def choose(self, session: Session, colour: str) -> None:
        """Remember a chosen colour."""
        session.chosen[STUDY] = colour

    # Laying out: what is not at hand is computed beside the page, and PCA stands there until then.

    def completed(self, session: Session, result: Result, *choices: Any) -> Result:
        """The result laid out as chosen, where that is done; as principal components where it is not yet."""
        way = self._way(*choices[:4])
        if way == ways.way_of(result.config):
            return result
        if way.method != "pca":
            found = self.kept(session, ways.identity(result, way))
            if found is not None:
                return found
        for planes in (way.planes, "each"):
            first = way.model_copy(update={"method": "pca", "planes": planes})
            try:
                return ways.laid(result, first, ways.projected(result, first))
            except Refusal:
                continue  # said where it is laid out
        return result

    def lay(
        self, session: Session, key: str | None, all_pins: list[Any], shown: list[str], *way_values: Any
    ) -> Iterator[Updates]:
        """Lay out the present and the pinned results as chosen, each where that is not done yet."""
        way = self._way(*way_values)
        present = self.kept(session, key)
        pinned = self._pinned(session, key, all_pins, shown)
        named = pinned if present is None else [("", present), *pinned]
        todo = [
            (name, result)
            for name, result in named
            if way.method != "pca" and self.completed(session, result, *way_values).config["method"] == "pca"
        ]
        try:
            for _, result in named:
                ways.check(result, way)
            if not todo:
                yield self._at_rest()
                return
            session.stop(LAYING)  # the last choice counts; what it takes the place of may be asked for again
            with session.working(LAYING) as flag:
                for name, result in todo:
                    yield {
                        self.laying_row: gr.Row(visible=True),
                        self.laying: markup.status(_laying(way, result, name)),
                    }
                    call = partial(self.aside.call, stop=flag.is_set)
                    done = ways.laid(result, way, ways.projected(result, way, call=call))
                    identity = ways.identity(result, way)
                    results.keep(session, identity, done)
                    yield {self.ready: identity}
            yield self._at_rest()
        except Cancelled:
            yield {self.laying: gr.skip()}  # whoever stopped it says so
        except Refusal as refusal:
            yield {
                self.laying_row: gr.Row(visible=True),
                self.laying: markup.notice(f"{refusal} PCA is shown.", plain=True),
            }
        except Exception as error:
            yield {self.laying: markup.notice(self._fault(error, "laying out the"))}

    def halted(self, session: Session) -> Updates:
        """Stop laying out; principal components stay."""
        session.stop(LAYING)
        return self._at_rest()

    def _at_rest(self) -> Updates:
        return {self.laying_row: gr.Row(visible=False)}

    def _way(self, method: str, planes: str, neighbours: float, min_dist: float) -> Way:
        return Way(
            method=method,  # type: ignore[arg-type]
            planes=planes,  # type: ignore[arg-type]
            neighbours=int(neighbours),
            min_dist=float(min_dist),
        )

    def commanded(self, config: AtlasConfig, *printed_with: Any) -> AtlasConfig:
        """With the layout that was chosen."""
        return config.model_copy(update=self._way(*printed_with[:4]).model_dump())

    # Drawing.

    def overlaid(self, named: Sequence[Named], pinned: Sequence[Named], *drawn_with: Any) -> Updates:
        """The planes of the present result and, under them, of pinned ones: each laid out by itself."""
        from workbench.panels.atlas import figure

        column, dark, narrow = drawn_with[4:7]
        many = [*named, *pinned]
        if not many:
            return {self.plot: gr.Plot(visible=False), self.card: gr.HTML(visible=False)}
        plot = figure.screen(many, column or "", theme="dark" if dark else "light", narrow=bool(narrow))
        return {
            self.plot: gr.Plot(value=plot, visible=True),
            self.card: gr.HTML(_card([result for _, result in many]), visible=True),
            self.note: markup.remark(figure.caveat(many[0][1])),
        }

    def paper(self, named: Sequence[Named], *printed_with: Any) -> Figure:
        """The same planes."""
        from workbench.panels.atlas import figure

        return figure.paper(list(named), printed_with[4] or "")

    def table(self, result: Result) -> DataFrame:
        """The points."""
        return result.tables["points"]

    def name(self, result: Result) -> str:
        """The condition, what was measured, and the model."""
        subject = "" if result.config["image"] else ", probe set"
        both = "clean and " if result.config["with_clean"] else ""
        return f"{both}{condition(result)}{subject}, {result.manifest['model']['id']}"


def _subject() -> gr.Radio:
    """Whose tokens."""
    choices = [("the image on the bench", IMAGE), ("scenes of the probe set", PROBES)]
    return gr.Radio(choices, value=IMAGE, label="Tokens of", elem_id="atlas-subject", min_width=400)


def _conditions() -> gr.Radio:
    """In which condition."""
    choices = [("as on the bench", BENCH), ("clean", CLEAN_ONLY), ("both", BOTH)]
    return gr.Radio(choices, value=BENCH, label="Condition", elem_id="atlas-conditions", min_width=300)


def _layout(methods: Sequence[str]) -> tuple[gr.Radio, gr.Radio]:
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


def _measurement() -> tuple[dict[str, Any], gr.Dropdown, gr.Dropdown]:
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
            tokens = gr.Number(
                defaults.tokens,
                label="Tokens at most",
                info="over all stages and conditions",
                precision=0,
                minimum=12,
                min_width=150,
            )
            images = gr.Number(
                defaults.images, label="Probe set: scenes", precision=0, minimum=1, min_width=150
            )
            purity = gr.Slider(
                0.05,
                1,
                value=defaults.purity,
                step=0.05,
                label="Label purity",
                info="share of a patch that its class must cover",
                buttons=[],
                min_width=200,
            )
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
    settings = {"stages": stages, "tokens": tokens, "images": images, "purity": purity, "unit": unit}
    return settings, neighbours, min_dist


def _card(results: Sequence[Result]) -> str:
    """An empty card, and the sheet of each result with where its pictures lie on it."""
    sheets = "".join(
        f'<img class="sheet" hidden alt="" src="{markup.data_uri(result.images["sheet"])}" '
        f'data-places="{escape(json.dumps(result.tables["pictures"][PLACE].to_numpy().tolist()))}">'
        for result in results
    )
    return (
        '<div class="aft atlas-card" role="status"><canvas width="132" height="132"></canvas>'
        '<canvas width="132" height="132"></canvas>'
        f'<p class="atlas-words"><span>{INVITATION}</span><br><span class="quiet"></span></p>{sheets}</div>'
    )


def _laying(way: Way, result: Result, name: str) -> str:
    tokens = sum(len(kept) for kept in ways.features(result, way).values())
    of = f" of {name}" if name else ""
    return f"{ways.NAMES[way.method]}{of}, {tokens:,} tokens, beside the page; PCA until then"


def _colours(able: list[str], chosen: str) -> Any:
    from workbench.panels.atlas.colours import WORDS

    return gr.Dropdown(choices=[(WORDS[name], name) for name in able], value=chosen)


def _empty() -> str:
    return markup.placeholder("the tokens stand here, a plane for each stage")


def _numbers(result: Result) -> Any:
    """What each plane holds, with the shares of its first axes."""
    axes = result.tables["axes"]
    table = result.tables["planes"].drop(columns=["planes", "features"]).round({"kept": 3})
    for axis in (1, 2, 3):
        shares = axes[axes["axis"] == axis].set_index("plane")["share"]
        table[f"PC {axis}"] = table["plane"].map(shares).round(3)
    return table.rename(columns={"kept": "variance kept"})
