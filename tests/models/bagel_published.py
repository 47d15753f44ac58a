"""Every tensor of the published BAGEL-7B-MoT by name and shape, written out from its public dimensions.

Nothing here is taken from our own classes. Names of parts are those of the authors' code (the tiny checkpoint
in tests/data has the same ones); widths are those of Qwen2.5-7B, SigLIP-so400m and FLUX's autoencoder.
"""

from __future__ import annotations

Shapes = dict[str, tuple[int, ...]]

WIDTH, KV, HEAD, MLP, WORDS = 3584, 512, 128, 18944, 152064
VISION, VISION_MLP, PATCH, VISION_PLACES = 1152, 4304, 588, 4900
LATENT, LATENT_PLACES, FREQUENCIES = 64, 4096, 256
BASE, DEEP, CHANNELS = 128, (1, 2, 4, 4), 16


def linear(name: str, out: int, into: int, *, bias: bool = True) -> Shapes:
    return {f"{name}.weight": (out, into)} | ({f"{name}.bias": (out,)} if bias else {})


def norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def expert(layer: str, suffix: str) -> Shapes:
    """One of the two experts of a language layer."""
    attention = f"{layer}.self_attn"
    return {
        f"{layer}.input_layernorm{suffix}.weight": (WIDTH,),
        f"{layer}.post_attention_layernorm{suffix}.weight": (WIDTH,),
        f"{attention}.q_norm{suffix}.weight": (HEAD,),
        f"{attention}.k_norm{suffix}.weight": (HEAD,),
        **linear(f"{attention}.q_proj{suffix}", WIDTH, WIDTH),
        **linear(f"{attention}.k_proj{suffix}", KV, WIDTH),
        **linear(f"{attention}.v_proj{suffix}", KV, WIDTH),
        **linear(f"{attention}.o_proj{suffix}", WIDTH, WIDTH, bias=False),
        **linear(f"{layer}.mlp{suffix}.gate_proj", MLP, WIDTH, bias=False),
        **linear(f"{layer}.mlp{suffix}.up_proj", MLP, WIDTH, bias=False),
        **linear(f"{layer}.mlp{suffix}.down_proj", WIDTH, MLP, bias=False),
    }


def block(layer: str) -> Shapes:
    """One block of the vision tower."""
    found = norm(f"{layer}.layer_norm1", VISION) | norm(f"{layer}.layer_norm2", VISION)
    for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
        found |= linear(f"{layer}.self_attn.{part}", VISION, VISION)
    return (
        found
        | linear(f"{layer}.mlp.fc1", VISION_MLP, VISION)
        | linear(f"{layer}.mlp.fc2", VISION, VISION_MLP)
    )


def network() -> Shapes:
    """The 1,223 tensors of ema.safetensors."""
    model, tower = "language_model.model", "vit_model.vision_model"
    found: Shapes = {
        f"{model}.embed_tokens.weight": (WORDS, WIDTH),
        f"{model}.norm.weight": (WIDTH,),
        f"{model}.norm_moe_gen.weight": (WIDTH,),
        "latent_pos_embed.pos_embed": (LATENT_PLACES, WIDTH),
        "vit_pos_embed.pos_embed": (VISION_PLACES, WIDTH),
        f"{tower}.embeddings.position_embedding.weight": (VISION_PLACES, VISION),
        **linear("language_model.lm_head", WORDS, WIDTH, bias=False),
        **linear(f"{tower}.embeddings.patch_embedding", VISION, PATCH),
        **norm(f"{tower}.post_layernorm", VISION),
        **linear("connector.fc1", WIDTH, VISION),
        **linear("connector.fc2", WIDTH, WIDTH),
        **linear("time_embedder.mlp.0", WIDTH, FREQUENCIES),
        **linear("time_embedder.mlp.2", WIDTH, WIDTH),
        **linear("vae2llm", WIDTH, LATENT),
        **linear("llm2vae", LATENT, WIDTH),
    }
    for layer in range(28):
        for suffix in ("", "_moe_gen"):
            found |= expert(f"{model}.layers.{layer}", suffix)
    for layer in range(26):
        found |= block(f"{tower}.encoder.layers.{layer}")
    return found


def conv(name: str, out: int, into: int, size: int = 3) -> Shapes:
    return {f"{name}.weight": (out, into, size, size), f"{name}.bias": (out,)}


def residual(name: str, into: int, out: int) -> Shapes:
    found = norm(f"{name}.norm1", into) | conv(f"{name}.conv1", out, into)
    found |= norm(f"{name}.norm2", out) | conv(f"{name}.conv2", out, out)
    return found | (conv(f"{name}.nin_shortcut", out, into, 1) if into != out else {})


def middle(name: str, width: int) -> Shapes:
    found = residual(f"{name}.block_1", width, width) | residual(f"{name}.block_2", width, width)
    for part in ("q", "k", "v", "proj_out"):
        found |= conv(f"{name}.attn_1.{part}", width, width, 1)
    return found | norm(f"{name}.attn_1.norm", width)


def autoencoder() -> Shapes:
    """The 244 tensors of ae.safetensors."""
    widths = [BASE * times for times in DEEP]
    last = len(widths) - 1
    found = conv("encoder.conv_in", BASE, 3)
    into = BASE
    for level, width in enumerate(widths):
        for place in range(2):
            found |= residual(f"encoder.down.{level}.block.{place}", into, width)
            into = width
        if level < last:
            found |= conv(f"encoder.down.{level}.downsample.conv", width, width)
    found |= middle("encoder.mid", into) | norm("encoder.norm_out", into)
    found |= conv("encoder.conv_out", 2 * CHANNELS, into)
    found |= conv("decoder.conv_in", into, CHANNELS) | middle("decoder.mid", into)
    for level in reversed(range(len(widths))):
        for place in range(3):
            found |= residual(f"decoder.up.{level}.block.{place}", into, widths[level])
            into = widths[level]
        if level > 0:
            found |= conv(f"decoder.up.{level}.upsample.conv", into, into)
    return found | norm("decoder.norm_out", BASE) | conv("decoder.conv_out", 3, BASE)
