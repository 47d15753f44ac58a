"""Work in batches that become smaller where memory runs out, instead of failing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from workbench.errors import Refusal
from workbench.memory import give_back

T = TypeVar("T")
FULL = ("not enough memory", "can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What torch says in a RuntimeError where there is no type of its own for it."""


class Halving:
    """How many images go through the model at once; half as many each time that is too many."""

    def __init__(self, at_once: int) -> None:
        self.at_once = max(1, at_once)

    def run(self, work: Callable[[int], T]) -> T:
        """What `work` makes with so many at once; begun again with half of them where memory runs out.

        Raises:
            Refusal: there is not even room for one.
        """
        while True:
            try:
                return work(self.at_once)
            except (MemoryError, RuntimeError) as error:
                if not _full(error):
                    raise
                if self.at_once == 1:
                    raise Refusal(
                        "There is not enough memory for one image. Take a smaller image, open the model with "
                        "a smaller number type, or leave out the methods that need gradients."
                    ) from error
            # Outside of the handler, where the traceback no longer holds the tensors that filled the memory.
            self.at_once //= 2
            give_back()


def _full(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or any(words in str(error) for words in FULL)
