"""The models this workbench has open, shared by everyone on the page."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from workbench.errors import Refusal
from workbench.models.protocol import Model

Opener = Callable[[str], Model]


class Host:
    """Opens models by id or folder and keeps the first one and the last other one.

    ``first`` is the id the page starts with, empty where it starts with none. ``opener`` stands in for
    ``workbench.models.open`` in tests.
    """

    def __init__(
        self, first: str = "pocket-bagel", *, device: str = "auto", opener: Opener | None = None
    ) -> None:
        self.first = first
        self.device = device
        self._opener = opener
        self._open: OrderedDict[str, Model] = OrderedDict()
        self._lock = threading.Lock()
        self._opening: dict[str, threading.Lock] = {}

    def warm(self) -> None:
        """Load torch and the first model, if any, beside the caller, so that the page can show meanwhile."""
        if not self.first:
            return

        def run() -> None:
            try:
                self.model(self.first)
            except Refusal:
                return  # said again, to a person, when the page asks for the card

        threading.Thread(target=run, name="afterimage-warm", daemon=True).start()

    def opened(self, name: str) -> Model | None:
        """The model if it is open already; never waits."""
        return self._open.get(name.strip())

    def model(self, id_or_path: str) -> Model:
        """The open model; opens it if need be. Raises Refusal with what is wrong with the checkpoint.

        Whoever wants an open model gets it while another is being opened; of those who want the same new one
        the first opens it for all.
        """
        name = id_or_path.strip()
        if not name:
            raise Refusal("Name a model: pocket-bagel, or the folder of a checkpoint.")
        with self._lock:
            if (found := self._found(name)) is not None:
                return found
            opening = self._opening.setdefault(name, threading.Lock())
        with opening:
            with self._lock:
                if (found := self._found(name)) is not None:
                    return found
            try:
                model = self._load(name)
                with self._lock:
                    self._open[name] = model
                    others = [key for key in self._open if key != self.first]
                    for key in others[:-1]:
                        del self._open[key]
            finally:
                with self._lock:
                    self._opening.pop(name, None)
        return model

    def _found(self, name: str) -> Model | None:
        """The model if it is open, now the last one used. The lock is held."""
        if name not in self._open:
            return None
        self._open.move_to_end(name)
        return self._open[name]

    def _load(self, name: str) -> Model:
        if self._opener is not None:
            return self._opener(name)
        from workbench import models

        return models.open(name, device=self.device)
