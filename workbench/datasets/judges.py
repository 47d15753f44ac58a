"""A judge that somebody else brings, in place of matching: another model that marks free answers.

A judge is a function (question, answer, what was said) → a mark from 0 to 1; above a half counts as right.
It is code, so it is named on the command line only, never in a recipe: `--judge package.module:function`, or
by the name of an entry point in the group "afterimage.judges" that an installed package declares. It asks
what it likes where it likes; the workbench sends nothing by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module, metadata
from typing import Any

from workbench.errors import Refusal

GROUP = "afterimage.judges"
WAITS = (1.0, 5.0, 20.0)
"""Seconds before a judge that failed is asked again."""
Judge = Callable[[str, str, str], float]


def judge_named(name: str) -> Judge:
    """The judge of that name. Raises Refusal where there is none."""
    found: Any
    try:
        if ":" in name:
            module, _, function = name.partition(":")
            found = getattr(import_module(module), function)
        else:
            (entry,) = metadata.entry_points(group=GROUP, name=name)
            found = entry.load()
    except Exception as error:  # Whatever somebody else's module does when it is imported.
        raise Refusal(
            f"There is no judge {name!r} ({type(error).__name__}: {error}). Name a function as "
            f"package.module:function, or an entry point of the group {GROUP}."
        ) from error
    if not callable(found):
        raise Refusal(f"The judge {name!r} is no function: it is called with question, answer and response.")
    judge: Judge = found
    return judge


def judged(judge: Judge, question: str, answer: str, said: str) -> bool:
    """Whether a judge holds what was said to be right; one that fails is asked again after a while.

    Raises Refusal where it gives no mark.
    """
    for wait in (*WAITS, None):
        try:
            mark = float(judge(question, answer, said))
            break
        except Exception as error:
            if wait is None:
                raise Refusal(
                    f"The judge failed {len(WAITS) + 1} times ({type(error).__name__}: {error}). The same "
                    "command goes on from here."
                ) from error
            time.sleep(wait)
    if not 0 <= mark <= 1:
        raise Refusal(f"The judge gave {mark:g}; a mark lies between 0 and 1.")
    return mark > 0.5
