"""The mixture-of-transformers language model: Qwen2 layers with two sets of weights.

Text and vision tokens pass through the understanding weights, latent tokens through the generation weights
(suffix `_moe_gen`); all attend to one another in one softmax. A sequence is (B, N, width); the tokens of the
generation expert are one contiguous slice of it, the same for the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.models.bagel.config import LanguageConfig
from workbench.models.meddle import attend

KeyValue = tuple[Tensor, Tensor]
"""Keys (after RoPE) and values of one layer, each (B, KV heads, T, head_dim)."""
ATTENTION = "sdpa"
"""What runs the attention here and in the vision tower: torch's scaled_dot_product_attention."""

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries (B, heads, N, head_dim), keys and values (B, KV heads, T + N, head_dim) → as the queries."""

Expert = Callable[[Tensor], Tensor]


class RMSNorm(nn.Module):
    """Root-mean-square norm over the last axis, computed in float32."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Any shape → the same."""
        y = x.float()
        y = y * torch.rsqrt(y.square().mean(-1, keepdim=True) + self.eps)
        return y.to(x.dtype) * self.weight


def routed(x: Tensor, gen: slice | None, understand: Expert, generate: Expert) -> Tensor:
    """Apply `generate` to the slice `gen` of axis 1 and `understand` to everything else."""
    if gen is None:
        return understand(x)
    start, stop = gen.start, gen.stop
    made = generate(x[:, start:stop])
    if start == 0 and stop == x.shape[1]:
        return made
    rest = understand(torch.cat([x[:, :start], x[:, stop:]], dim=1))
    return torch.cat([rest[:, :start], made, rest[:, start:]], dim=1)


