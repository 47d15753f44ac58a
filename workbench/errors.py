"""The two exceptions that travel through every part of the workbench."""

from __future__ import annotations

from collections.abc import Callable


class Refusal(Exception):
    """Something a person asked for cannot be done.

    The message is one sentence that a person can act on: what was wrong and what to do about it. The page
    shows it as it stands and the command line prints it without a traceback.
    """


class Cancelled(Exception):
    """Raised inside work that was asked to stop; nobody needs to be told anything."""


def go_on(stop: Callable[[], bool]) -> None:
    """Raise Cancelled where ``stop`` says so."""
    if stop():
        raise Cancelled
