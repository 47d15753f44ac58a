"""What a panel is made of: the parts that all of them have, what each adds, what every handler needs."""

from __future__ import annotations

import inspect
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import gradio as gr

from workbench.errors import Refusal
from workbench.page import lane, pins, results
from workbench.page.bench import Bench, OnBench
from workbench.page.host import Chosen
from workbench.page.session import Session
from workbench.panels.needs import NOBODY

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from pydantic import BaseModel

    from workbench.models.protocol import Capability, ModelCard
    from workbench.runs.result import Result

Updates = dict[Any, Any]
"""What a handler answers with: new values, or components as they are to be, by component."""
Named = tuple[str, "Result"]
"""A result with the name it is shown under."""
Progress = Callable[[float, str], None]
"""Told the share that is done, 0 … 1, and what is being done."""


@dataclass(frozen=True)
class Done:
    """A finished look: its id, its result, what lay on the bench, the card of the model that looked."""

    key: str
    result: Result
    on: OnBench
    card: ModelCard


class Frame(ABC):
    """The parts of a panel by name, its hooks, and what its handlers share.

    ``needs`` is what a model must be able to do to be looked at here.
    Handlers get the visitor's session first; the values of the bench follow, then those of ``settings``,
    which are components by the name of what they set. ``outputs`` are the parts that a result fills;
    ``drawn_with`` are choices that only redraw what is kept, ``printed_with`` those that the figure for paper
    follows.
    """

    study: str
    needs: frozenset[Capability]
    asks_model: bool = True
    """Whether a model takes part in a look; where none does, ``measured`` gets None for it."""
    documents: bool = False
    """Whether a result can be had as a page of HTML, which ``document`` writes."""
    series: bool = False
    """Whether results are drawn in the order in which they were pinned, the present one last."""
    question: str
    explanation: str
    invitation: str

    bench: Bench
    result: gr.State
    status: gr.HTML
    settings: Mapping[str, Any]
    outputs: Sequence[Any]
    drawn_with: Sequence[Any]
    printed_with: Sequence[Any]
    leads: Mapping[str, gr.Button]
    """Buttons that lead to another panel, by its study; it looks at once at what lies on the bench."""

    # What a panel adds.

    @abstractmethod
    def config(self, on: OnBench, settings: Mapping[str, Any]) -> BaseModel:
        """The study's config for what lies on the bench, and the settings' values. Raises Refusal."""

    @abstractmethod
    def images(self, on: OnBench, config: Any) -> Mapping[str, str]:
        """sha256 of the images that go in, by name: with model and config they decide the result."""

    @abstractmethod
    def measured(self, on: OnBench, config: Any, model: Any, say: lane.Say, stop: lane.Stop) -> Result:
        """Run the study; ``say`` passes anything on to ``progressing``."""

    @abstractmethod
    def progressing(self) -> Callable[[Any], Updates]:
        """A function that turns what ``measured`` says into updates; a new one for each look."""

    @abstractmethod
    def shown(self, result: Result | None) -> Updates:
        """The panel with a result, or empty."""

    def standing(self, session: Session, result: Result) -> Updates:
        """Over ``shown``: what the visitor chose earlier, as far as it holds for this result."""
        return {}

    @abstractmethod
    def overlaid(self, named: Sequence[Named], pinned: Sequence[Named], *drawn_with: Any) -> Updates:
        """What is drawn of the present result (``named``, one or none) together with the pinned ones."""

    @abstractmethod
    def paper(self, named: Sequence[Named], *printed_with: Any) -> Figure:
        """The figure for paper as the screen shows it, the present result first."""

    @abstractmethod
    def table(self, result: Result) -> DataFrame:
        """The numbers behind the figure."""

    def behind(self, result: Result, *printed_with: Any) -> DataFrame:
        """The same for the file of numbers, where they follow the choices that the figure follows."""
        return self.table(result)

    def document(self, result: Result) -> str:
        """The result as one page of HTML; asked for only where the panel ``documents``."""
        raise NotImplementedError

    @abstractmethod
    def name(self, result: Result) -> str:
        """A name that a pin of this result may have."""

    def completed(self, session: Session, result: Result, *choices: Any) -> Result:
        """The result as the screen shows it under the choices of ``drawn_with`` or ``printed_with``.

        That is with what was computed of it since; the choices that decide this come first in both.
        """
        return result

    def commanded(self, config: Any, *printed_with: Any) -> Any:
        """The config that the copied command is of: with choices that no look depends on."""
        return config

    def remarks(self, done: Done | None) -> Updates:
        """What there is to say about a finished look besides its result; None: about one of a saved run."""
        return {}

    def from_saved(self, run: Result, progress: Progress, stop: lane.Stop) -> list[Result]:
        """What this panel shows of a saved run; nothing where the run is none for it."""
        return [run] if run.study == self.study else []

    def prove(self, result: Result) -> None:
        """Draw a result that may be somebody else's; what is wrong with it is raised, whatever it is."""
        self.name(result), self.table(result), self.shown(result)

    # What every handler needs.

    def kept(self, session: Session, key: str | None) -> Result | None:
        """A result of this session by its id, to be read only; none once the visit is over."""
        return results.kept(session, key)

    def _card(self, model: Chosen) -> ModelCard | None:
        """The card of the model that looks, once it was open; that of none where none takes part."""
        return self.bench.host.card(model) if self.asks_model else NOBODY

    def _with_session(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return with_session(self.bench, function)

    def _laid(self, session: Session, values: Sequence[Any]) -> tuple[OnBench, Any]:
        """What lies on the bench and the config that follows, from the values of both. Raises Refusal."""
        count = len(self.bench.inputs)
        on = self.bench.on(session, *values[:count])
        return self.laid(session, on, dict(zip(self.settings, values[count:], strict=True)))

    def laid(self, session: Session, on: OnBench, settings: Mapping[str, Any]) -> tuple[OnBench, Any]:
        """What is looked at, with what a panel adds to the bench, and the config. Raises Refusal."""
        return on, self._checked(on, settings)

    def _checked(self, on: OnBench, settings: Mapping[str, Any]) -> Any:
        """The config; what its type refuses is a Refusal in one sentence."""
        from pydantic import ValidationError

        from workbench.panels.command import sentence

        try:
            return self.config(on, settings)
        except ValidationError as error:
            raise Refusal(sentence(error)) from error

    def _pinned(
        self, session: Session, key: str | None, all_pins: list[Any], shown: list[str]
    ) -> list[Named]:
        """The pinned results of this study that are shown and still kept, but for the result ``key``."""
        found = [
            (name, self.kept(session, pinned))
            for pinned, name in pins.of(self.study, all_pins, shown, but=key)
        ]
        return [(name, result) for name, result in found if result is not None]

    def _fault(self, error: Exception, doing: str) -> str:
        """Log a fault of ours, and say so in a sentence."""
        logging.getLogger(__name__).error("%s %s failed", doing, self.study, exc_info=error)
        return (
            f"The workbench failed here ({type(error).__name__}: {error}). Nothing else is affected; "
            "the log of the process has the details."
        )


def with_session(bench: Bench, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as a handler: Gradio hands over the request, the function gets the visitor's session."""
    if inspect.isgeneratorfunction(function):

        def streaming(request: gr.Request, *values: Any) -> Iterator[Any]:
            yield from function(bench.session(request), *values)

        return streaming

    def handler(request: gr.Request, *values: Any) -> Any:
        return function(bench.session(request), *values)

    return handler


def whence(result: Result) -> str:
    """Where a result of a saved run is from, in a sentence: which model looked, at what, and when."""
    made = _made(result)
    picture = pictured(result)
    at = f", {picture}" if picture else ""
    return f"Opened from a saved run: {made['model']['id']}{at}, {str(made['started'])[:10]}."


def pictured(result: Result) -> str:
    """The name of the one image that a result is of; empty where it is of several, or without a name."""
    config = _made(result).get("config", {})
    images = config.get("images")
    names = images if isinstance(images, list) else [config.get("image") or ""]
    return PurePath(str(names[0])).name if len(names) == 1 else ""


def _made(result: Result) -> dict[str, Any]:
    """The manifest of the run that was looked at: of what was measured of a capture, the capture's."""
    made: dict[str, Any] = result.manifest.get("capture", result.manifest)
    return made


def condition(result: Result) -> str:
    """What was done to the image, in two words: "clean", "darkness 0.90"; of a capture also which view."""
    from workbench.images.corruptions import CORRUPTIONS

    corruption = CORRUPTIONS.get(result.config["corruption"])
    done = f"{corruption.within} {result.config['intensity']:.2f}" if corruption else "clean"
    return f"{view}, {done}" if (view := result.manifest.get("view")) else done
