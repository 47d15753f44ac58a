"""What a Hugging Face Space starts, and ``make run``: the page."""

import sys

from workbench.cli import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))
