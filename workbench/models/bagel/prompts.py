"""A system prompt that a person supplies, and whether it is one that was published.

CLEAR was trained on one exact text, which is not shipped here: `prompts.py` of its public code has it as
INTERLEAVE_REASON_SYSTEM_PROMPT. What is kept here is the sha256 of each published prompt, in UTF-8.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import Refusal

INTERLEAVED = "f30b4828bd78a54b750765737af340016069fee98f3e935206332d26b5809857"
PUBLISHED = {
    INTERLEAVED: "CLEAR's for interleaved reasoning",
    "0d19ca91ab86630ea2c5f3993490c8219788d945e002d47da361811ce0632440": "CLEAR's for reasoning in words",
    "5eff00888fdf6b912c3f9a80711933dd35cdd164d167cba6b2a5889c04d7b565": "BAGEL's for thinking and answering",
    "837914a3f5f8ec1be30d2fdb68f4e494a3d4767056100a113c4109af5367d390": "BAGEL's for thinking and drawing",
}
MOST_BYTES = 100_000


@dataclass(frozen=True)
class SystemPrompt:
    """The text as the model gets it, and its sha256."""

    text: str

    @property
    def sha256(self) -> str:
        """64 hex digits, of the text in UTF-8."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def about(self) -> str:
        """Which published prompt it is, or that it is none, with the first 12 digits of its sha256."""
        return f"{PUBLISHED.get(self.sha256, 'not the published prompt')} (sha256 {self.sha256[:12]})"


def read_prompt(path: str | Path) -> SystemPrompt:
    """The system prompt in a text file, UTF-8.

    Line ends, and one at the end of the file, are as an editor leaves them: where other ones make it a
    published prompt, it is taken as that. Any other text stands as it is.

    Raises Refusal where the file cannot be read, or is no text, empty or longer than 100,000 bytes.
    """
    try:
        file = Path(path).expanduser()
        if file.stat().st_size > MOST_BYTES:
            raise Refusal(
                f"{path} is larger than {MOST_BYTES:,} bytes, so it is no system prompt. Give another file."
            )
        text = file.read_bytes().decode("utf-8")
    except (OSError, ValueError, RuntimeError) as error:
        raise Refusal(
            f"The system prompt {path} cannot be read as text ({error}). Give a file in UTF-8."
        ) from None
    if not text.strip():
        raise Refusal(f"The system prompt {path} is empty. Leave it out, or give a file that has one.")
    plain = text.removeprefix("\N{BYTE ORDER MARK}").replace("\r\n", "\n").rstrip("\n")
    for written in (SystemPrompt(plain), SystemPrompt(plain + "\n")):
        if written.sha256 in PUBLISHED:
            return written
    return SystemPrompt(text)
