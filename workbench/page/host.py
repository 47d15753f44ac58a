"""The models this workbench has open, shared by everyone on the page."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import NamedTuple

from workbench import models
from workbench.errors import Cancelled, Refusal
from workbench.memory import give_back
from workbench.models import Opening
from workbench.models.progress import Say, silent
from workbench.models.protocol import Model, ModelCard, never
from workbench.page.lane import lane

Opener = Callable[..., Model]
"""Called as `workbench.models.open` is."""


@dataclass(frozen=True)
class Chosen:
    """A checkpoint as somebody chose to open it; all that a visit holds of a model."""

    name: str
    opening: Opening = Opening()

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", models.plain(self.name))


class Loading(NamedTuple):
    """How far an opening is: what is being done, and the share that is done, 0 … 1."""

    words: str
    share: float


class Host:
    """Opens models and keeps the first one and the last other one; a third takes the place of the second.

    ``first`` is what the page starts with, opened as ``opening`` says; its name is empty where that is
    nothing. Any of them can be closed, and comes back to whoever asks for it. ``opener`` stands in for
    ``workbench.models.open`` in tests.
    """

    def __init__(
        self, first: str = "pocket-bagel", *, opening: Opening | None = None, opener: Opener | None = None
    ) -> None:
        self.first = Chosen(first, opening or Opening())
        self._opener = opener
        self._open: OrderedDict[Chosen, Model] = OrderedDict()
        self._cards: dict[Chosen, ModelCard] = {}
        self._loading: dict[Chosen, Loading] = {}
        self._in_lane: Chosen | None = None
        self._let_go: list[weakref.ref[Model]] = []
        self._lock = threading.Lock()

    def warm(self) -> None:
        """Load torch and the first model, if any, beside the caller, so that the page can show meanwhile."""
        if not self.first.name:
            return

        def run() -> None:
            try:
                self.model(self.first)
            except Refusal:
                return  # said again, to a person, when the page asks for the card

        threading.Thread(target=run, name="afterimage-warm", daemon=True).start()

    def opened(self, chosen: Chosen) -> Model | None:
        """The model if it is open already; never waits."""
        return self._open.get(chosen)

    def card(self, chosen: Chosen) -> ModelCard | None:
        """The card of a model that is or was open; never waits."""
        return self._cards.get(chosen)

    def model(self, chosen: Chosen, *, say: Say = silent, stop: Callable[[], bool] = never) -> Model:
        """The open model; opens it if need be, saying how far it is.

        Whoever wants an open model gets it while another is being opened; of those who want the same new one
        the first opens it for all. Models open one at a time and only while none is at work: to load one in
        16 bits torch changes what numbers the whole process makes by default.

        Raises Refusal with what is wrong with the checkpoint, and Cancelled once ``stop`` says so.
        """
        if (found := self._found(chosen)) is not None:
            return found
        if not chosen.name:
            raise Refusal("Name a model: pocket-bagel, an id of the hub, or the folder of a checkpoint.")

        def heard(words: str, share: float) -> None:
            if stop():
                raise Cancelled
            self._loading[chosen] = Loading(words, share)
            say(words, share)

        try:
            if self._opener is None:
                models.sources(chosen.name, chosen.opening, say=heard)  # a download holds nobody up
            if self._in_lane != chosen:  # otherwise what is heard of it there is of use to this caller too
                heard("Waiting for the model at work", 0.0)
            with lane(stop):
                if (found := self._found(chosen)) is not None:
                    return found
                self._in_lane = chosen
                try:
                    self._tidy()
                    opener = self._opener or models.open
                    model = opener(chosen.name, **asdict(chosen.opening), say=heard)
                    self._keep(chosen, model)
                    return model
                finally:
                    self._in_lane = None
        finally:
            self._loading.pop(chosen, None)

    def opening(
        self, chosen: Chosen, *, stop: Callable[[], bool] = never, every: float = 0.1
    ) -> Iterator[Loading]:
        """Open a model beside the caller; yields how far that is, whoever it is that opens it.

        Raises what ``model`` raises, and Cancelled as soon as ``stop`` says so.
        """
        failed: list[BaseException] = []

        def run() -> None:
            try:
                self.model(chosen, stop=stop)
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=run, name="afterimage-opening", daemon=True)
        thread.start()
        told = None
        while thread.is_alive():
            if stop():
                raise Cancelled
            now = self._loading.get(chosen)
            if now is not None and now != told:
                told = now
                yield now
            thread.join(every)
        if failed:
            raise failed.pop()

    def close(self, chosen: Chosen) -> None:
        """Let go of a model. Whoever works with it now can finish; then its memory is free."""
        with self._lock:
            model = self._open.pop(chosen, None)
            if model is not None:
                self._let_go.append(weakref.ref(model))
        del model
        self._tidy()
        if self._let_go:
            threading.Thread(target=self._tidy_after_work, name="afterimage-tidy", daemon=True).start()

    def _tidy_after_work(self) -> None:
        with lane():
            self._tidy()

    def _found(self, chosen: Chosen) -> Model | None:
        """The model if it is open, now the last one used."""
        with self._lock:
            if chosen not in self._open:
                return None
            self._open.move_to_end(chosen)
            return self._open[chosen]

    def _keep(self, chosen: Chosen, model: Model) -> None:
        """Keep an open model; of the others but the first, the one used before it goes."""
        with self._lock:
            self._open[chosen] = model
            self._cards[chosen] = model.card
            others = [key for key in self._open if key != self.first]
            self._let_go += [weakref.ref(self._open.pop(key)) for key in others[:-1]]
        self._tidy()

    def _tidy(self) -> None:
        """Give the memory of models that were let go back, as far as nobody works with them any more."""
        if not self._let_go:
            return
        give_back()
        with self._lock:
            self._let_go = [gone for gone in self._let_go if gone() is not None]
