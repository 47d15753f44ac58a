"""Direct answers to many questions: an image is read once, its questions and their candidates side by side.

`score_each` is one pass. A row holds an image and a `Tree`: its questions and, behind each, every candidate.
A question sees the image and itself, a candidate also its question; so nothing is read twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from workbench.errors import Refusal, go_on
from workbench.models.bagel.network import Context
from workbench.models.bagel.reader import BagelReader
from workbench.models.bagel.rows import Rows, padded
from workbench.models.protocol import Answer, Token
from workbench.models.together import Posed

LOGITS_AT_ONCE = 512
"""Tokens whose logits are held at once: a vocabulary may have 150,000 words."""


@torch.inference_mode()
def score_each(
    model: BagelReader, images: Sequence[np.ndarray], posed: Sequence[Posed], stop: Callable[[], bool]
) -> list[np.ndarray]:
    """Log-probabilities in nats, float64 (C,), of each question's candidates and of their ends."""
    go_on(stop)
    network, device = model.network, model.network.device
    pictures = model.pictures(images)
    trees = [Tree() for _ in images]
    for number, asked in enumerate(posed):
        checked(asked.candidates)
        written = model.segment(model.typed(asked.text))[0].tolist() if asked.text.strip() else []
        ids = [[*model.typed(candidate), model.special.eos] for candidate in asked.candidates]
        trees[asked.image].add(number, [*written, model.special.bos], ids)
    seen = network.framed(model.embedded_vision(pictures), model.special)
    texts, places, among = laid_out(trees, device)
    x = torch.cat([seen, network.embed_text(texts)], 1)
    framed = seen.shape[1]
    positions = torch.cat([places.new_zeros(len(trees), framed), places + 1], 1)
    mask = torch.zeros(len(trees), x.shape[1], x.shape[1], dtype=torch.bool, device=device)
    mask[:, :, :framed] = True
    mask[:, framed:, framed:] = among
    states, _ = network.language_model.model(x, positions, mask=mask[:, None])
    found = summed(model, states[:, framed:], trees)
    return [found[number] for number in range(len(posed))]


@torch.inference_mode()
def answer_each(
    model: BagelReader,
    images: Sequence[np.ndarray],
    posed: Sequence[Posed],
    max_new_tokens: int,
    stop: Callable[[], bool],
) -> list[Answer]:
    """Greedy answers, one for each question."""
    go_on(stop)
    pictures, device = model.pictures(images), model.network.device
    context = model.network.add_vision(Context(), model.embedded_vision(pictures), model.special)
    rows = Rows.after(context, len(images), device).at([asked.image for asked in posed])
    texts = [
        model.segment(model.typed(asked.text))[0].tolist() if asked.text.strip() else [] for asked in posed
    ]
    if any(texts):
        rows, _ = rows.read_text(model.network, texts)
    out = []
    for tokens in greedy(model, rows, [[] for _ in posed], max_new_tokens, lambda text: False, stop):
        text = model.words([token.id for token in tokens]).strip()
        out.append(Answer(text, tuple(tokens), sum(token.logprob for token in tokens)))
    return out


def greedy(
    model: BagelReader,
    rows: Rows,
    given: Sequence[Sequence[int]],
    most: int,
    enough: Callable[[str], bool],
    stop: Callable[[], bool],
) -> list[list[Token]]:
    """The likeliest token, again and again, in each row after bos and the tokens `given` to it.

    A row ends with eos, after `most` tokens (those given count), or once `enough` says so of its whole text.
    What was given stands first in what comes back, with log-probabilities of its own.
    """
    network, special = model.network, model.special
    rows, states = rows.read_text(network, [[special.bos, *ids] for ids in given])
    said = [_given(model, states[row], ids) for row, ids in enumerate(given)]
    last = torch.tensor([len(ids) for ids in given], device=states.device)
    states = states[torch.arange(len(given), device=states.device), last][:, None]
    going = [k for k, ids in enumerate(given) if len(ids) < most]
    states = states[going]
    rows = rows.at(going)
    while going:
        go_on(stop)
        best = network.logits(states[:, -1]).float().log_softmax(-1).max(-1)
        numbers, logprobs = best.indices.tolist(), best.values.tolist()
        kept = []
        for place, (k, number, logprob) in enumerate(zip(going, numbers, logprobs, strict=True)):
            if number == special.eos:
                continue
            said[k].append(Token(model.words([number]), logprob, number))
            if len(said[k]) < most and not enough(model.words([token.id for token in said[k]])):
                kept.append(place)
        going = [going[place] for place in kept]
        if going:
            rows, states = rows.at(kept).read_text(network, [[numbers[place]] for place in kept])
    return said