def rope(positions: Tensor, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary positions (B, N) → two float32 tensors (B, 1, N, head_dim)."""
    steps = torch.arange(0, head_dim, 2, dtype=torch.float32, device=positions.device)
    frequencies = 1.0 / theta ** (steps / head_dim)
    angles = positions.float()[..., None] * frequencies
    angles = torch.cat([angles, angles], dim=-1)[:, None]
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate-half RoPE in float32."""
    first, second = x.chunk(2, dim=-1)
    return (x.float() * cos + torch.cat([-second, first], dim=-1).float() * sin).to(x.dtype)


class Attention(nn.Module):
    """Grouped-query attention with normed queries and keys and two sets of projections."""

    o_proj: nn.Linear
    o_proj_moe_gen: nn.Linear

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = (
            config.num_attention_heads,
            config.num_key_value_heads,
            config.head_dim,
        )
        width, kv = config.hidden_size, config.num_key_value_heads * config.head_dim
        for suffix in ("", "_moe_gen"):
            setattr(self, f"q_proj{suffix}", nn.Linear(width, width))
            setattr(self, f"k_proj{suffix}", nn.Linear(width, kv))
            setattr(self, f"v_proj{suffix}", nn.Linear(width, kv))
            setattr(self, f"o_proj{suffix}", nn.Linear(width, width, bias=False))
            setattr(self, f"q_norm{suffix}", RMSNorm(config.head_dim, config.rms_norm_eps))
            setattr(self, f"k_norm{suffix}", RMSNorm(config.head_dim, config.rms_norm_eps))

    def _project(self, suffix: str) -> Expert:
        def project(x: Tensor) -> Tensor:
            shape = (*x.shape[:-1], -1, self.head_dim)
            q = getattr(self, f"q_norm{suffix}")(getattr(self, f"q_proj{suffix}")(x).view(shape))
            k = getattr(self, f"k_norm{suffix}")(getattr(self, f"k_proj{suffix}")(x).view(shape))
            v = getattr(self, f"v_proj{suffix}")(x).view(shape)
            return torch.cat([q, k, v], dim=-2)

        return project

    def forward(
        self,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        gen: slice | None,
        past: KeyValue | None,
        mask: Tensor | Attend | None,
        causal: bool,
    ) -> tuple[Tensor, KeyValue]:
        """New tokens (B, N, width) → (B, N, width), and all keys and values; the rest as in `Decoder`."""
        qkv = routed(x, gen, self._project(""), self._project("_moe_gen")).transpose(1, 2)
        q, k, v = qkv.split([self.heads, self.kv_heads, self.kv_heads], dim=1)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if past is not None:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        if mask is None or isinstance(mask, Tensor):
            out = attend(self, q, k, v, mask, causal)
        else:
            out = mask(q, k, v)
        out = out.transpose(1, 2).flatten(2)
        return routed(out, gen, self.o_proj, self.o_proj_moe_gen), (k, v)


class MLP(nn.Module):
    """SiLU-gated feed-forward network."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, width) → the same shape."""
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """One pre-norm block; returns the residual stream and the keys and values seen so far."""

    input_layernorm: RMSNorm
    input_layernorm_moe_gen: RMSNorm
    post_attention_layernorm: RMSNorm
    post_attention_layernorm_moe_gen: RMSNorm

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp, self.mlp_moe_gen = MLP(config), MLP(config)
        for name in ("input_layernorm", "post_attention_layernorm"):
            for suffix in ("", "_moe_gen"):
                setattr(self, name + suffix, RMSNorm(config.hidden_size, config.rms_norm_eps))

    def forward(
        self,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        gen: slice | None,
        past: KeyValue | None,
        mask: Tensor | Attend | None,
        causal: bool,
    ) -> tuple[Tensor, KeyValue]:
        """As `Attention.forward`, with the residual stream."""
        normed = routed(x, gen, self.input_layernorm, self.input_layernorm_moe_gen)
        attended, seen = self.self_attn(normed, cos, sin, gen, past, mask, causal)
        x = x + attended
        return x + routed(
            x,
            gen,
            lambda u: self.mlp(self.post_attention_layernorm(u)),
            lambda g: self.mlp_moe_gen(self.post_attention_layernorm_moe_gen(g)),
        ), seen


class Decoder(nn.Module):
    """Embeddings, layers and the two final norms."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.norm_moe_gen = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self,
        x: Tensor,
        positions: Tensor,
        *,
        gen: slice | None = None,
        past: list[KeyValue] | None = None,
        mask: Tensor | Attend | None = None,
        causal: bool = False,
    ) -> tuple[Tensor, list[KeyValue]]:
        """Run every layer and the final norm.

        x (B, N, width); positions (B or 1, N); `gen`: the latent tokens among the N; `past`: one (keys,
        values) pair a layer. `mask`: bool, broadcast to (B, heads, N, T + N), true = may attend; where it is
        None each token attends to the whole past and, if `causal`, to no later token of the N, else to all of
        them; a function does the attending itself.
        Returns the normed states (B, N, width) and the extended keys and values. Layers may lie on several
        devices: keys and values stay with theirs, the states end where the final norm is.
        """
        if causal and mask is None and past:
            mask, causal = causal_mask(x.shape[1], past[0][0].shape[2], x.device), False
        cos, sin = rope(positions, self.config.head_dim, self.config.rope_theta)
        seen: list[KeyValue] = []
        for index, layer in enumerate(self.layers):
            if (device := next(layer.parameters()).device) != x.device:
                x, cos, sin = x.to(device), cos.to(device), sin.to(device)
                mask = mask.to(device) if isinstance(mask, Tensor) else mask
            x, key_value = layer(
                x, cos, sin, gen, past[index] if past else None, mask, causal and mask is None
            )
            seen.append(key_value)
        return routed(x.to(self.norm.weight.device), gen, self.norm, self.norm_moe_gen), seen


def causal_mask(new: int, old: int, device: torch.device | str) -> Tensor | None:
    """Bottom-right aligned causal mask, bool (new, old + new); None for a single token, which sees all."""
    if new == 1:
        return None
    return torch.ones(new, old + new, dtype=torch.bool, device=device).tril(old)


class LanguageModel(nn.Module):
    """The decoder and its untied output head, under the published names."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.model = Decoder(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
