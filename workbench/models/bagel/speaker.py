"""Saying one text segment: greedily, token by token, or with words put into the model's mouth.

The tags that steer a response (`</think>`, `<image_restore>` …) are ordinary text. A tokenizer may cut them
into several tokens, and may let one share a token with its neighbour (`><`). So nothing here looks for the
token of a tag: tags are found in the text that the tokens spell, and written as the tokenizer writes them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from workbench.models.bagel.network import Context
from workbench.models.bagel.reader import BagelReader
from workbench.models.protocol import Token


class Words:
    """What has been said of one segment, as tokens and as text.

    `tokens`: without frame; `text` the same as a string.
    """

    def __init__(self, model: BagelReader) -> None:
        self.model = model
        self.tokens: list[Token] = []

    @property
    def ids(self) -> list[int]:
        """What has been said, as token ids."""
        return [token.id for token in self.tokens]

    @property
    def text(self) -> str:
        """What has been said, white space and all."""
        return self.model.words(self.ids)

    @property
    def written(self) -> list[int]:
        """What has been said as the tokenizer writes it, which may not be how the model spelled it."""
        text, model = self.text, self.model
        if not text:
            return []
        ids = model.pieces(text)
        # A tokenizer may put a space before whatever it writes; `text` has that one already.
        return model.pieces(text.removeprefix(" ")) if model.words(ids) == f" {text}" else ids

    def ends(self) -> list[int]:
        """Where each token ends in `text`, in characters."""
        ids = self.ids
        return [len(self.model.words(ids[: i + 1])) for i in range(len(ids))]

    def spelled(self, head: int, tail: str) -> tuple[int, list[int]]:
        """How to write `tail` after the first `head` characters said: tokens that stay, ids that follow.

        The tokenizer writes the whole; of that the shortest end is taken that begins where one of the said
        tokens ends. So what was said stays, but for a token that must be shared with `tail`.
        """
        text, pieces = self.text[:head], self.model.pieces
        if not text.strip():
            return 0, pieces(tail)
        after = {end: i + 1 for i, end in enumerate(self.ends())} | {0: 0}
        ids = pieces(text + tail)
        for start in range(len(ids), -1, -1):
            end = self.model.words(ids[start:])
            before = len(text) + len(tail) - len(end)
            if before <= head and before in after and (text + tail).endswith(end):
                return after[before], ids[start:]
        # The tokenizer spells what was said in other characters: write anew from the last place that stays.
        before = max(place for place in after if place <= head)
        return after[before], pieces(text[before:] + tail)


class Speaker(Words):
    """One segment after a context, for a batch of one.

    `tokens`: what has been said, without frame; `text` the same as a string; `ended`: the model is done.
    """

    def __init__(self, model: BagelReader, context: Context) -> None:
        super().__init__(model)
        self.ended = False
        self._context, self._next = self._fed(context, [model.special.bos])

    @classmethod
    def resumed(
        cls, model: BagelReader, context: Context, tokens: Sequence[Token], following: Tensor
    ) -> Speaker:
        """A segment of which `tokens` are said already: `context` holds bos and them.

        following: log-probabilities (1, vocabulary) of what comes next.
        """
        speaker = cls.__new__(cls)
        speaker.model, speaker.tokens, speaker.ended = model, list(tokens), False
        speaker._context, speaker._next = context, following
        return speaker

    def _fed(self, context: Context, ids: Sequence[int]) -> tuple[Context, Tensor]:
        """The context after more tokens, and the log-probabilities (n, vocabulary) of what follows each."""
        network = self.model.network
        context, states = network.add_text(context, torch.tensor([ids], device=network.device))
        return context, network.logits(states[0]).float().log_softmax(-1)

    def finished(self) -> Context:
        """The context after this segment and its eos; nothing can be said any more.

        As published: it holds the segment as it is `written`.
        """
        self.ended = True
        context, rest, written = self._context, [self.model.special.eos], self.written
        if written != self.ids:
            context = context.without(len(self.tokens) + 1)
            rest = [self.model.special.bos, *written, *rest]
        self._context, self._next = self._fed(context, rest)
        return self._context

    def say(self) -> None:
        """Say the likeliest token, or end where that is eos."""
        number = int(self._next[-1].argmax())
        if number == self.model.special.eos:
            self.ended = True
            return
        self.tokens.append(self._token(number, float(self._next[-1, number])))
        self._context, self._next = self._fed(self._context, [number])

    def _token(self, number: int, logprob: float) -> Token:
        return Token(self.model.words([number]), logprob, number)

    def probability(self, head: int, tail: str) -> float:
        """Probability that `tail` comes after the first `head` characters of what was said, 0 … 1.

        It is that of the tokens that write `tail` there, after those said before them.
        """
        kept, ids = self.spelled(head, tail)
        context, following = self._back(kept)
        following = torch.cat([following[-1:], self._fed(context, ids)[1]])
        return math.exp(sum(float(following[i, number]) for i, number in enumerate(ids)))

    def scores(self, head: int, tails: Sequence[tuple[str, bool]]) -> list[float]:
        """Log-probability in nats that each tail comes after the first `head` characters of what was said.

        A tail with True counts the end of the segment after it. Tails that keep the same tokens before them
        run as one batch: what fills up the shorter ones comes after them and is seen by none.
        """
        eos, network = self.model.special.eos, self.model.network
        by_kept: dict[int, list[tuple[int, list[int]]]] = {}
        for place, (tail, ends) in enumerate(tails):
            kept, ids = self.spelled(head, tail)
            by_kept.setdefault(kept, []).append((place, [*ids, eos] if ends else ids))
        out = [0.0] * len(tails)
        for kept, rows in by_kept.items():
            context, following = self._back(kept)
            longest = max(len(ids) for _, ids in rows)
            fed = [[*ids[:-1], *[eos] * (longest - len(ids))] for _, ids in rows]
            logs = following[-1:].expand(len(rows), 1, -1)
            if longest > 1:
                batch = torch.tensor(fed, device=network.device)
                _, states = network.add_text(context.repeated(len(rows)), batch)
                logs = torch.cat([logs, network.logits(states).float().log_softmax(-1)], dim=1)
            for (place, ids), row in zip(rows, logs, strict=True):
                out[place] = sum(float(row[i, number]) for i, number in enumerate(ids))
        return out

    def force(self, head: int, tail: str) -> None:
        """Keep the first `head` characters of what was said, then say `tail`; the segment stays open."""
        kept, ids = self.spelled(head, tail)
        context, following = self._back(kept)
        self.tokens, self.ended = self.tokens[:kept], False
        if ids:
            context, more = self._fed(context, ids)
            following = torch.cat([following[-1:], more])
            self.tokens += [self._token(number, float(following[i, number])) for i, number in enumerate(ids)]
        self._context, self._next = context, following[-1:]

    def _back(self, kept: int) -> tuple[Context, Tensor]:
        """Context and log-probabilities as they were after the first `kept` tokens."""
        dropped = len(self.tokens) - kept
        if dropped == 0:
            return self._context, self._next
        last = self.ids[kept - 1] if kept else self.model.special.bos
        return self._fed(self._context.without(dropped + 1), [last])
