"""The SigLIP tower with NaViT inputs: patches of any grid, learned positions, full attention, no pooling."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from workbench.models.bagel.config import VisionConfig
from workbench.models.meddle import attend


class Embeddings(nn.Module):
    """A linear map of each patch vector plus its learned position."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.patch_embedding = nn.Linear(config.patch_size**2 * config.num_channels, config.hidden_size)
        self.position_embedding = nn.Embedding(config.side**2, config.hidden_size)

    def forward(self, patches: Tensor, ids: Tensor) -> Tensor:
        """Patches (B, N, p·p·3) and position ids (N,) → (B, N, width)."""
        return self.patch_embedding(patches) + self.position_embedding(ids)


class Attention(nn.Module):
    """Multi-head attention without mask."""

    q_proj: nn.Linear
    k_proj: nn.Linear
    v_proj: nn.Linear
    out_proj: nn.Linear

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            setattr(self, name, nn.Linear(config.hidden_size, config.hidden_size))

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, width) → the same shape."""
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        return self.out_proj(attend(self, q, k, v, None, False).transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """Two linear maps with the tanh form of GELU between."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, width) → the same shape."""
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class Block(nn.Module):
    """One pre-norm encoder block."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.self_attn = Attention(config)
        self.layer_norm2 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = MLP(config)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, width) → the same shape."""
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class Encoder(nn.Module):
    """The stack of blocks."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block(config) for _ in range(config.used_layers))

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, width) → the same shape."""
        for layer in self.layers:
            x = layer(x)
        return x


class VisionTransformer(nn.Module):
    """Patches (B, N, p·p·3) and position ids (N,) → features (B, N, width) after the last norm."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        self.post_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, patches: Tensor, ids: Tensor) -> Tensor:
        """See the class."""
        return self.post_layernorm(self.encoder(self.embeddings(patches, ids)))


class VisionTower(nn.Module):
    """The tower under its published name, `vit_model.vision_model`."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.vision_model = VisionTransformer(config)

    def forward(self, patches: Tensor, ids: Tensor) -> Tensor:
        """Patches (B, N, p·p·3) and position ids (N,) → (B, N, width)."""
        return self.vision_model(patches, ids)


class Connector(nn.Module):
    """Tower width → language width."""

    def __init__(self, vision: int, language: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(vision, language)
        self.fc2 = nn.Linear(language, language)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, vision width) → (B, N, language width)."""
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))
