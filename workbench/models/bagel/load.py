"""Open a folder in BAGEL's layout, or weights alone over one, as CLEAR publishes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from workbench.errors import Refusal
from workbench.models import Opening
from workbench.models.bagel.adapter import BagelModel
from workbench.models.bagel.autoencoder import Autoencoder
from workbench.models.bagel.config import EXTRA, BagelConfig, config_files, read_config
from workbench.models.bagel.language import ATTENTION
from workbench.models.bagel.network import Bagel, SpecialTokens
from workbench.models.bagel.patches import processor
from workbench.models.bagel.placement import candidates, place
from workbench.models.bagel.prompts import SystemPrompt, read_prompt
from workbench.models.bagel.quantise import Quantising
from workbench.models.bits import demand_bits
from workbench.models.checkpoint import check, fill, fingerprint, load_strict
from workbench.models.memory import in_words
from workbench.models.peft import unapplied
from workbench.models.progress import Say, part
from workbench.models.protocol import Capability, ModelCard
from workbench.models.weights import BAGEL_PIXELS, BAGEL_WEIGHTS, find_weights, has_weights

SPECIAL_NAMES = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>")
REGENERATED = ("vit_pos_embed.pos_embed", "latent_pos_embed.pos_embed")
"""Deterministic tables that some checkpoints of this layout leave out."""
READ_AS_CLEAR = b"CLEAR"
"""Stands among the files of a checkpoint's revision where it is read so."""


def load(
    folder: Path,
    *,
    name: str,
    device: torch.device,
    dtype: torch.dtype,
    opening: Opening | None = None,
    base: tuple[Path, str] | None = None,
    say: Say | None = None,
) -> BagelModel:
    """A BAGEL folder as a model; raises Refusal where a file is missing or does not fit.

    `base`: a BAGEL folder and its name; then `folder` gives the weights of the network and this one
    configuration, tokenizer and autoencoder, and images are read as CLEAR reads them, unless the opening says
    as BAGEL does. `say` hears how far it is.

    Everything is compared with the configuration, and with the memory that is free, before memory is taken.
    """
    how = opening or Opening()
    home = base[0] if base else folder
    config, prompt = foresee(folder, how, device, base[0] if base else None)
    files = find_weights(folder, BAGEL_WEIGHTS[how.weights])
    pixels = find_weights(home, BAGEL_PIXELS)
    words = home / "tokenizer.json"
    tokenizer, special = _tokenizer(words, config)
    with torch.device("meta"):
        network, autoencoder = Bagel(config).to(dtype), Autoencoder(config.autoencoder).to(dtype)
    check(network, files, regenerated=REGENERATED, base=base[0] if base else None)
    check(autoencoder, pixels)
    numbers = sum(p.numel() for module in (network, autoencoder) for p in module.parameters())
    placement = place(
        *(network, autoencoder, candidates(how.device, device), name, dtype), quantised=how.quantised
    )
    small = Quantising(network, placement.layers, how.quantised, dtype) if how.quantised else None
    try:
        placement.allocate(network, autoencoder)
    except (RuntimeError, MemoryError) as error:
        raise Refusal(
            f"{name} needs {in_words(placement.needed)} for its weights, which {placement.words} did "
            f"not give ({str(error).splitlines()[0]}). Close other models and programs, or open it elsewhere."
        ) from None
    network.vit_pos_embed.reset()
    network.latent_pos_embed.reset()
    if small is None:
        load_strict(network, files, regenerated=REGENERATED, say=part(say, 0.0, 0.75))
    else:
        fill(files, small.put, small.total, say=part(say, 0.0, 0.75))
    load_strict(autoencoder, pixels, say=part(say, 0.75, 0.8))
    own = [folder / EXTRA] if base and (folder / EXTRA).is_file() else []
    more = (READ_AS_CLEAR if _as_clear(how, base) else b"") + (prompt.text.encode() if prompt else b"")
    all_files = [*files, *pixels, *config_files(home), *own, words]
    card = ModelCard(
        id=name,
        family="bagel",
        folder=folder,
        revision=fingerprint(all_files, more, say=part(say, 0.8, 1.0)),
        parameters=numbers,
        dtype=f"{how.quantised} {str(dtype).removeprefix('torch.')}".strip(),
        device=placement.words,
        attention=ATTENTION,
        processor=processor(config),
        vision_layers=config.vision.used_layers,
        llm_layers=config.language.num_hidden_layers,
        width=config.language.hidden_size,
        # Without a prompt that asks for it, no thought and no decision to draw can be expected.
        capabilities=frozenset(Capability)
        - {Capability.TOKENISES}
        - ({Capability.INTERLEAVES} if not config.system_prompt else set()),
        licence=config.licence,
        knows=config.knows,
        choices=_choices(folder, how, config, base[1] if base else "", prompt),
    )
    return BagelModel(network, autoencoder, tokenizer, special, card)


