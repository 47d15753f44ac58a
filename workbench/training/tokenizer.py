"""The pocket tokenizer: byte-level BPE fitted on the words of the scenes.

Every word of the scenes is one token; anything else a person types falls back to pieces and bytes, so nothing
is unknown. Text is lower-cased. The four special tokens carry the names they have in BAGEL.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

FILE = "tokenizer.json"
SPECIALS = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>")


def fit(texts: Iterable[str], vocabulary: int) -> Any:
    """A `tokenizers.Tokenizer` of at most `vocabulary` entries (at least 256 bytes + 4 specials)."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Prepend(" ")])
    pieces = Regex(r" ?</?[a-z_]+>| ?[a-z]+| ?[0-9]| ?[^\sa-z0-9<]+| ?<|\s+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pieces, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def save(tokenizer: Any, folder: Path) -> None:
    """Write `tokenizer.json`, which the model's loader and transformers both read."""
    tokenizer.save(str(folder / FILE))


def load(folder: Path) -> Any:
    """The `tokenizers.Tokenizer` of a folder."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(folder / FILE))
