"""The same over a collection: one response for each question, resumed where an earlier run was ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from workbench.datasets import open_collection
from workbench.datasets.asking import ALL_SPLITS, count_of_all, notes_of_all, read_some, some_of
from workbench.datasets.collection import Collection, Sample, Skipped
from workbench.errors import Refusal, go_on
from workbench.models.protocol import Model
from workbench.panels.interventions.again import Answered, Item, Row, again
from workbench.panels.interventions.config import InterventionsConfig
from workbench.panels.interventions.effects import effects
from workbench.panels.interventions.states import Pictures
from workbench.panels.layers.config import Progress
from workbench.panels.specimen import degrade
from workbench.runs.store import Store
from workbench.runs.unfinished import Unfinished

FEW = 32
"""Images that could not be used beyond those that could, from which on it is not worth going on."""


def measured(
    config: InterventionsConfig, model: Model, progress: Progress, stop: Callable[[], bool]
) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """Tables and hashes; see `study.run`. What is gathered is put down once a minute."""
    progress(0.0, "looking through the data")
    return _Over(config, model, progress, stop).tables()


class _Over:
    def __init__(
        self, config: InterventionsConfig, model: Model, progress: Progress, stop: Callable[[], bool]
    ) -> None:
        self.config, self.model, self.progress, self.stop = config, model, progress, stop
        self.data: Collection = open_collection(config.data)
        self.count = min(config.n, count_of_all(self.data))
        if self.count < 2:
            raise Refusal(f"{self.data.title} has too few images ({self.count}): two are needed.")
        # One shift for all: each image stands in for one other, and none for itself.
        self.shift = int(np.random.default_rng((config.seed, 0x07E2)).integers(1, self.count))
        key = Store.key(
            "intervene", config.model_dump(mode="json"), model.card, {"data": self.data.fingerprint}
        )
        self.unfinished = Unfinished(key)
        self.answers: list[Row] = []
        self.responses: list[Row] = []
        self.skipped: list[Row] = []
        self.pace = Pace()

    def tables(self) -> tuple[dict[str, list[Any]], dict[str, str]]:
        for place in range(self._resumed(), self.count):
            self._say(place)
            self._image(place)
            if self.unfinished.due:
                self._put_down(place + 1)
        self._check()
        self.progress(0.99, "computing intervals")
        import pandas as pd

        table = effects(pd.DataFrame(self.answers), resamples=self.config.resamples, seed=self.config.seed)
        self.unfinished.done()
        out = {
            "effects": table.to_dict("records"),
            "answers": self.answers,
            "responses": self.responses,
            "data": self._about(),
        }
        if self.skipped:
            out["skipped"] = self.skipped
        self.progress(1.0, "done")
        return out, {"data": self.data.fingerprint}

    def _image(self, place: int) -> None:
        """All questions about one image."""
        sample = self._read(place)
        if isinstance(sample, Skipped):
            self._skip(sample)
            return
        config, other = self.config, None
        if "other" in config.states:
            other = self._other(place)
        seed = (config.seed + sample.seed) % 2**31
        degraded = degrade(sample.pixels, config.corruption, config.intensity, seed)
        pictures = Pictures(sample.pixels, degraded, other)
        chosen = some_of(sample, config.each, config.seed)
        if not chosen:
            self._skip(Skipped(sample.name, "It comes with no question."))
        for asked in chosen:
            item = Item(sample.name, asked, pictures, seed)
            try:
                *_, found = again(config, self.model, item, watched=False, stop=self.stop)
            except Refusal as refusal:  # a question that is too long, say
                self._skip(Skipped(sample.name, str(refusal)))
                continue
            assert isinstance(found, Answered)
            # By number: a question may stand twice about one image, and two images may have one name.
            number = {"item": len(self.responses), "image": place}
            self.responses.append(number | found.response)
            self.answers += [number | row for row in found.rows]

    def _read(self, place: int) -> Sample | Skipped:
        (sample,) = read_some(self.data, ALL_SPLITS, place, place + 1, self.config.square)
        return sample

    def _other(self, place: int) -> np.ndarray | None:
        """The clean image of another place; the next one where that cannot be read."""
        for further in range(self.count):
            at = (place + self.shift + further) % self.count
            if at != place and isinstance(sample := self._read(at), Sample):
                return sample.pixels
        return None

    def _say(self, place: int) -> None:
        go_on(self.stop)
        left = self.pace.left(place, self.count)
        self.progress(
            0.98 * place / self.count, f"answering again, image {place + 1:,} of {self.count:,}{left}"
        )

    def _skip(self, image: Skipped) -> None:
        self.skipped.append({"name": image.name, "reason": image.reason})
        if len(self.skipped) > FEW + len(self.responses):
            self._check(least=FEW)

    def _check(self, least: int = 0) -> None:
        """Refuse numbers of a collection of which too little could be used."""
        drew = {row["image"] for row in self.answers}
        if self.skipped and len(self.skipped) > least + len(self.responses):
            first = self.skipped[0]
            raise Refusal(
                f"Of {self.data.title} {len(self.skipped):,} images could not be used, and "
                f"{len(self.responses):,} could; the first, {first['name']}: {first['reason']}"
            )
        if not least and len(drew) < 2:
            raise Refusal(
                f"The model drew for {len(drew)} of {self.count:,} images, which is too few to put something "
                "in place of. Have it draw in any case (--restore always), or degrade the images more."
            )

    def _put_down(self, place: int) -> None:
        about = {
            "place": place,
            "answers": self.answers,
            "responses": self.responses,
            "skipped": self.skipped,
        }
        self.unfinished.keep(about, {"place": np.array([place])})

    def _resumed(self) -> int:
        """The place at which to go on."""
        found = self.unfinished.found()
        if found is None:
            return 0
        about, _ = found
        self.answers, self.responses = about["answers"], about["responses"]
        self.skipped = about["skipped"]
        self.pace.begin(int(about["place"]))
        return int(about["place"])

    def _about(self) -> list[Row]:
        """What the numbers rest on."""
        drew = sum(bool(row["drew"]) for row in self.responses)
        rows: list[Row] = [
            {"what": "collection", "value": self.data.title},
            {"what": "fingerprint", "value": self.data.fingerprint},
            {"what": "images", "value": f"{len({row['image'] for row in self.responses}):,}"},
            {"what": "questions", "value": f"{len(self.responses):,}"},
            {"what": "questions answered after a drawing", "value": f"{drew:,}"},
            {"what": "skipped", "value": f"{len(self.skipped):,}"},
            {
                "what": "another image",
                "value": f"the clean image {self.shift:,} places further on in the collection (by the seed)",
            },
        ]
        return rows + [{"what": "note", "value": note} for note in notes_of_all(self.data)]


class Pace:
    """Time left in words, from the places that were done since the work began or was resumed."""

    def __init__(self) -> None:
        self.began, self.first = time.monotonic(), 0

    def begin(self, place: int) -> None:
        """Work goes on at a place."""
        self.began, self.first = time.monotonic(), place

    def left(self, place: int, count: int) -> str:
        """What to add to what is being done; nothing where too little is done to tell."""
        done = place - self.first
        if done < 2:
            return ""
        seconds = (time.monotonic() - self.began) / done * (count - place)
        return f", about {seconds:.0f} s left" if seconds < 90 else f", about {seconds / 60:.0f} min left"
