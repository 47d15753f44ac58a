"""The bench: where a person lays the model, the image, its corruption, the question and the seed."""

from __future__ import annotations

import contextlib
import functools
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from workbench.errors import Cancelled, Refusal
from workbench.images.corruptions import CORRUPTIONS, LEVELS
from workbench.page import cards, lenient, shelf
from workbench.page.chooser import Chooser
from workbench.page.host import Chosen, Host
from workbench.page.markup import notice
from workbench.page.pins import Pins
from workbench.page.session import Session, Sessions
from workbench.page.turn import Turns
from workbench.page.wiring import QUIET
from workbench.panels.specimen import CLEAN, Specimen, from_file, outside, scene

FIRST_CORRUPTION = "dark_illumination"
FIRST_INTENSITY = LEVELS["high"]
LARGEST_SEED = 2**31 - 1
PLAIN = "Describe this image."
"""The question for a picture that brings none."""
LOOK = """() => {
  [...document.querySelectorAll(".go .bench-look")].find((button) => button.offsetParent !== null)?.click();
}"""


def _noticing(*emptied: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Write a handler's refusal on the bench, where the last good things stay, and empty the parts named."""

    def around(handler: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(handler)
        def noticed(self: Bench, *values: Any) -> Any:
            try:
                return handler(self, *values)
            except Refusal as refusal:
                sentence: Any = notice(str(refusal))
            except Cancelled:
                sentence = gr.skip()  # the visit is over
            return {self.notice: sentence} | {getattr(self, name): None for name in emptied}

        return noticed

    return around


@dataclass(frozen=True)
class OnBench:
    """What lies on the bench when a panel looks."""

    specimen: Specimen
    corruption: str
    intensity: float
    question: str
    seed: int
    model: Chosen

    @property
    def pictured(self) -> dict[str, str]:
        """What a result of this picture is kept by: its sha256 and, as its objects are known, its scene."""
        scene = {"scene": self.specimen.source} if self.specimen.is_scene else {}
        return {"picture": self.specimen.picture.sha256, **scene}


class Bench:
    """The sidebar's components and what they do. Built inside a Blocks context."""

    def __init__(self, host: Host, sessions: Sessions) -> None:
        self.host, self.sessions = host, sessions
        self.looks: dict[str, gr.Button] = {}
        self.stops: dict[str, gr.Button] = {}
        self.results: dict[str, gr.State] = {}
        """By study, the id of the result that its panel shows."""
        self.specimen = gr.State(f"{shelf.SAMPLE}0")
        first = shelf.sample(0)
        with gr.Sidebar(width=340, elem_id="bench"):
            gr.HTML('<p class="aft bench-name">Afterimage</p>')
            self.chooser = Chooser(host, sessions)
            self.model = self.chooser.model
            with self.chooser.fold:
                gr.HTML('<p class="aft quiet">A saved run, its folder as a .zip</p>')
                self.run = gr.File(show_label=False, height=40, elem_id="saved-run")
            self.run_notice = gr.HTML("", elem_id="saved-run-notice")
            self.picture = gr.HTML(
                cards.picture(first, FIRST_CORRUPTION, FIRST_INTENSITY, 0), elem_id="bench-picture"
            )
            self.outside = gr.HTML("", elem_id="bench-outside")
            self.upload = gr.Image(
                show_label=False,
                type="filepath",
                format="png",
                sources=["upload"],
                height=64,
                buttons=[],
                placeholder="Drop an image here, or click to choose",
                elem_id="image",
            )
            _untouched(self.upload)
            with gr.Row(elem_classes="shelf"):
                self.examples = gr.Gallery(
                    [(str(path), name) for path, name in shelf.samples()],
                    show_label=False,
                    columns=len(shelf.samples()),
                    height=44,
                    object_fit="cover",
                    allow_preview=False,
                    interactive=False,
                    buttons=[],
                    container=False,
                    elem_id="examples",
                )
                self.another = gr.Button("New scene", size="sm", scale=0, min_width=84, elem_id="another")
            self.notice = gr.HTML("", elem_id="bench-notice")
            self.corruption = gr.Dropdown(
                [("none", CLEAN), *((entry.label, name) for name, entry in CORRUPTIONS.items())],
                value=FIRST_CORRUPTION,
                label="Corruption",
                elem_id="corruption",
            )
            self.intensity = lenient.Slider(
                0, 1, value=FIRST_INTENSITY, step=0.01, label="Intensity", buttons=[], elem_id="intensity"
            )
            with gr.Row(elem_classes="marks"):
                for name, value in LEVELS.items():
                    mark = gr.Button(name.capitalize(), size="sm", min_width=0, elem_classes=f"mark-{name}")
                    mark.click(None, None, self.intensity, js=f"() => {value}", api_visibility="private")
            self.question = gr.Textbox(
                first.question, label="Question", lines=1, max_lines=3, elem_id="question"
            )
            self.truth = gr.HTML(cards.truth(first, first.question), elem_id="truth")
            with gr.Row(elem_classes="go") as self.go:
                self.seed = lenient.Typed(
                    0,
                    label="Seed",
                    precision=0,
                    minimum=0,
                    maximum=LARGEST_SEED,
                    min_width=70,
                    elem_id="seed",
                )
            self.dark = gr.Checkbox(False, label="dark ground", visible="hidden")
            self.narrow = gr.Checkbox(False, label="a phone's width", visible="hidden")
            self.turns = Turns()
        self.pins = Pins()  # over the panels: at the end of the sidebar its last row would cover them
        self.inputs: list[Any] = [
            self.specimen,
            self.corruption,
            self.intensity,
            self.question,
            self.seed,
            self.model,
        ]
        self._wire()

    # What the panels ask of it.

    def session(self, request: gr.Request | None) -> Session:
        """The visitor's session."""
        return self.sessions.by(request)

    def on(
        self,
        session: Session,
        specimen: str,
        corruption: str,
        intensity: float,
        question: str,
        seed: float | None,
        model: Chosen,
    ) -> OnBench:
        """The bench's values, with the picture. Raises Refusal."""
        found = shelf.load(session, specimen)
        return OnBench(found, corruption, float(intensity), question or "", _seed(seed), model)

    # What it does itself.

    def _wire(self) -> None:
        laid = [self.specimen, self.upload, self.notice, self.question]
        before = [self.specimen, self.question]
        self.upload.upload(self.lay_file, [self.upload, *before], laid, **QUIET)
        self.question.submit(None, None, None, js=LOOK, api_visibility="private")
        self.examples.select(self.lay_sample, before, laid, **QUIET)
        self.another.click(self.lay_scene, before, laid, **QUIET)
        self.chooser.wire()
        gr.on(
            [self.specimen.change, self.corruption.change, self.intensity.change, self.seed.change],
            self.show_picture,
            [self.specimen, self.corruption, self.intensity, self.seed],
            [self.picture, self.notice],
            trigger_mode="always_last",
            **QUIET,
        )
        gr.on(
            [self.specimen.change, self.model.change],
            self.show_outside,
            [self.specimen, self.model],
            [self.outside, self.notice],
            trigger_mode="always_last",
            **QUIET,
        )
        gr.on(
            [self.specimen.change, self.question.change],
            self.show_truth,
            before,
            [self.truth, self.notice],
            trigger_mode="always_last",
            **QUIET,
        )

    @_noticing("upload")
    def lay_file(self, path: str | None, specimen: str, question: str, request: gr.Request) -> dict[Any, Any]:
        """An uploaded file on the bench; where it cannot be read, the sentence, and the last image stays."""
        if path is None:
            return {self.upload: gr.skip()}
        session = self.session(request)
        found = from_file(Path(path), Path(path).name)
        return self._laid(session, found, shelf.save(session, found), specimen, question)

    @_noticing("upload")
    def lay_sample(
        self, specimen: str, question: str, request: gr.Request, picked: gr.SelectData
    ) -> dict[Any, Any]:
        """One of the example scenes on the bench."""
        number = int(picked.index)
        identity = f"{shelf.SAMPLE}{number}"
        return self._laid(self.session(request), shelf.sample(number), identity, specimen, question)

    @_noticing("upload")
    def lay_scene(self, specimen: str, question: str, request: gr.Request) -> dict[Any, Any]:
        """A freshly drawn scene of the test split on the bench."""
        session = self.session(request)
        found = scene(secrets.randbelow(100_000))
        return self._laid(session, found, shelf.save(session, found), specimen, question)

    def _laid(
        self, session: Session, found: Specimen, identity: str, before: str, question: str
    ) -> dict[Any, Any]:
        """The updates that show a new specimen.

        A question of one's own stays; a scene's goes with it, and a photograph is asked what anyone asks.
        """
        updates: dict[Any, Any] = {self.specimen: identity, self.upload: None, self.notice: ""}
        try:
            asked = shelf.load(session, before).question
        except Refusal:
            asked = ""  # the earlier picture is no longer kept, and this is the way out of that
        if question.strip() in ("", asked, PLAIN):
            updates[self.question] = found.question or PLAIN
        return updates

    @_noticing()
    def show_picture(
        self, specimen: str, corruption: str, intensity: float, seed: float | None, request: gr.Request
    ) -> dict[Any, Any]:
        """The image and, small, what the model will get; what was wrong before is told no longer."""
        found = shelf.load(self.session(request), specimen)
        return {
            self.picture: cards.picture(found, corruption, float(intensity), _seed(seed)),
            self.notice: "",
        }

    @_noticing()
    def show_outside(self, specimen: str, model: Chosen, request: gr.Request) -> dict[Any, Any]:
        """That the picture is outside what the model knows, where it is; once the model is open."""
        found = shelf.load(self.session(request), specimen)
        sentence = ""
        if not found.is_scene:
            with contextlib.suppress(Refusal):  # said on the model's card
                sentence = outside(found.source, self.host.card(model) or self.host.model(model).card)
        return {self.outside: notice(sentence, plain=True)}

    @_noticing()
    def show_truth(self, specimen: str, question: str, request: gr.Request) -> dict[Any, Any]:
        """The true answer, where the question is the scene's own."""
        return {self.truth: cards.truth(shelf.load(self.session(request), specimen), question)}


def _seed(typed: float | None) -> int:
    """The seed, 0 where there is none. Raises Refusal where it cannot be one."""
    seed = typed or 0
    if seed != int(seed) or not 0 <= seed <= LARGEST_SEED:
        raise Refusal(f"A seed is a whole number from 0 to {LARGEST_SEED:,}; this one is {seed:,}.")
    return int(seed)


def _untouched(upload: gr.Image) -> None:
    """Have the component hand over the uploaded file as it came, so that only our own reader decodes it."""

    def path_of(payload: Any) -> str | None:
        return None if payload is None else payload.path

    upload.preprocess = path_of  # type: ignore[method-assign]
