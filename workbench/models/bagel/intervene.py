"""Answering again with something else in place of what was drawn.

The past (system prompt, image, question, thought) was read once, and its keys and values are never changed:
each image is a branch of it, and branches run as one batch. CLEAR (arXiv 2604.04780, section 4.4) puts the
degraded image's latent at the bridge; this is the same with any image by any route.

What a branch says is greedy, as in a response. All of them are first offered what the response said after
its own drawing, in one pass: a branch takes of it what it would have said itself, and goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import partial

import numpy as np
import torch

from workbench.errors import Refusal, go_on
from workbench.models.bagel.interleave import (
    ANSWER,
    ANSWER_ENDS,
    THOUGHT,
    THOUGHT_ENDS,
    Drawn,
    answer_of,
    answer_span,
    before_answer,
    taken_in,
    undrawn,
)
from workbench.models.bagel.network import Context
from workbench.models.bagel.reader import BagelReader
from workbench.models.bagel.sequence import Past, as_latent
from workbench.models.bagel.speaker import Speaker
from workbench.models.limits import one_of, within
from workbench.models.protocol import ROUTES, THOUGHTS, Answer, Prompt, Reply, Sampling, Thought, Token

AT_ONCE = 8
"""Images in one batch: each carries a copy of the past's keys and values."""


class BagelReply:
    """What was said in one branch; implements `workbench.models.protocol.Reply`."""

    def __init__(self, speaker: Speaker, past: Callable[[], Past]) -> None:
        self.speaker, self.past = speaker, past
        self.text = speaker.text.strip()
        self.answer: Answer = answer_of(speaker)

    def prompt(self) -> Prompt:
        """All that was read and said before the answer; see the protocol."""
        special = self.speaker.model.special
        return self.past().prompt([special.bos, *before_answer(self.speaker)])

    @torch.inference_mode()
    def score(self, candidates: Sequence[str]) -> np.ndarray:
        """Log-probability of each candidate in the place of the answer, white space around it as there."""
        text = self.speaker.text
        start, stop = answer_span(text)
        if THOUGHT in text and THOUGHT_ENDS not in text and ANSWER not in text:
            return np.full(len(candidates), np.nan)
        said = text[start:stop]
        before = said[: len(said) - len(said.lstrip())] if said.strip() else ""
        after = said[len(said.rstrip()) :] if said.strip() else ""
        tagged = ANSWER in text[:start]
        tails = [
            (before + words.strip() + after + (ANSWER_ENDS if tagged else ""), not tagged)
            for words in candidates
        ]
        return np.array(self.speaker.scores(start, tails), dtype=np.float64)


