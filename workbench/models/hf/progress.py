"""How far transformers is with loading weights, told to whoever asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.models.memory import header
from workbench.models.progress import Say, silent

_ONE_AT_A_TIME = threading.Lock()
"""The hook is one for the whole process."""


@contextmanager
def heard(say: Say | None, files: Sequence[Path] = ()) -> Iterator[None]:
    """Pass the progress bars of transformers on to `say` while the body runs; show none.

    Of several `files` of weights it hears at which it is, told from the names of their tensors.
    """
    from transformers.utils import logging

    shards = {tensor.name: number for number, path in enumerate(files, 1) for tensor in header(path)}

    def made(factory: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return _Bar(say, shards if len(files) > 1 else {}, *args, **kwargs)

    with _ONE_AT_A_TIME:
        before = logging.set_tqdm_hook(made)
        try:
            yield
        finally:
            logging.set_tqdm_hook(before)


def loading() -> bool:
    """Whether weights are being loaded now, by whoever: then the bars are not to be had."""
    return _ONE_AT_A_TIME.locked()


@contextmanager
def quietly() -> Iterator[None]:
    """Without transformers' own report of names that do not fit, which says that it goes on all the same.

    Here it does not: they are named in a refusal.
    """
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


class _Bar:
    """As much of tqdm as loading uses."""

    def __init__(
        self,
        say: Say | None,
        shards: dict[str, int],
        iterable: Any = None,
        *,
        total: int | None = None,
        desc: str = "",
        **_: Any,
    ) -> None:
        self.iterable, self.about, self.words, self.done = iterable, desc, desc, 0
        self.shards, self.files = shards, max(shards.values(), default=0)
        self.total = total if total is not None else len(iterable) if hasattr(iterable, "__len__") else 0
        self.say = say or silent

    def __iter__(self) -> Iterator[Any]:
        for item in self.iterable:
            if shard := self._shard(item):
                self.words = f"{self.about}, shard {shard} of {self.files}"
            yield item
            self.update()

    def _shard(self, item: Any) -> int:
        """The last shard that an item of the bar over weights is read from; 0 for anything else.

        Such an item is a weight's name and how it is made, which knows the stored tensors by their names.
        """
        made = item[1] if isinstance(item, tuple) and len(item) == 2 else None
        sources = set().union(*getattr(made, "layer_targets", {}).values())
        return max((self.shards.get(name, 0) for name in sources), default=0)

    def update(self, by: int = 1) -> None:
        """So much more is done."""
        self.done += by
        if self.total:
            self.say(self.words, min(1.0, self.done / self.total))

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: None
