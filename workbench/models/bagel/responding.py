"""Interleaved responses to many questions at once, as `interleave.respond` gives them one by one (tested).

Images are read once, whatever is asked about them. What ways have in common (the first thought, the first
drawing) is made once; each row keeps its own seed, thought and length. What differs is only what is kept: no
states of the walk, and of several thoughts the answer alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from workbench.errors import Refusal, go_on
from workbench.models.bagel import flow, interleave
from workbench.models.bagel.asking import Scored, Tree, checked, greedy, laid_out, summed, tails
from workbench.models.bagel.interleave import ANSWER, ANSWER_ENDS, MOST_TEXTS, RESTORE, THOUGHT, THOUGHT_ENDS
from workbench.models.bagel.reader import BagelReader
from workbench.models.bagel.rows import Rows
from workbench.models.bagel.speaker import Words
from workbench.models.protocol import Answer, Decision, Sampling, Token
from workbench.models.together import IN_CONTEXT, Posed, Response, Responses

_NO_TOKEN = Token("", math.nan, 0)


@dataclass(frozen=True)
class _Read:
    """What rows have read, and the same without the image, where guidance compares with that."""

    rows: Rows
    blind: Rows | None

    def at(self, places: Sequence[int]) -> _Read:
        return _Read(self.rows.at(places), None if self.blind is None else self.blind.at(places))


@dataclass(frozen=True)
class _Text:
    """One text of a row: what was said, and what was decided in it."""

    words: Words
    decision: Decision


def respond_each(
    model: BagelReader,
    images: Sequence[np.ndarray],
    posed: Sequence[Posed],
    settings: Sampling,
    seeds: Sequence[int],
    ways: Sequence[str],
    stop: Callable[[], bool],
) -> Responses:
    """Responses by way; see `workbench.models.together.responses`."""
    return _Talk(model, images, posed, settings, seeds, stop).responses(ways)


class _Talk:
    """One batch: images of one size and questions about them."""

    def __init__(
        self,
        model: BagelReader,
        images: Sequence[np.ndarray],
        posed: Sequence[Posed],
        settings: Sampling,
        seeds: Sequence[int],
        stop: Callable[[], bool],
    ) -> None:
        self.model, self.network, self.settings, self.stop = model, model.network, settings, stop
        self.posed, self.seeds = list(posed), list(seeds)
        self.pictures = model.pictures(images)
        self.guidance = flow.Guidance(
            settings.text_scale, settings.image_scale, settings.interval, settings.renorm, settings.renorm_min
        )
        for asked in posed:
            if not asked.text.strip():
                raise Refusal("There is no question. Write one: the model has nothing to answer.")
            if asked.candidates:
                checked(asked.candidates)

    @torch.inference_mode()
    def responses(self, ways: Sequence[str]) -> Responses:
        by_way: dict[str, list[Response]] = {}
        seconds: dict[str, float] = {}
        drawing = [way for way in ways if way != IN_CONTEXT]
        everyone = range(len(self.posed))
        started = time.perf_counter()
        read = self._opened()
        opening = time.perf_counter() - started
        if drawing:
            started = time.perf_counter()
            texts = self._say(read.rows, everyone, self.settings.restore)
            going = [k for k in everyone if texts[k].decision.restore]
            ended = [k for k in everyone if not texts[k].decision.restore]
            done = self._ended(read.rows, ended, [texts[k] for k in ended], [None] * len(ended), None)
            first = {k: texts[k].decision for k in everyone}
            thinking = opening + time.perf_counter() - started
            started = time.perf_counter()
            if IN_CONTEXT in ways and self.settings.restore == "auto":
                held = self._held_back(read.rows, going, texts)
                by_way[IN_CONTEXT] = [(done | held)[k] for k in everyone]
                seconds[IN_CONTEXT] = thinking + time.perf_counter() - started
            started = time.perf_counter()
            drawn: tuple[_Read, Tensor, list[np.ndarray]] | None = None
            if going:
                drawn = self._drawn(read.at(going), going, [texts[k] for k in going], 0)
            shared = thinking + time.perf_counter() - started
            for way in drawing:
                started = time.perf_counter()
                found = done if drawn is None else done | self._after(drawn, going, way, first, 1)
                by_way[way] = [found[k] for k in everyone]
                seconds[way] = shared + time.perf_counter() - started
        if IN_CONTEXT in ways and IN_CONTEXT not in by_way:
            started = time.perf_counter()
            said = self._ended(
                read.rows,
                everyone,
                self._say(read.rows, everyone, "never"),
                [None] * len(everyone),
                None,
            )
            by_way[IN_CONTEXT] = [said[k] for k in everyone]
            seconds[IN_CONTEXT] = opening + time.perf_counter() - started
        return Responses({way: by_way[way] for way in ways}, seconds)

    def _held_back(self, rows: Rows, numbers: Sequence[int], texts: Sequence[_Text]) -> dict[int, Response]:
        """What those who would draw say without leave to: all others say it already, drawing nothing."""
        if not numbers:
            return {}
        mine = rows.at(numbers)
        held = self._say(mine, numbers, "never", begun=[texts[k].words for k in numbers])
        return self._ended(mine, numbers, held, [None] * len(numbers), range(len(numbers)))

    def _opened(self) -> _Read:
        """System prompt, image as latent and as vision, question."""
        model, device = self.model, self.network.device
        count = len(self.pictures.pixels)
        system = interleave.system_read(model)
        rows = Rows.after(system, count, device)
        rows = self._with_latent(rows, model.latents(self.pictures))
        go_on(self.stop)
        rows = rows.read_image(
            self.network, model.embedded_vision(self.pictures), model.special, latent=False
        )
        asked = [model.segment(model.typed(each.text))[0].tolist() for each in self.posed]
        rows, _ = rows.at([each.image for each in self.posed]).read_text(self.network, asked)
        blind: Rows | None = None
        if self.guidance.on_image and self.settings.restore != "never":
            blind, _ = Rows.after(system, len(asked), device).read_text(self.network, asked)
        return _Read(rows, blind)

    def _with_latent(self, rows: Rows, latent: Tensor) -> Rows:
        now = torch.zeros(len(rows), device=self.network.device)
        embedded = self.network.embed_latent(
            latent.to(self.network.device), self.pictures.latent_rows, self.pictures.latent_cols, now
        )
        return rows.read_image(self.network, embedded, self.model.special, latent=True)

    # Words

    def _say(
        self,
        rows: Rows,
        numbers: Sequence[int],
        restore: str,
        *,
        chances: bool = True,
        begun: Sequence[Words] | None = None,
    ) -> list[_Text]:
        """One text of each row, as `interleave._speak` lets it be said; `rows` are only read.

        Where candidates will be scored, a text ends with the answer's tag. Without `chances` the
        probabilities of the decisions stay unknown. `begun`: what these rows said when they might draw.
        """
        scored = [bool(self.posed[k].candidates) for k in numbers]
        texts = [Words(self.model) for _ in numbers]
        if begun is None:
            self._go_on_saying(rows, texts, range(len(texts)), scored, restore)
        for text, words in zip(texts, begun or (), strict=False):
            text.tokens = list(words.tokens)
        if restore == "never":
            # A drawing it wanted is taken out of its mouth, and it goes on from there.
            while again := [k for k, text in enumerate(texts) if RESTORE in text.text]:
                goes_on = []
                for k in again:
                    head = texts[k].text.index(RESTORE)
                    answered = ANSWER in texts[k].text[:head]
                    self._force(texts[k], head, "" if answered else ANSWER)
                    if not answered and not scored[k]:
                        goes_on.append(k)
                self._go_on_saying(rows, texts, goes_on, scored, restore)
        heads = [interleave.thought_ends(text.text) for text in texts]
        found = self._chances(rows, texts, heads) if chances else [math.nan] * len(texts)
        out = []
        for text, head, chance in zip(texts, heads, found, strict=True):
            if restore == "always":
                thought = text.text[:head]
                thought = thought[: interleave.standing(thought)]
                open_ = THOUGHT in thought and THOUGHT_ENDS not in thought
                self._force(text, len(thought), THOUGHT_ENDS + RESTORE if open_ else RESTORE)
                out.append(_Text(text, Decision(True, chance)))
            else:
                wanted = restore == "auto" and RESTORE in text.text and not interleave.answered(text.text)
                out.append(_Text(text, Decision(wanted, chance)))
        return out

    def _go_on_saying(
        self,
        rows: Rows,
        texts: Sequence[Words],
        which: Sequence[int],
        scored: Sequence[bool],
        restore: str,
    ) -> None:
        """Let some rows say on, to their end or to a tag at which something is decided."""
        tags = {
            "always": ((THOUGHT_ENDS, RESTORE, ANSWER),) * 2,
            "never": ((RESTORE,), (RESTORE, ANSWER)),
            "auto": ((), (RESTORE, ANSWER)),
        }[restore]
        for kind in (False, True):
            some = [k for k in which if scored[k] == kind]
            if not some:
                continue
            said = greedy(
                self.model,
                rows.at(some),
                [texts[k].ids for k in some],
                self.settings.max_new_tokens,
                lambda text, ends=tags[kind]: any(tag in text for tag in ends),  # type: ignore[misc]
                self.stop,
            )
            for k, tokens in zip(some, said, strict=True):
                texts[k].tokens = tokens

    def _force(self, text: Words, head: int, tail: str) -> None:
        """Keep the first `head` characters of what was said, then say `tail`; log-probabilities unknown."""
        kept, ids = text.spelled(head, tail)
        text.tokens = text.tokens[:kept] + [
            replace(_NO_TOKEN, text=self.model.words([number]), id=number) for number in ids
        ]

    def _chances(self, rows: Rows, texts: Sequence[Words], heads: Sequence[int]) -> list[float]:
        """Probability of the restore tag after the first `heads` characters of each text."""
        asked = []
        for text, head in zip(texts, heads, strict=True):
            kept, ids = text.spelled(head, RESTORE)
            asked.append(Scored(text.ids[:kept], ids))
        return [math.exp(value) for value in tails(self.model, rows, asked)]

    # Drawing

    def _drawn(
        self, read: _Read, numbers: Sequence[int], texts: Sequence[_Text], before: int
    ) -> tuple[_Read, Tensor, list[np.ndarray]]:
        """The rows after these texts, and what each draws then: latent tokens (B, N, D), and pictures.

        before: how many drawings each row's seed has already given noise to.
        """
        written = [[self.model.special.bos, *text.words.written, self.model.special.eos] for text in texts]
        thoughtless = read.rows if self.guidance.on_text else None
        rows, _ = read.rows.read_text(self.network, written)
        blind = None if read.blind is None else read.blind.read_text(self.network, written)[0]
        grid = (self.pictures.latent_rows, self.pictures.latent_cols)
        size = (1, grid[0] * grid[1], self.model.config.latent_dim)
        noise = torch.cat([_noise(size, self.seeds[k], before) for k in numbers]).to(self.network.device)

        def velocity(context: Rows | None) -> flow.Velocity | None:
            if context is None:
                return None

            def at(x: Tensor, t: float) -> Tensor:
                go_on(self.stop)
                return context.velocity(self.network, x, grid, t, self.model.special)

            return at

        full = velocity(rows)
        assert full is not None
        latent = noise
        for step in flow.sample(
            noise,
            self.settings.steps + 1,
            self.settings.shift,
            self.guidance,
            full,
            velocity(thoughtless),
            velocity(blind),
        ):
            latent = step.x
        return _Read(rows, blind), latent, self.model.decoded(latent, self.pictures)

    def _taken_in(self, read: _Read, latent: Tensor, images: list[np.ndarray], route: str) -> _Read:
        """The rows after what was drawn is read by the route, as `interleave.taken_in`."""
        rows, blind = read.rows, read.blind
        if route in ("bridge", "both"):
            go_on(self.stop)
            rows = self._with_latent(rows, latent)
            blind = None if blind is None else rows
        if route in ("re-encode", "both"):
            go_on(self.stop)
            seen = self.model.embedded_vision(replace(self.pictures, pixels=images))
            before = rows
            rows = rows.read_image(self.network, seen, self.model.special, latent=False)
            if blind is before:
                blind = rows
            elif blind is not None:
                blind = blind.read_image(self.network, seen, self.model.special, latent=False)
        return _Read(rows, blind)

    def _after(
        self,
        drawn: tuple[_Read, Tensor, list[np.ndarray]],
        numbers: Sequence[int],
        route: str,
        first: dict[int, Decision],
        drawings: int,
    ) -> dict[int, Response]:
        """Responses of rows that have drawn: the text that follows, and what it leads to."""
        read, latent, images = drawn
        free = self.settings.restore == "auto"
        read = self._taken_in(read, latent, images, route)
        texts = self._say(read.rows, numbers, "auto" if free else "never", chances=False)
        again = drawings + 1 < MOST_TEXTS and free
        goes = [place for place, text in enumerate(texts) if again and text.decision.restore]
        ends = [place for place in range(len(texts)) if place not in goes]
        found = self._ended(
            read.rows,
            [numbers[place] for place in ends],
            [texts[place] for place in ends],
            [images[place] for place in ends],
            ends,
            first,
        )
        if goes:
            on = [numbers[place] for place in goes]
            more = self._drawn(read.at(goes), on, [texts[place] for place in goes], drawings)
            found |= self._after(more, on, route, first, drawings + 1)
        return found

    # Answers

    def _ended(
        self,
        rows: Rows,
        numbers: Sequence[int],
        texts: Sequence[_Text],
        images: Sequence[np.ndarray | None],
        places: Sequence[int] | None,
        first: dict[int, Decision] | None = None,
    ) -> dict[int, Response]:
        """The responses that end with these texts; `places`: where their rows stand, if not by number."""
        if not numbers:
            return {}
        answers = self._answers(rows.at(numbers if places is None else places), numbers, texts)
        return {
            k: Response(text.decision if first is None else first[k], image, answer, scores)
            for k, text, image, (answer, scores) in zip(numbers, texts, images, answers, strict=True)
        }

    def _answers(
        self, rows: Rows, numbers: Sequence[int], texts: Sequence[_Text]
    ) -> list[tuple[Answer, np.ndarray | None]]:
        """The answer in each text, or the likeliest candidate in its place with the scores of all."""
        trees: list[Tree] = []
        owners: list[int] = []
        for place, (k, text) in enumerate(zip(numbers, texts, strict=True)):
            if not self.posed[k].candidates:
                continue
            said = text.words.text
            end = said.index(ANSWER) + len(ANSWER) if ANSWER in said else interleave.thought_ends(said)
            head = said[:end] if ANSWER in said else said[:end] + ANSWER
            whole = [
                self.model.pieces(head.strip() + candidate + ANSWER_ENDS)
                for candidate in self.posed[k].candidates
            ]
            common = _common(whole)
            trees.append(Tree())
            owners.append(place)
            stem = [self.model.special.bos, *whole[0][:common]]
            trees[-1].add(place, stem, [ids[common:] for ids in whole])
        found = self._scored(rows, trees, owners)
        out: list[tuple[Answer, np.ndarray | None]] = []
        for place, (k, text) in enumerate(zip(numbers, texts, strict=True)):
            if place not in found:
                out.append((interleave.answer_of(text.words), None))
                continue
            scores = found[place]
            best = int(scores.argmax())
            likeliest = Answer(self.posed[k].candidates[best], (), float(scores[best]))
            out.append((likeliest, scores))
        return out

    def _scored(self, rows: Rows, trees: Sequence[Tree], owners: Sequence[int]) -> dict[int, np.ndarray]:
        """Log-probabilities of each tree's branches behind its row, by the number of the stem."""
        if not trees:
            return {}
        go_on(self.stop)
        ids, places, among = laid_out(trees, self.network.device)
        return summed(self.model, rows.at(owners).states_of(self.network, ids, places, among), trees)


def _noise(size: tuple[int, ...], seed: int, before: int) -> Tensor:
    """The noise of a seed's drawing after so many others."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(before):
        torch.randn(size, generator=generator)
    return torch.randn(size, generator=generator)


def _common(texts: Sequence[Sequence[int]]) -> int:
    """How many tokens all texts begin with, at least one of each left over."""
    length = min(len(text) for text in texts) - 1
    for place in range(length):
        if len({text[place] for text in texts}) > 1:
            return place
    return length
