"""The command line's door: the same studies as the browser's, and the page itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from workbench.cli import commands
from workbench.cli.parser import COMMANDS, SUMMARY, parser_for
from workbench.errors import Cancelled, Refusal
from workbench.memory import hold_heap
from workbench.runs.manifest import called

__all__ = ["COMMANDS", "SUMMARY", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code: 0 done, 2 refused (one sentence on stderr says why), 130 stopped."""
    hold_heap()
    if argv is None:
        return _main(sys.argv[1:])
    with called(["python", "-m", "workbench", *argv]):
        return _main(list(argv))


def _main(words: list[str]) -> int:
    if words[:1] == ["train"]:
        return _told(lambda: commands.train(words[1:]))
    if not words or words[0].startswith("-") and words[0] not in ("-h", "--help", "--version"):
        words = ["run", *words]
    parser = parser_for(words[0])
    options = parser.parse_args(words)
    return _told(lambda: options.command(options))


def _told(work: Callable[[], None]) -> int:
    try:
        work()
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 2
    except MemoryError:
        print(
            "There is not enough memory for that. Close other programs, or give a smaller image.",
            file=sys.stderr,
        )
        return 2
    except (Cancelled, KeyboardInterrupt):
        print("Stopped.", file=sys.stderr)
        return 130
    return 0
