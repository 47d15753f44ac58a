"""The two exceptions that are part of every interface."""


class Refusal(Exception):
    """Something a user asked for cannot be done.

    The message is one sentence or two that a person can act on: what was wrong, and what to do.
    """


class Cancelled(Exception):
    """Raised by work that was asked to stop, at the next place where it could."""
