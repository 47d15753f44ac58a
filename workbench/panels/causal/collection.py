"""The same over a collection: one question after the other, resumed where an earlier run was ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workbench.datasets import open_collection
from workbench.datasets.asking import ALL_SPLITS, count_of_all, notes_of_all, read_some, some_of
from workbench.datasets.collection import Asked, Collection, Sample, Skipped
from workbench.errors import Refusal, go_on
from workbench.models.protocol import Model
from workbench.panels.causal.config import CausalConfig
from workbench.panels.causal.item import Item, Row, Traced, traced
from workbench.panels.interventions.collection import FEW
from workbench.panels.layers.config import Progress, quiet
from workbench.panels.specimen import degrade
from workbench.runs.store import Store
from workbench.runs.unfinished import Unfinished

PUT_DOWN = 10.0
"""Seconds of work that a kill may cost."""
NOT_MADE_OF = {"resamples", "batch"}
"""Settings that decide nothing of what is gathered."""


@dataclass
class Gathered:
    """Rows of all questions so far; those of "knockout" and "patching" name their question by its number."""

    items: list[Row] = field(default_factory=list)
    knockout: list[Row] = field(default_factory=list)
    patching: list[Row] = field(default_factory=list)
    skipped: list[Row] = field(default_factory=list)

    def add(self, found: Traced) -> None:
        """One more question."""
        number = {"item": len(self.items)}
        self.items.append(found.about)
        self.knockout += [number | row for row in found.knockout]
        self.patching += [number | row for row in found.patching]


def gathered(
    config: CausalConfig, model: Model, progress: Progress, stop: Callable[[], bool]
) -> tuple[Gathered, list[Row], str]:
    """All questions' rows, those of the table "data", and the collection's fingerprint; see `study.run`."""
    progress(0.0, "looking through the data")
    return _Over(config, model, progress, stop).all()


class _Over:
    def __init__(
        self, config: CausalConfig, model: Model, progress: Progress, stop: Callable[[], bool]
    ) -> None:
        self.config, self.model, self.progress, self.stop = config, model, progress, stop
        self.data: Collection = open_collection(config.data)
        self.count = min(config.n, count_of_all(self.data))
        if self.count < 2:
            raise Refusal(f"{self.data.title} has too few images ({self.count}): two are needed.")
        settings = config.model_dump(mode="json", exclude=NOT_MADE_OF)
        key = Store.key("causal", settings, model.card, {"data": self.data.fingerprint})
        self.unfinished = Unfinished(key, every=PUT_DOWN)
        self.found = Gathered()

    def all(self) -> tuple[Gathered, list[Row], str]:
        for place in range(self._resumed(), self.count):
            go_on(self.stop)
            self.progress(0.97 * place / self.count, f"tracing image {place + 1:,} of {self.count:,}")
            self._image(place)
            if self.unfinished.due:
                self._put_down(place + 1)
        self._check()
        self._put_down(self.count)
        self.unfinished.done()
        return self.found, self._about(), self.data.fingerprint

    def _image(self, place: int) -> None:
        """All questions about one image."""
        (sample,) = read_some(self.data, ALL_SPLITS, place, place + 1, self.config.square)
        if isinstance(sample, Skipped):
            self._skip(sample)
            return
        config = self.config
        seed = (config.seed + sample.seed) % 2**31
        degraded = degrade(sample.pixels, config.corruption, config.intensity, seed)
        asked = self._asked(sample)
        if not asked:
            self._skip(Skipped(sample.name, "It comes with no question: give one for all with --question."))
        for each in asked:
            item = Item(sample.name, each, sample.pixels, degraded, seed, sample, self.data.classes)
            try:
                self.found.add(traced(config, self.model, item, mapped=False, progress=quiet, stop=self.stop))
            except Refusal as refusal:  # a question that is too long, say
                self._skip(Skipped(sample.name, str(refusal)))

    def _asked(self, sample: Sample) -> list[Asked]:
        """The one question for all, or some of the image's own."""
        if question := self.config.question:
            return [Asked(question, "")]
        return some_of(sample, self.config.each, self.config.seed)

    def _skip(self, image: Skipped) -> None:
        self.found.skipped.append({"name": image.name, "reason": image.reason})
        if len(self.found.skipped) > FEW + len(self.found.items):
            self._check(least=FEW)

    def _check(self, least: int = 0) -> None:
        """Refuse numbers of a collection of which too little could be used."""
        used, skipped = len(self.found.items), self.found.skipped
        if len(skipped) > least + used:
            raise Refusal(
                f"Of {self.data.title} {len(skipped):,} images could not be used, and {used:,} could; the "
                f"first, {skipped[0]['name']}: {skipped[0]['reason']}"
            )
        if not least and len({row["name"] for row in self.found.items}) < 2:
            raise Refusal(f"{self.data.title} has too few images with an answer to trace: two are needed.")

    def _put_down(self, place: int) -> None:
        self.unfinished.keep(vars(self.found) | {"place": place}, {"place": np.array([place])})

    def _resumed(self) -> int:
        """The place at which to go on."""
        found = self.unfinished.found()
        if found is None:
            return 0
        about: dict[str, Any] = found[0]
        place = int(about.pop("place"))
        self.found = Gathered(**about)
        return place

    def _about(self) -> list[Row]:
        """What the numbers rest on."""
        items = self.found.items
        rows: list[Row] = [
            {"what": "collection", "value": self.data.title},
            {"what": "fingerprint", "value": self.data.fingerprint},
            {"what": "images", "value": f"{len({row['name'] for row in items}):,}"},
            {"what": "questions", "value": f"{len(items):,}"},
            {"what": "answers that the damage changes", "value": f"{sum(row['changed'] for row in items):,}"},
            {
                "what": "questions that name one thing with a mask",
                "value": f"{sum(row['object tokens'] > 0 for row in items):,}",
            },
            {"what": "skipped", "value": f"{len(self.found.skipped):,}"},
        ]
        return rows + [{"what": "note", "value": note} for note in notes_of_all(self.data)]
