"""Every question in every condition by every pathway, put down as answered and taken up after a kill."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.datasets import open_collection
from workbench.datasets.asking import ALL_SPLITS, closed, count_of_all, read_some, some_of
from workbench.datasets.collection import Asked, Collection, Sample, Skipped
from workbench.datasets.judges import Judge, judged
from workbench.datasets.matching import kind_of, matches
from workbench.errors import Refusal, go_on
from workbench.images.corruptions import corrupt
from workbench.models.length import short_enough
from workbench.models.protocol import Answer, Model
from workbench.models.together import Posed, Responses, answers, responses, scores
from workbench.panels.layers.config import Progress
from workbench.panels.robustness.config import DIRECT, RobustnessConfig
from workbench.panels.robustness.items import Condition, Items, conditions
from workbench.panels.robustness.quality import MEASURES
from workbench.panels.specimen import CLEAN
from workbench.runs.store import Store
from workbench.runs.unfinished import Unfinished

CHUNK, DRAWN = 32, 8
"""Images that are held at once, clean, the second where there is drawing: each condition is made of them,
asked about, and let go. A kill costs the condition that is being asked, so of slow ones there are fewer."""
PUT_DOWN = 2.0
"""Seconds of conditions that were asked that a kill may cost; they are asked again, and nothing else is."""


@dataclass(frozen=True)
class Form:
    """A question as it is asked: the number of its item, which of its turns, the place of its image."""

    item: int
    turn: int
    image: int
    asked: Asked


class Asking:
    """One study's questions. `items` fills up; `skipped` are images that could not be used."""

    def __init__(
        self,
        config: RobustnessConfig,
        model: Model,
        progress: Progress,
        stop: Callable[[], bool],
        judge: Judge | None = None,
        judge_name: str = "",
    ) -> None:
        self.config, self.model, self.progress, self.stop, self.judge = config, model, progress, stop, judge
        progress(0.0, "looking through the data")
        self.data: Collection = open_collection(config.data)
        self.chunk = CHUNK if config.pathways == (DIRECT,) else DRAWN
        self.total = min(config.n_images, count_of_all(self.data))
        made_of = {"data": self.data.fingerprint, "judge": judge_name}
        settings = config.model_dump(mode="json", exclude={"resamples", "bins"})
        self.unfinished = Unfinished(Store.key("robustness", settings, model.card, made_of), every=PUT_DOWN)
        self.items = Items(conditions(config), config.pathways)
        self.skipped: list[Skipped] = []
        self.unasked = self.seen = self.first_image = 0
        self.digest = self.data.fingerprint

    def ask(self) -> Items:
        """All of them. Raises Refusal where there are no such questions, Cancelled once `stop` says so."""
        start, done = self._resumed()
        while start < self.total:
            samples = self._read(start)
            questions = self._questions(samples)
            first = len(self.items.questions) - len(questions)
            if not done:
                first = self.items.more([about for about, _, _ in questions])
            for number, condition in enumerate(self.items.conditions):
                if number < done:
                    continue
                if questions:
                    self._ask(samples, questions, first, number, condition, start)
                if self.unfinished.due:
                    self._put_down(start, number + 1)
            start, done = start + self.chunk, 0
        if len(self.items.questions) < 2:
            raise Refusal(self._nothing())
        self._put_down(start, 0)
        return self.items

    def done(self) -> None:
        """The result is kept elsewhere: what was put down may be forgotten."""
        self.unfinished.done()

    # What is asked

    def _read(self, start: int) -> list[Sample]:
        """The images of a chunk that can be used; its numbers and the digest follow from the collection."""
        if start == 0:
            self.skipped, self.unasked, self.digest, self.seen = [], 0, self.data.fingerprint, 0
        self._at_start = (list(self.skipped), self.unasked, self.digest, self.seen)
        out: list[Sample] = []
        for each in read_some(
            self.data, ALL_SPLITS, start, min(start + self.chunk, self.total), self.config.square
        ):
            go_on(self.stop)
            if isinstance(each, Skipped):
                self.skipped.append(each)
                continue
            about = f"{self.digest}\0{each.name}\0{each.pixels.shape}\0".encode()
            self.digest = hashlib.sha256(about + each.pixels.tobytes()).hexdigest()
            out.append(each)
        self.first_image = self.seen
        self.seen += len(out)
        return out

    def _questions(self, samples: Sequence[Sample]) -> list[tuple[dict[str, Any], int, Asked]]:
        """What is asked about these images: a row for the table, the place of the image, the question."""
        scored = self.config.answers == "scored"
        out = []
        for place, sample in enumerate(samples):
            fitting = some_of(sample, self.config.each, self.config.seed, closed if scored else _answerable)
            self.unasked += bool(sample.asked) and not fitting
            for asked in fitting:
                try:
                    for form in asked.forms:
                        short_enough(form.text, "question")
                except Refusal as refusal:
                    self.skipped.append(Skipped(sample.name, str(refusal)))
                    continue
                row = {
                    "image": self.first_image + place,
                    "name": sample.name,
                    "kind": asked.kind,
                    "question": asked.text,
                    "answer": asked.answer,
                    "candidates": len(asked.candidates),
                    "turns": len(asked.turns),
                    "matched": "candidates" if scored else kind_of(asked),
                }
                out.append((row, place, asked))
        return out

    def _nothing(self) -> str:
        if self.skipped and not self.seen:
            first = self.skipped[0]
            return (
                f"None of {len(self.skipped):,} images of {self.data.title} could be used; the first, "
                f"{first.name}: {first.reason}"
            )
        if self.config.answers == "scored":
            return (
                f"{self.data.title} brings no questions with answers to choose from. Choose the bundled "
                "scenes, a benchmark with choices in VLMEvalKit's TSV, or generated answers."
            )
        return (
            f"{self.data.title} brings no questions with answers. Choose the bundled scenes or a benchmark."
        )

    # Asking

    def _ask(
        self,
        samples: Sequence[Sample],
        questions: Sequence[tuple[dict[str, Any], int, Asked]],
        first: int,
        number: int,
        condition: Condition,
        start: int,
    ) -> None:
        """All of a chunk's questions in one condition."""
        go_on(self.stop)
        count = len(self.items.conditions)
        share = (start + min(self.chunk, self.total - start) * number / count) / self.total
        named = condition.corruption.replace("_", " ")
        what = "clean images" if condition.corruption == CLEAN else f"{named} {condition.level}"
        chunk = f"images {start + 1:,} to {min(start + self.chunk, self.total):,} of {self.total:,}"
        self.progress(share, f"{what}, {chunk}")
        shown = [self._degraded(sample, condition) for sample in samples]
        scored = self.config.answers == "scored"
        forms = [
            Form(first + k, turn, place, asked)
            for k, (_, place, question) in enumerate(questions)
            for turn, asked in enumerate(question.forms)
        ]
        posed = [
            Posed(form.image, form.asked.text, form.asked.candidates if scored else ()) for form in forms
        ]
        ways = [way for way in self.config.pathways if way != DIRECT]
        if DIRECT in self.config.pathways:
            self._direct(shown, posed, forms, number)
        if not ways:
            return
        seeds = [(self.config.seed + samples[form.image].seed) % 2**31 for form in forms]
        found = responses(
            self.model,
            shown,
            posed,
            self.config.sampling(),
            seeds,
            ways,
            batch=self.config.batch,
            stop=self.stop,
        )
        self._responses(found, samples, shown, forms, number)

    def _degraded(self, sample: Sample, condition: Condition) -> np.ndarray:
        if condition.corruption == CLEAN:
            return sample.pixels
        seed = self.config.seed + sample.seed
        return corrupt(
            sample.pixels, condition.corruption, condition.severity, seed=seed, pixels=self.config.pixels
        )

    def _direct(
        self,
        shown: Sequence[np.ndarray],
        posed: Sequence[Posed],
        forms: Sequence[Form],
        number: int,
    ) -> None:
        cell = self.items.cell(number, self.config.pathways.index(DIRECT))
        batch, began = self.config.batch, time.perf_counter()
        found: list[tuple[Answer | None, np.ndarray | None]]
        if self.config.answers == "scored":
            found = [(None, s) for s in scores(self.model, shown, posed, batch=batch, stop=self.stop)]
        else:
            longest = self.config.max_new_tokens
            said = answers(self.model, shown, posed, batch=batch, max_new_tokens=longest, stop=self.stop)
            found = [(answer, None) for answer in said]
        self.items.seconds[cell] += time.perf_counter() - began
        for form, (answer, values) in zip(forms, found, strict=True):
            self._mark(cell, form, answer, values)

    def _responses(
        self,
        found: Responses,
        samples: Sequence[Sample],
        shown: Sequence[np.ndarray],
        forms: Sequence[Form],
        number: int,
    ) -> None:
        """What responses came to; decision and drawing of a question are those of its first form."""
        items, before = self.items, dict[int, dict[str, float]]()
        after: dict[int, dict[str, float]] = {}  # By the picture itself: ways share their first drawing.
        for way, some in found.by_way.items():
            cell = items.cell(number, self.config.pathways.index(way))
            items.seconds[cell] += found.seconds[way]
            for form, response in zip(forms, some, strict=True):
                item, image, drawn = form.item, form.image, response.drawn
                self._mark(cell, form, response.answer, response.scores)
                if form.turn:
                    continue
                items.numbers["restore"][cell, item] = response.decision.probability
                items.numbers["drew"][cell, item] = drawn is not None
                if drawn is None:
                    continue
                clean = self.model.resized(samples[image].pixels)
                if image not in before:
                    before[image] = _near(self.model.resized(shown[image]), clean)
                if id(drawn) not in after:
                    after[id(drawn)] = _near(drawn, clean)
                for name in MEASURES:
                    items.numbers[f"{name} before"][cell, item] = before[image][name]
                    items.numbers[f"{name} after"][cell, item] = after[id(drawn)][name]

    def _mark(self, cell: int, form: Form, answer: Answer | None, values: np.ndarray | None) -> None:
        """Whether an answer is right, how sure the model is of it, and what it was.

        Of a question that is asked in turns all must be right, and the model is as sure as where it is least
        (ours).
        """
        asked, item = form.asked, form.item
        if values is not None:
            best = int(values.argmax())
            said, sure = asked.candidates[best], float(1 / np.exp(values - values[best]).sum())
            right = said == asked.answer
        else:
            assert answer is not None
            said, sure = answer.text, float(np.exp(answer.logprob))
            if self.judge is not None:
                right = judged(self.judge, asked.text, asked.answer, said)
            else:
                right = matches(asked, said, self.config.words)
        numbers, words = self.items.numbers, self.items.said[cell]
        if form.turn:
            said = f"{words[item]} · {said}"
            right = right and bool(numbers["right"][cell, item])
            sure = min(sure, float(numbers["confidence"][cell, item]))
        words[item] = said
        numbers["right"][cell, item] = right
        numbers["confidence"][cell, item] = sure

    # What a kill must not cost

    def _put_down(self, start: int, done: int) -> None:
        about, arrays = self.items.held()
        skipped, unasked, digest, seen = (
            self._at_start if done else (self.skipped, self.unasked, self.digest, self.seen)
        )
        about |= {
            "start": start,
            "done": done,
            "skipped": [[each.name, each.reason] for each in skipped],
            "unasked": unasked,
            "digest": digest,
            "seen": seen,
        }
        self.unfinished.keep(about, arrays)

    def _resumed(self) -> tuple[int, int]:
        """The chunk at which to go on, and how many of its conditions are done."""
        found = self.unfinished.found()
        if found is None:
            return 0, 0
        about, arrays = found
        self.items.restore(about, arrays)
        self.skipped = [Skipped(*each) for each in about["skipped"]]
        self.unasked, self.digest, self.seen = about["unasked"], about["digest"], about["seen"]
        return int(about["start"]), int(about["done"])


def _near(image: np.ndarray, clean: np.ndarray) -> dict[str, float]:
    """All `MEASURES` of an image against the clean one."""
    return {name: of(image, clean) for name, of in MEASURES.items()}


def _answerable(asked: Asked) -> bool:
    return bool(asked.answer.strip())
