"""A tokenizer of a few hundred tokens, trained in memory, with the special tokens a family needs."""

from __future__ import annotations

from functools import cache
from typing import Any

SENTENCES = [
    "what colour is the star?",
    "a red square left of a blue ring",
    "user assistant: yes no seven",
] * 20


@cache
def _trained(special: tuple[str, ...]) -> str:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340, special_tokens=list(special), initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    words.train_from_iterator(SENTENCES, trainer)
    return str(words.to_str())


def tokenizer(*special: str, **named: str) -> Any:
    """A fast tokenizer with bos, eos, pad, the given special tokens, and `named` ones such as image_token."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    every = ("<pad>", "<bos>", "<eos>", *dict.fromkeys([*special, *named.values()]))
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_trained(every)),
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        extra_special_tokens=named,
    )