def checked(candidates: Sequence[str]) -> None:
    """Raise Refusal where there is nothing to score."""
    if not candidates:
        raise Refusal("There are no candidates to score: give at least one answer.")
    if not all(candidate.strip() for candidate in candidates):
        raise Refusal("One of the candidates is empty: leave it out.")


def _given(model: BagelReader, states: Tensor, ids: Sequence[int]) -> list[Token]:
    """Tokens put into the model's mouth, with the log-probability that it would have said each."""
    if not ids:
        return []
    logs = model.network.logits(states[: len(ids)]).float().log_softmax(-1)
    return [Token(model.words([number]), float(logs[i, number]), number) for i, number in enumerate(ids)]


class Tree:
    """The text of one row, laid out: stems side by side, behind each its branches side by side.

    A branch sees its stem and itself; its last token is foretold and never read. parts: for each token the
    stem it belongs to, and the branch, -1 in the stem itself. picks: where a log-probability is read, which
    token's, and for which stem and branch.
    """

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.positions: list[int] = []
        self.parts: list[tuple[int, int]] = []
        self.picks: list[tuple[int, int, int, int]] = []

    def add(self, number: int, stem: Sequence[int], branches: Sequence[Sequence[int]]) -> None:
        """A stem with its number, one token at least, and what may follow it, each one token at least."""
        self._put(stem, 0, (number, -1))
        last = len(self.ids) - 1
        for k, ids in enumerate(branches):
            start = len(self.ids)
            self._put(ids[:-1], len(stem), (number, k))
            sources = [last, *range(start, len(self.ids))]
            self.picks += [(at, to, number, k) for at, to in zip(sources, ids, strict=True)]

    def _put(self, ids: Sequence[int], place: int, part: tuple[int, int]) -> None:
        self.ids += ids
        self.positions += range(place, place + len(ids))
        self.parts += [part] * len(ids)


def laid_out(trees: Sequence[Tree], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Token ids (B, N), positions from the first of the text (B, N), and who may look at whom (B, N, N)."""
    ids, _ = padded([tree.ids for tree in trees], device)
    places, _ = padded([tree.positions for tree in trees], device)
    longest = ids.shape[1]
    stems = torch.full((len(trees), longest), -1)
    branches = torch.full((len(trees), longest), -2)
    for k, tree in enumerate(trees):
        if tree.parts:
            found = torch.tensor(tree.parts)
            stems[k, : len(found)], branches[k, : len(found)] = found[:, 0], found[:, 1]
    stems, branches = stems.to(device), branches.to(device)
    same = stems[:, :, None] == stems[:, None]
    own = (branches[:, None] == -1) | (branches[:, :, None] == branches[:, None])
    # Padding looks at itself.
    itself = torch.eye(longest, dtype=torch.bool, device=device)
    return ids, places, (same & own).tril() | itself


def summed(model: BagelReader, states: Tensor, trees: Sequence[Tree]) -> dict[int, np.ndarray]:
    """Log-probabilities in nats of every stem's branches, float64, from the normed states of `laid_out`."""
    picks = [(row, *pick) for row, tree in enumerate(trees) for pick in tree.picks]
    out: dict[int, np.ndarray] = {}
    for _, _, _, number, branch in picks:
        out[number] = np.zeros(max(branch + 1, len(out.get(number, ()))))
    for first in range(0, len(picks), LOGITS_AT_ONCE):
        some = picks[first : first + LOGITS_AT_ONCE]
        at = torch.tensor([pick[:3] for pick in some], device=states.device)
        logs = model.network.logits(states[at[:, 0], at[:, 1]]).float().log_softmax(-1)
        values = logs.gather(1, at[:, 2:].to(logs.device))[:, 0].double().tolist()
        for (*_, number, branch), value in zip(some, values, strict=True):
            out[number][branch] += value
    return out


@dataclass(frozen=True)
class Scored:
    """A text whose end is scored: token ids `head`, then `tail`."""

    head: Sequence[int]
    tail: Sequence[int]


def tails(model: BagelReader, rows: Rows, texts: Sequence[Scored]) -> list[float]:
    """Log-probability in nats of each row's tail after bos and its head; the rows are only read."""
    written = [[model.special.bos, *text.head, *text.tail[:-1]] for text in texts]
    _, states = rows.read_text(model.network, written)
    out = []
    for row, text in enumerate(texts):
        first = len(text.head)
        logs = model.network.logits(states[row, first : first + len(text.tail)]).float().log_softmax(-1)
        out.append(sum(float(logs[i, number]) for i, number in enumerate(text.tail)))
    return out
