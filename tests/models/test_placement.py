"""Where the parts of a network lie, on one device or on several."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from tests.models import tiny
from workbench.errors import Refusal
from workbench.models.bagel import placement
from workbench.models.bagel.autoencoder import Autoencoder
from workbench.models.bagel.network import Bagel, Context, SpecialTokens
from workbench.models.bagel.placement import Placement, candidates, place, spread

GPUS = [torch.device("cuda", index) for index in range(3)]
SPECIAL = SpecialTokens(bos=0, eos=1, image_start=2, image_end=3)


class TestSpreading:
    def test_in_order_and_evenly(self) -> None:
        assert spread([2, 1, 1, 1, 1, 2], [100, 100]) == [0, 0, 0, 1, 1, 1]
        assert spread([1] * 12, [100, 100, 100]) == [0] * 4 + [1] * 4 + [2] * 4

    def test_a_device_with_more_room_gets_more(self) -> None:
        numbers = spread([1] * 9, [300, 600])
        assert numbers == [0] * 3 + [1] * 6

    def test_a_device_that_is_too_small_is_passed_over(self) -> None:
        assert spread([5, 5], [3, 20]) == [1, 1]

    @pytest.mark.parametrize("free", [[10, 10], [9, 11], [1, 19], [0, 0]])
    def test_what_does_not_fit(self, free: list[int]) -> None:
        """Twenty bytes into twenty: nothing would be left for contexts."""
        assert spread([4, 4, 4, 4, 4], free) is None

    def test_no_device_is_fuller_than_it_may_be(self) -> None:
        sizes, free = [7, 3, 3, 3, 3, 3, 8], [20, 12, 15]
        numbers = spread(sizes, free)
        assert numbers is not None and all(a <= b for a, b in pairwise(numbers))
        for device, room in enumerate(free):
            used = sum(size for size, number in zip(sizes, numbers, strict=True) if number == device)
            assert used <= placement.FULLEST * room


class TestPlacing:
    @pytest.fixture
    def parts(self) -> tuple[Bagel, Autoencoder]:
        with torch.device("meta"):
            return Bagel(tiny.CONFIG), Autoencoder(tiny.CONFIG.autoencoder)

    def bytes_of(self, parts: tuple[Bagel, Autoencoder]) -> int:
        return sum(p.numel() * 4 for module in parts for p in module.parameters())

    def free(self, monkeypatch: pytest.MonkeyPatch, rooms: dict[str, int | None]) -> None:
        monkeypatch.setattr(placement, "free_on", lambda device: rooms[str(device)])

    def test_one_device_takes_all_where_it_fits(
        self, parts: tuple[Bagel, Autoencoder], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.free(monkeypatch, {"cuda:0": self.bytes_of(parts), "cuda:1": 10**9, "cuda:2": 10**9})
        placed = place(*parts, GPUS, "tiny", torch.float32)
        assert placed == Placement(GPUS[0], (GPUS[0],) * 3, GPUS[0], self.bytes_of(parts))
        assert placed.words == "cuda:0"

    def test_all_of_them_take_part_where_none_is_enough(
        self, parts: tuple[Bagel, Autoencoder], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.free(monkeypatch, dict.fromkeys(map(str, GPUS), self.bytes_of(parts) * 3 // 4))
        placed = place(*parts, GPUS, "tiny", torch.float32)
        assert placed.first == GPUS[0] and placed.last != GPUS[0]
        assert "cuda:1" in placed.words

    def test_too_little_on_all_of_them(
        self, parts: tuple[Bagel, Autoencoder], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("workbench.models.memory.find_spec", lambda name: name)
        self.free(monkeypatch, dict.fromkeys(map(str, GPUS), 1000))
        with pytest.raises(Refusal, match="cuda:0 and cuda:1 and cuda:2 has") as said:
            place(*parts, GPUS, "tiny", torch.float32)
        assert "quantise it" in str(said.value)
        self.free(monkeypatch, dict.fromkeys(map(str, GPUS), self.bytes_of(parts) // 3 + 4))
        with pytest.raises(Refusal, match="cannot be spread"):
            place(*parts, GPUS, "tiny", torch.float32)

    def test_a_device_that_does_not_tell(
        self, parts: tuple[Bagel, Autoencoder], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.free(monkeypatch, {"mps": None})
        device = torch.device("mps")
        assert place(*parts, [device], "tiny", torch.float32).first == device

    def test_half_the_numbers_take_half_the_room(
        self, parts: tuple[Bagel, Autoencoder], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.free(monkeypatch, {"cuda:0": self.bytes_of(parts) // 2})
        place(*parts, GPUS[:1], "tiny", torch.bfloat16)
        with pytest.raises(Refusal, match="float32"):
            place(*parts, GPUS[:1], "tiny", torch.float32)

    def test_only_auto_takes_more_than_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
        assert candidates("auto", torch.device("cuda")) == GPUS
        assert candidates("cuda:1", GPUS[1]) == [GPUS[1]]
        assert candidates("auto", torch.device("cpu")) == [torch.device("cpu")]
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        assert candidates("auto", torch.device("cuda")) == [torch.device("cuda")]


class TestRunning:
    """From the CPU on to torch's meta device, which computes places and shapes and refuses mixtures."""

    CPU, META = torch.device("cpu"), torch.device("meta")

    @pytest.fixture
    def whole(self) -> Bagel:
        torch.manual_seed(0)
        network = Bagel(tiny.CONFIG).eval().requires_grad_(False)
        # Their tables are made at loading; before, they are memory as it was found, which may be no number.
        network.vit_pos_embed.reset()
        network.latent_pos_embed.reset()
        return network

    @pytest.fixture
    def cut(self, whole: Bagel) -> Bagel:
        """The same network with its last two layers and its heads elsewhere."""
        with torch.device("meta"):
            network, autoencoder = Bagel(tiny.CONFIG), Autoencoder(tiny.CONFIG.autoencoder)
        Placement(self.CPU, (self.CPU, self.META, self.META), self.META).allocate(network, autoencoder)
        assert not any(p.is_meta for p in autoencoder.parameters())
        numbers = whole.state_dict()
        for name, value in network.state_dict().items():
            if not value.is_meta:
                value.copy_(numbers[name])
        return network.eval().requires_grad_(False)

    def read(self, network: Bagel) -> tuple[Context, torch.Tensor]:
        generator = torch.Generator().manual_seed(1)
        latent = torch.randn(1, 12, tiny.CONFIG.latent_dim, generator=generator)
        patches = torch.randn(1, 6, 8 * 8 * 3, generator=generator)
        context = network.add_latent(Context(), network.embed_latent(latent, 3, 4, torch.zeros(1)), SPECIAL)
        context = network.add_vision(context, network.embed_vision(patches, 2, 3), SPECIAL)
        return network.add_text(context, torch.arange(5)[None])

    def test_each_part_lies_where_it_runs(self, cut: Bagel) -> None:
        language = cut.language_model
        places = [{p.device for p in layer.parameters()} for layer in language.model.layers]
        assert places == [{self.CPU}, {self.META}, {self.META}]
        for module in (language.lm_head, cut.llm2vae, language.model.norm, language.model.norm_moe_gen):
            assert {p.device for p in module.parameters()} == {self.META}
        for module in (language.model.embed_tokens, cut.vit_model, cut.connector, cut.time_embedder):
            assert {p.device for p in module.parameters()} == {self.CPU}
        assert cut.device == self.CPU and not cut.latent_pos_embed.pos_embed.is_meta

    def test_keys_and_values_stay_with_their_layer(self, whole: Bagel, cut: Bagel) -> None:
        (expected, _), (context, states) = self.read(whole), self.read(cut)
        assert [key.device for key, _ in context.past] == [self.CPU, self.META, self.META]
        assert [value.device for _, value in context.past] == [self.CPU, self.META, self.META]
        torch.testing.assert_close(context.past[0], expected.past[0])
        assert (context.length, context.position) == (expected.length, expected.position)
        assert [key.shape for key, _ in context.past] == [key.shape for key, _ in expected.past]
        logits = cut.logits(states)
        assert logits.is_meta and logits.shape == (1, 5, tiny.CONFIG.language.vocab_size)

    def test_a_mask_goes_along(self, whole: Bagel, cut: Bagel) -> None:
        x, positions = torch.randn(1, 4, 32), torch.arange(4)[None]
        mask = torch.ones(4, 4, dtype=torch.bool).tril()
        states, seen = cut.language_model.model(x, positions, mask=mask)
        _, expected = whole.language_model.model(x, positions, mask=mask)
        assert states.is_meta and states.shape == x.shape
        torch.testing.assert_close(seen[0], expected[0])

    def test_a_velocity_comes_home(self, cut: Bagel) -> None:
        """Where the noise is; from the meta device there is nothing to bring, and torch says so."""
        context, _ = self.read(cut)
        noise = torch.randn(1, 12, tiny.CONFIG.latent_dim)
        with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
            cut.velocity(context, noise, 3, 4, 0.5, SPECIAL)
