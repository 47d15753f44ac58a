"""Whether each method points at what a question names, over a collection; resumed where a run was ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.attribution.pointing import chance, energy, hits, pointing, shares
from workbench.datasets import open_collection
from workbench.datasets.asking import ALL_SPLITS, count_of_all, notes_of_all, read_some
from workbench.datasets.collection import Asked, Sample, Skipped
from workbench.datasets.matching import matches
from workbench.errors import Refusal, go_on
from workbench.models.protocol import Model
from workbench.panels.attribution.asked import named
from workbench.panels.attribution.case import Case
from workbench.panels.attribution.config import AttributionConfig, Method, ordered
from workbench.panels.attribution.halving import Halving
from workbench.panels.attribution.measuring import Truth
from workbench.panels.attribution.methods import METHODS
from workbench.panels.attribution.names import LABELS
from workbench.panels.attribution.scores import CENTRE, CHANCE, LARGEST, scores
from workbench.panels.attribution.target import spoken
from workbench.panels.interventions.collection import Pace
from workbench.panels.layers.config import Progress
from workbench.panels.specimen import degrade
from workbench.runs.store import Store
from workbench.runs.unfinished import Unfinished

if TYPE_CHECKING:
    from pandas import DataFrame

Row = dict[str, Any]
FEW = 64
"""Images in a row that ask about nothing that can be pointed at, after which it is given up."""


def measured(
    config: AttributionConfig, model: Model, progress: Progress, stop: Callable[[], bool]
) -> tuple[dict[str, DataFrame], dict[str, str]]:
    """Tables and hashes of a collection.

    Tables: "pointing" (a row for each measure, method and stage: mean with its 95 % interval over images, and
    how far above chance, in pairs; see `scores.scores`), "items" (a row for each question, method and stage:
    pointing and energy, 0 to 1; of the baselines of our own too), "questions" (what was asked, what the model
    said, whether it is right), "methods", "data" (what the numbers rest on).

    Raises:
        Refusal: the collection has no masks, or asks about nothing that its masks show.
        Cancelled: once `stop` says so.
    """
    progress(0.0, "looking through the data")
    return _Over(config, model, progress, stop).tables()


class _Over:
    def __init__(
        self, config: AttributionConfig, model: Model, progress: Progress, stop: Callable[[], bool]
    ) -> None:
        self.config, self.model, self.progress, self.stop = config, model, progress, stop
        self.data = open_collection(config.data)
        if not self.data.classes:
            raise Refusal(f"{self.data.title} has no masks, so where a map should point is not known.")
        about = config.model_dump(mode="json")
        self.unfinished = Unfinished(
            Store.key("attribution", about, model.card, {"data": self.data.fingerprint})
        )
        self.batches = Halving(config.batch)
        self.place, self.items, self.questions = 0, list[Row](), list[Row]()
        self.refused: dict[str, str] = {}
        self.pace = Pace()

    def tables(self) -> tuple[dict[str, DataFrame], dict[str, str]]:
        self._resume()
        last, end = self.place, count_of_all(self.data)
        while len(self.questions) < self.config.n and self.place < end:
            self._say()
            (sample,) = read_some(self.data, ALL_SPLITS, self.place, self.place + 1, self.config.square)
            if self._image(sample):
                last = self.place
            self.place += 1
            if self.place - last > FEW:
                break
            if self.unfinished.due:
                self._put_down()
        if len(self.questions) < 2:
            raise Refusal(
                f"{self.data.title} asks about too few things that its masks show ({len(self.questions)}): "
                f"two are needed. Its kinds of questions were {', '.join(self.config.kinds)}."
            )
        import pandas as pd

        items = pd.DataFrame(self.items)
        tables = {
            "pointing": scores(items, resamples=self.config.resamples, seed=self.config.seed),
            "items": items,
            "questions": pd.DataFrame(self.questions),
            "methods": pd.DataFrame([self._about_method(name) for name in ordered(self.config)]),
            "data": pd.DataFrame(self._about()),
        }
        self.unfinished.done()
        self.progress(1.0, "done")
        return tables, {"data": self.data.fingerprint}

    def _image(self, sample: Sample | Skipped) -> bool:
        """One question about an image; whether there was one that names something."""
        if isinstance(sample, Skipped):
            return False
        chosen = self._chosen(sample)
        if chosen is None:
            return False
        asked, truth = chosen
        seed = (self.config.seed + sample.seed) % 2**31
        image = degrade(sample.pixels, self.config.corruption, self.config.intensity, seed)
        said = spoken(self.model, self.model.prepare([image], asked.text), longest=self.config.max_new_tokens)
        case = Case(
            self.model,
            image,
            said,
            self.config.model_copy(update={"seed": seed}),
            question=asked.text,
            stop=self.stop,
            batches=self.batches,
        )
        hit, covered = hits(case.grid.boxes, truth.mask), shares(case.grid.boxes, truth.mask)
        self._baselines(sample, case, truth, hit)
        for name in ordered(self.config):
            try:
                found = METHODS[name].explain(case)
            except Refusal as refusal:
                self.refused[name] = str(refusal)
                continue
            for stage, values in zip(found.layers, found.maps[0], strict=True):
                self._note(sample, name, stage, pointing(values, hit), energy(values, covered))
        self.questions.append(
            {
                "name": sample.name,
                "kind": asked.kind,
                "question": asked.text,
                "about": truth.name,
                "share": float(truth.mask.mean()),
                "answer": asked.answer,
                "said": said.text,
                "right": bool(matches(asked, said.text)),
            }
        )
        return True

    def _chosen(self, sample: Sample) -> tuple[Asked, Truth] | None:
        """The first of an image's questions of the chosen kinds that names one thing of it."""
        for asked in sample.asked:
            if asked.kind in self.config.kinds or not asked.kind:
                truth = named(asked.text, sample, self.data.classes)
                if truth is not None:
                    return asked, truth
        return None

    def _baselines(self, sample: Sample, case: Case, truth: Truth, hit: np.ndarray) -> None:
        """What knows nothing of the answer: a cell drawn at random, the centre, the largest thing."""
        boxes, (height, width) = case.grid.boxes, case.image.shape[:2]
        self._note(sample, CHANCE, "", chance(hit), float(truth.mask.mean()))
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        self._note(sample, CENTRE, "", float(hit[_nearest(middle, width / 2, height / 2)]), np.nan)
        assert sample.regions is not None
        numbers, sizes = np.unique(sample.regions, return_counts=True)
        things = numbers >= len(self.data.classes)  # below are classes of which no single thing is known
        if things.any():
            y, x = np.nonzero(sample.regions == numbers[things][sizes[things].argmax()])
            at = _nearest(middle, x.mean() + 0.5, y.mean() + 0.5)
            self._note(sample, LARGEST, "", float(hit[at]), np.nan)

    def _note(self, sample: Sample, method: str, stage: str, pointed: float, energetic: float) -> None:
        self.items.append(
            {
                "name": sample.name,
                "method": method,
                "stage": stage,
                "pointing": float(pointed),
                "energy": float(energetic),
            }
        )

    def _say(self) -> None:
        go_on(self.stop)
        done, count = len(self.questions), self.config.n
        left = self.pace.left(done, count)
        self.progress(0.98 * done / count, f"asking about image {done + 1:,} of {count:,}{left}")

    def _put_down(self) -> None:
        about = {
            "place": self.place,
            "items": self.items,
            "questions": self.questions,
            "refused": self.refused,
        }
        self.unfinished.keep(about, {"place": np.array([self.place])})

    def _resume(self) -> None:
        found = self.unfinished.found()
        if found is not None:
            about, _ = found
            self.place, self.items, self.questions = about["place"], about["items"], about["questions"]
            self.refused = about["refused"]
            self.pace.begin(len(self.questions))

    def _about_method(self, name: Method) -> Row:
        method = METHODS[name]
        return {
            "method": name,
            "label": LABELS[name],
            "about": method.about,
            "refused": self.refused.get(name, ""),
        }

    def _about(self) -> list[Row]:
        right = np.mean([row["right"] for row in self.questions])
        share = np.mean([row["share"] for row in self.questions])
        rows: list[Row] = [
            {"what": "collection", "value": self.data.title},
            {"what": "fingerprint", "value": self.data.fingerprint},
            {"what": "images", "value": f"{len(self.questions):,}"},
            {"what": "right answers", "value": f"{100 * right:.1f} %"},
            {"what": "mean share of the image that is asked about", "value": f"{100 * share:.1f} %"},
        ]
        return rows + [{"what": "note", "value": note} for note in notes_of_all(self.data)]


def _nearest(middle: np.ndarray, x: float, y: float) -> int:
    """The cell whose middle is nearest to a place."""
    return int(((middle - [x, y]) ** 2).sum(axis=1).argmin())