class BagelBranch:
    """A response held where its last drawing came back; implements `workbench.models.protocol.Branch`."""

    def __init__(
        self, model: BagelReader, drawn: Drawn, settings: Sampling, stop: Callable[[], bool]
    ) -> None:
        self.model, self.drawn, self.settings, self.stop = model, drawn, settings, stop
        self.image = drawn.image
        self.own: Reply = BagelReply(drawn.speaker, lambda: self._past(None, settings.route))

    def _past(self, image: np.ndarray | None, route: str) -> Past:
        """What was read before a reply to this image; None: to the drawing."""
        drawn, model = self.drawn, self.model
        if image is None:
            return drawn.asking.with_drawing(model, drawn.latent, drawn.image, drawn.pictures, route)
        pictures = model.pictures([image])
        latent = model.latents(pictures).to(drawn.latent)
        return drawn.asking.with_drawing(model, latent, pictures.pixels[0], drawn.pictures, route)

    def drawing(self, t: float, *, seed: int = 0) -> Prompt:
        """See the protocol."""
        within("t", t, 0.0, 1.0)
        drawn, past = self.drawn, self.drawn.asking
        noise = torch.randn(drawn.latent.shape, generator=torch.Generator().manual_seed(seed))
        noisy = (1 - t) * drawn.latent + t * noise.to(drawn.latent)
        begun = as_latent(noisy, drawn.pictures, len(past.images), t)
        return Past((*past.segments, begun), (*past.images, drawn.image), past.question).prompt()

    @torch.inference_mode()
    def replies(
        self, images: Sequence[np.ndarray | None], route: str, *, thought: str = "anew"
    ) -> list[Reply]:
        """See the protocol. The drawing's own latent takes the bridge; of another image, its mean latent."""
        one_of("route", route, ROUTES)
        one_of("thought", thought, THOUGHTS)
        out: list[Reply] = []
        for start in range(0, len(images), AT_ONCE):
            some = images[start : start + AT_ONCE]
            for image, speaker in zip(some, self._said(self._read(some, route), thought), strict=True):
                out.append(BagelReply(speaker, partial(self._past, image, route)))
        return out

    @torch.inference_mode()
    def without(self) -> Reply:
        """See the protocol."""
        go_on(self.stop)
        speaker = Speaker(self.model, self.drawn.before)
        self._finish(speaker)
        return BagelReply(speaker, lambda: self.drawn.past)

    def _read(self, images: Sequence[np.ndarray | None], route: str) -> Context:
        """The context after the images, a row each."""
        drawn, model = self.drawn, self.model
        others = [image for image in images if image is not None]
        pictures = model.pictures(others) if others else drawn.pictures
        height, width = drawn.image.shape[:2]
        if pictures.pixels[0].shape[:2] != (height, width):
            found = pictures.pixels[0].shape
            raise Refusal(
                f"What stands in place of the drawing must have its shape, {width} × {height} pixels; the "
                f"model would take this one at {found[1]} × {found[0]}. Cut it to the same proportions."
            )
        given = iter(zip(pictures.pixels, model.latents(pictures), strict=True)) if others else iter(())
        rows = [(drawn.image, drawn.latent[0]) if image is None else next(given) for image in images]
        context = drawn.after.repeated(len(rows))
        return taken_in(
            model,
            (context, None),
            torch.stack([latent.to(drawn.latent) for _, latent in rows]),
            [pixels for pixels, _ in rows],
            drawn.pictures,
            route,
            self.stop,
        )[0]

    def _said(self, context: Context, thought: str) -> list[Speaker]:
        """What is said in each row of the context."""
        go_on(self.stop)
        model, network = self.model, self.model.network
        offered = self.drawn.speaker.ids
        count = context.past[0][0].shape[0]
        ids = torch.tensor([[model.special.bos, *offered]], device=network.device).expand(count, -1)
        context, states = network.add_text(context, ids)
        held = self._thought_held() if thought == "kept" else 0
        speakers = []
        for row in range(count):
            logs = network.logits(states[row]).float().log_softmax(-1)
            same = (logs[:-1].argmax(-1) == ids[row, 1:].to(logs.device)).tolist()
            taken = next((i for i, agreed in enumerate(same) if not agreed and i >= held), len(offered))
            tokens = [
                Token(model.words([number]), float(logs[i, number]), number)
                for i, number in enumerate(offered[:taken])
            ]
            own = context.row(row).without(len(offered) - taken)
            speaker = Speaker.resumed(model, own, tokens, logs[taken : taken + 1])
            self._finish(speaker)
            speakers.append(speaker)
        return speakers

    def _thought_held(self) -> int:
        """How many tokens of what the response said end before its answer begins."""
        start, _ = answer_span(self.drawn.speaker.text)
        return sum(end <= start for end in self.drawn.speaker.ends())

    def _finish(self, speaker: Speaker) -> None:
        """Say what is left, as the response would have: freely in its last text, else without drawing."""

        def until(*tags: str) -> Generator[Thought, None, bool]:
            yield from ()  # Nobody watches it grow.
            while not speaker.ended and len(speaker.tokens) < self.settings.max_new_tokens:
                go_on(self.stop)
                speaker.say()
                if any(tag in speaker.text for tag in tags):
                    return True
            return False

        for _ in until() if self.drawn.last else undrawn(speaker, until):
            pass