def foresee(
    folder: Path, how: Opening, device: torch.device, base: Path | None = None
) -> tuple[BagelConfig, SystemPrompt | None]:
    """The configuration and the prompt that a person gave; reads no weights. `base`: the folder it is in.

    Raises Refusal for what will not be opened, whatever its weights are.
    """
    demand_bits(how.quantised, device)
    if how.attention not in ("auto", ATTENTION):
        raise Refusal(f"BAGEL and CLEAR run under {ATTENTION}, not {how.attention}. Leave the kernel out.")
    prompt = read_prompt(how.system_prompt) if how.system_prompt else None
    clear = _as_clear(how, base)
    config = read_config(base or folder, folder if base else None, as_clear=clear)
    return (config if prompt is None else replace(config, system_prompt=prompt.text)), prompt


def _as_clear(how: Opening, base: object) -> bool:
    """Whether images and words are read as CLEAR reads them; nothing in the weights tells."""
    return how.read_as == "clear" or (how.read_as == "auto" and bool(base))


def _choices(
    folder: Path, how: Opening, config: BagelConfig, base: str, prompt: SystemPrompt | None
) -> dict[str, str]:
    """What a person should know of how it was opened; nothing of an ordinary folder."""
    found = {}
    there = [name for name in BAGEL_WEIGHTS["auto"] if has_weights(folder, name)]
    if base:
        found["base"] = base
    if base or how.read_as != "auto":
        found["read as"] = (
            f"{'CLEAR' if _as_clear(how, base) else 'BAGEL'}: at most {config.vit_resize.longest} pixels a "
            f"side for the vision tower, {config.usable_vocabulary or config.language.vocab_size:,} tokens"
        )
    if base or len(there) > 1:
        taken = next(name for name in BAGEL_WEIGHTS[how.weights] if name in there)
        left = [name for name in there if name != taken]
        found["weight file"] = taken + (f"; {left[0]} is there, too" if left else "")
    if prompt is not None:
        found["system prompt"] = prompt.about
    return found | unapplied(folder)


def _tokenizer(path: Path, config: BagelConfig) -> tuple[Any, SpecialTokens]:
    from tokenizers import Tokenizer

    if not path.is_file():
        raise Refusal(f"{path.name} is missing from {path.parent}. A BAGEL folder needs it: fetch it.")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        # tokenizers raises a bare Exception for any kind of damage.
        raise Refusal(f"{path} cannot be read as a tokenizer ({error}). Fetch the file again.") from None
    known = tokenizer.get_vocab()
    if absent := [name for name in SPECIAL_NAMES if name not in known]:
        raise Refusal(
            f"{path} has no {', '.join(absent)}, so it is not the tokenizer of a BAGEL checkpoint. "
            "Take the one that belongs to these weights."
        )
    rows = config.usable_vocabulary or config.language.vocab_size
    if (largest := max(known.values())) >= rows:
        raise Refusal(
            f"{path} has ids up to {largest}, but the network knows {rows} tokens. "
            "Take the tokenizer that belongs to these weights."
        )
    # What a person types is text, also where it looks like one of the tokens that frame text.
    tokenizer.encode_special_tokens = True
    return tokenizer, SpecialTokens(*(known[name] for name in SPECIAL_NAMES))
