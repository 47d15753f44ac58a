"""Greedy generation of a transformers model, token by token, stoppable between tokens."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from workbench.errors import Cancelled
from workbench.models.hf.family import Family, Inputs
from workbench.models.protocol import Answer, Token


class _Steps:
    """A logits processor that passes every step on, and stops when told.

    What is said follows the model's own settings, such as a penalty for repetition, which change the scores.
    What is reported is the network's own log-probability of it, so that it agrees with `score`.
    """

    def __init__(self, stop: Callable[[], bool]) -> None:
        self.stop = stop
        self.logits: Tensor | None = None
        self.said: queue.Queue[Tensor | BaseException | None] = queue.Queue()

    @contextmanager
    def hearing(self, network: nn.Module) -> Iterator[None]:
        """Keep the logits of the network's passes in this thread, another's being another answer's."""
        thread = threading.get_ident()

        def after(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if threading.get_ident() == thread:
                self.logits = output.logits[:, -1]

        handle = network.register_forward_hook(after)
        try:
            yield
        finally:
            handle.remove()

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if self.stop():
            raise Cancelled
        if self.logits is None:
            raise RuntimeError("generation showed no logits")
        best = scores.argmax(-1, keepdim=True)
        own = self.logits.to(best.device).float().log_softmax(-1).gather(-1, best)
        self.said.put(torch.cat([best.double(), own.double()], dim=-1).cpu())
        return scores


def speak(
    family: Family, inputs: Inputs, max_new_tokens: int, stop: Callable[[], bool]
) -> Iterator[list[Answer]]:
    """Yield the answers so far, one a sequence, after every token. Raises Cancelled once `stop` says so.

    Whoever leaves off listening ends the generation after the token in progress.
    """
    from transformers import LogitsProcessorList

    left = threading.Event()
    steps = _Steps(lambda: stop() or left.is_set())

    def run() -> None:
        try:
            with torch.inference_mode(), steps.hearing(family.network):
                family.generate(
                    **inputs,
                    do_sample=False,
                    num_beams=1,
                    max_new_tokens=max_new_tokens,
                    logits_processor=LogitsProcessorList([steps]),
                )
            steps.said.put(None)
        except BaseException as error:
            steps.said.put(error)

    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    ends = family.ends
    tokens: list[list[Token]] = [[] for _ in range(len(inputs["input_ids"]))]
    over = [False] * len(tokens)
    try:
        while (step := steps.said.get()) is not None:
            if isinstance(step, BaseException):
                raise step
            for row, (number, logprob) in enumerate(step.tolist()):
                over[row] = over[row] or int(number) in ends
                if not over[row]:
                    said = [*(t.id for t in tokens[row]), int(number)]
                    text = family.words(said)[len(family.words(said[:-1])) :]
                    tokens[row].append(Token(text, logprob, int(number)))
            yield [
                Answer(family.words([t.id for t in row]).strip(), tuple(row), sum(t.logprob for t in row))
                for row in tokens
            ]
    finally:
        left.set()
        worker.join()
