"""A response as one typed record: every event, token, denoising state and answer of a look."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.images import fidelity
from workbench.models.protocol import Answer, Decision, Final, Model, Thought, Token, VisualState
from workbench.panels.states.config import StatesConfig
from workbench.panels.states.events import Direct, Laid, StudyEvent, spoken

if TYPE_CHECKING:
    from workbench.images.read import Picture
    from workbench.runs.result import Result

STUDY = "states"
RESPONSE = "response"
"""What the tokens of the response's own texts are on."""
TOKEN = {"on": "str", "text": int, "place": int, "token": "str", "id": int, "logprob": float, "answer": bool}
"""Columns of the table of tokens, with their types."""


class Record:
    """Collects the events of one look into a result.

    ``trace`` and ``answers`` are the rows of the tables so far, ``images`` those of the result, ``drawings``
    how many were begun, ``compared_at`` the height and width at which PSNR is measured.
    """

    def __init__(self, config: StatesConfig, model: Model, picture: Picture) -> None:
        self.config, self.model, self.picture = config, model, picture
        self.started = time.time()
        self.drawings = 0
        self.images: dict[str, np.ndarray] = {}
        self.reference = model.resized(picture.pixels)
        self.compared_at = self.reference.shape[:2]
        self.trace: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []
        self.latents: list[np.ndarray] = []
        self.tokens: list[dict[str, Any]] = []

    def add(self, event: StudyEvent) -> None:
        """Keep what an event says."""
        match event:
            case Laid(original, degraded):
                self.images["original"], self.images["degraded"] = original, degraded
                self._row("degraded", psnr=self._psnr(degraded))
            case Direct(on, answer):
                self._answer(on, answer)
                self._tokens(on, 1, answer.tokens, answer=True)
            case Thought(text, tokens, done=True):
                texts = sum(row["place"] == 1 for row in self.tokens if row["on"] == RESPONSE)
                self._tokens(RESPONSE, texts + 1, tokens)
                if said := spoken(text):
                    self._row("thought", text=said)
            case Decision(restore, probability):
                self._row("decision", text="draw" if restore else "answer", probability=probability)
            case VisualState():
                self.drawings += event.step == 0
                self.images[image_name(self.drawings, event.step)] = event.image
                self.latents.append(np.asarray(event.latent, dtype=np.float32))
                estimated = math.nan
                if event.estimate is not None:
                    self.images[estimate_name(self.drawings, event.step)] = event.estimate
                    estimated = self._psnr(event.estimate)
                self._row(
                    "step",
                    drawing=self.drawings,
                    step=event.step,
                    t=event.t,
                    velocity_norm=event.velocity_norm if event.step else math.nan,
                    psnr=self._psnr(event.image),
                    psnr_estimate=estimated,
                )
            case Final(answer, restored):
                if restored is not None:
                    self.images["restored"] = restored
                    self._row("restored", psnr=self._psnr(restored))
                mark_answer(self.tokens, answer.tokens)
                self._answer("restored" if restored is not None else "no drawing", answer)

    def _psnr(self, image: np.ndarray) -> float:
        """PSNR in dB, inf where equal, of image and original as the model takes them.

        The screen, the tables and the figure all read it from the trace.
        """
        return float(fidelity.psnr(_like(self.model.resized(image), self.reference), self.reference))

    def _row(self, event: str, *, text: str = "", drawing: int = 0, step: int = -1, **values: float) -> None:
        """A row of the trace; a number that the event does not have is NaN, a step it does not have -1."""
        numbers = dict.fromkeys(("probability", "t", "velocity_norm", "psnr", "psnr_estimate"), math.nan)
        self.trace.append(
            {"event": event, "text": text, "drawing": drawing, "step": step, **numbers, **values}
        )

    def _tokens(self, on: str, text: int, tokens: Sequence[Token], *, answer: bool = False) -> None:
        """A row for each token of a text; ``answer``: whether it is one of the answer's words."""
        self.tokens += [
            {"on": on, "text": text, "place": place, "token": t.text, "id": t.id, "logprob": t.logprob}
            | {"answer": answer}
            for place, t in enumerate(tokens, start=1)
        ]

    def _answer(self, on: str, answer: Answer) -> None:
        probability, logprob = float(answer.probability), float(answer.logprob)
        self.answers.append({"on": on, "answer": answer.text, "probability": probability, "logprob": logprob})
        self._row(f"answer, {on}", text=answer.text, probability=probability)

    def result(self) -> Result:
        """What was collected, which is all of the response.

        Tables: "trace", a row for each event in order; "tokens" (on, text, place, token, id, logprob in nats,
        answer): every token of the response's texts, which count from 1, and of the answers without drawing;
        "answers". Images: `image_name` and `estimate_name` of every step, "restored", what was given. Arrays:
        ``latents`` float32 (all steps of all drawings, …), and ``compared_at``, int64 (2,), the height and
        width at which PSNR was measured.
        """
        import pandas as pd

        from workbench.runs.manifest import manifest
        from workbench.runs.result import Result

        config = self.config.model_dump(mode="json")
        images = {"original": self.picture}
        arrays = {"compared_at": np.array(self.compared_at)}
        return Result(
            study=STUDY,
            config=config,
            manifest=manifest(self.model.card, config, self.config.seed, images, self.started),
            tables={
                "trace": pd.DataFrame(self.trace),
                "tokens": pd.DataFrame(self.tokens, columns=list(TOKEN)).astype(TOKEN),
                "answers": pd.DataFrame(self.answers),
            },
            arrays=arrays | ({"latents": np.stack(self.latents)} if self.latents else {}),
            images=dict(self.images),
        )


def image_name(drawing: int, step: int) -> str:
    """The name under which a result keeps one step of one drawing (the first drawing is 1)."""
    return f"drawing_{drawing}_step_{step:03d}"


def estimate_name(drawing: int, step: int) -> str:
    """The name of the image that this step's velocity pointed to; step 0 has none."""
    return f"drawing_{drawing}_estimate_{step:03d}"


def mark_answer(rows: list[dict[str, Any]], tokens: Sequence[Token]) -> None:
    """Mark the answer's words among the tokens of the response: the last stretch of the same."""
    own = [row for row in rows if row["on"] == RESPONSE]
    ids, wanted = [row["id"] for row in own], [token.id for token in tokens]
    for start in range(len(ids) - len(wanted), -1, -1):
        if wanted and ids[start : start + len(wanted)] == wanted:
            for row in own[start : start + len(wanted)]:
                row["answer"] = True
            return


def _like(image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The image at the reference's height and width: a model may draw at another size than it takes."""
    if image.shape == reference.shape:
        return image
    from PIL import Image

    size = (reference.shape[1], reference.shape[0])
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
