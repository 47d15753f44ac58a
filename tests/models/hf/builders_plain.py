"""Tiny checkpoints of more families that see every image as one picture, or cut it as others do."""

from __future__ import annotations

from typing import Any

from tests.models.hf.builders import REACH, TEXT, VISION, builder
from tests.models.hf.builders_native import LINEAR
from tests.models.hf.builders_tiles import SEPARATORS, SIGLIP, chat, pinpoints
from tests.models.hf.builders_unified import DEEPSEEK
from tests.models.hf.words import tokenizer
from workbench.models.hf.processor import image_only


@builder
def vipllava() -> tuple[Any, Any]:
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaProcessor,
        VipLlavaConfig,
        VipLlavaForConditionalGeneration,
    )

    words = tokenizer(image_token="<image>")
    config = VipLlavaConfig(
        vision_config=CLIPVisionConfig(**VISION, image_size=48, patch_size=8),
        text_config=LlamaConfig(**TEXT),
        image_token_index=words.image_token_id,
        vision_feature_layer=[-2, 1],
    )
    pictures = CLIPImageProcessorPil(size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48})
    processor = LlavaProcessor(
        pictures,
        words,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )
    return VipLlavaForConditionalGeneration(config), processor


@builder
def video_llava() -> tuple[Any, Any]:
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        VideoLlavaConfig,
        VideoLlavaForConditionalGeneration,
        VideoLlavaImageProcessor,
        VideoLlavaProcessor,
    )

    words = tokenizer(image_token="<image>", video_token="<video>")
    config = VideoLlavaConfig(
        vision_config=CLIPVisionConfig(**VISION, image_size=48, patch_size=8),
        text_config=LlamaConfig(**TEXT),
        image_token_index=words.image_token_id,
        video_token_index=words.video_token_id,
    )
    pictures = VideoLlavaImageProcessor(size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48})
    processor = image_only(VideoLlavaProcessor)(image_processor=pictures, tokenizer=words, patch_size=8)
    return VideoLlavaForConditionalGeneration(config), processor


@builder
def llava_next_video() -> tuple[Any, Any]:
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaNextImageProcessorPil,
        LlavaNextVideoConfig,
        LlavaNextVideoForConditionalGeneration,
        LlavaNextVideoProcessor,
    )

    words = tokenizer(image_token="<image>", video_token="<video>")
    config = LlavaNextVideoConfig(
        vision_config=CLIPVisionConfig(**VISION, image_size=32, patch_size=8),
        text_config=LlamaConfig(**TEXT),
        image_token_index=words.image_token_id,
        video_token_index=words.video_token_id,
        image_grid_pinpoints=pinpoints(32),
    )
    pictures = LlavaNextImageProcessorPil(
        size={"shortest_edge": 32},
        crop_size={"height": 32, "width": 32},
        image_grid_pinpoints=pinpoints(32),
    )
    processor = image_only(LlavaNextVideoProcessor)(
        image_processor=pictures,
        tokenizer=words,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=chat("<image>"),
    )
    return LlavaNextVideoForConditionalGeneration(config), processor


@builder
def ovis2() -> tuple[Any, Any]:
    from transformers import (
        Ovis2Config,
        Ovis2ForConditionalGeneration,
        Ovis2ImageProcessorPil,
        Ovis2Processor,
    )

    indicators = ("<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>")
    words = tokenizer(*indicators, "<IMG_ATOM>", "<image>")
    config = Ovis2Config(
        vision_config=VISION
        | {
            "image_size": 32,
            "patch_size": 8,
            "hidden_stride": 2,
            "vocab_size": 64,
            "num_visual_indicator_tokens": 5,
        },
        text_config=TEXT | {"model_type": "qwen2"},
        image_token_id=words.convert_tokens_to_ids("<IMG_ATOM>"),
        visual_indicator_token_ids=words.convert_tokens_to_ids(list(indicators)),
        vocab_size=400,
        hidden_size=64,
    )
    pictures = Ovis2ImageProcessorPil(size={"height": 32, "width": 32}, crop_to_patches=True, max_patches=4)
    processor = Ovis2Processor(pictures, words, chat_template=chat("<image>"), image_seq_length=4)
    return Ovis2ForConditionalGeneration(config), processor


# The second tower ends in three convolutions of 3 by 3, and resizing between them.
REACH["deepseek_vl_hybrid"] = 2.0


@builder
def deepseek_vl_hybrid() -> tuple[Any, Any]:
    """Two towers, the second for the same square at a higher resolution."""
    from transformers import (
        DeepseekVLHybridConfig,
        DeepseekVLHybridForConditionalGeneration,
        DeepseekVLHybridImageProcessorPil,
        DeepseekVLHybridProcessor,
    )

    words = tokenizer(image_token="<image_placeholder>")
    config = DeepseekVLHybridConfig(
        vision_config=VISION | {"image_size": 48, "patch_size": 8, "vision_use_head": False},
        high_res_vision_config=VISION
        | {
            "image_size": 96,
            "patch_size": 4,
            "output_channels": 16,
            "window_size": 4,
            "global_attn_indexes": [2],
            "mlp_dim": 64,
        },
        text_config=TEXT | {"model_type": "llama"},
        image_token_id=words.image_token_id,
    )
    pictures = DeepseekVLHybridImageProcessorPil(
        size={"height": 48, "width": 48}, high_res_size={"height": 96, "width": 96}, min_size=4
    )
    processor = DeepseekVLHybridProcessor(pictures, words, chat_template=DEEPSEEK, num_image_tokens=36)
    return DeepseekVLHybridForConditionalGeneration(config), processor


@builder
def qianfan_ocr() -> tuple[Any, Any]:
    from transformers import (
        GotOcr2ImageProcessorPil,
        QianfanOCRConfig,
        QianfanOCRForConditionalGeneration,
        QianfanOCRProcessor,
    )

    words = tokenizer(
        start_image_token="<img>", end_image_token="</img>", context_image_token="<IMG_CONTEXT>"
    )
    config = QianfanOCRConfig(
        vision_config=VISION | {"image_size": [32, 32], "patch_size": [8, 8]},
        text_config=TEXT | {"model_type": "qwen3", "head_dim": 16},
        image_token_id=words.context_image_token_id,
        image_seq_length=4,
    )
    pictures = GotOcr2ImageProcessorPil(size={"height": 32, "width": 32}, max_patches=6)
    processor = QianfanOCRProcessor(pictures, words, image_seq_length=4, chat_template=chat("<image>"))
    return QianfanOCRForConditionalGeneration(config), processor


@builder
def granite_docling() -> tuple[Any, Any]:
    from transformers import (
        GraniteDoclingConfig,
        GraniteDoclingForConditionalGeneration,
        GraniteDoclingImageProcessorPil,
        GraniteDoclingProcessor,
    )

    words = tokenizer(*SEPARATORS, image_token="<image>")
    config = GraniteDoclingConfig(
        vision_config=SIGLIP | {"out_hidden_size": 64, "scale_factor": 2, "deepstack_visual_indexes": [0, 1]},
        text_config=TEXT,
        image_token_id=words.image_token_id,
        pad_token_id=0,
    )
    pictures = GraniteDoclingImageProcessorPil(size={"height": 64, "width": 64}, max_patches=6)
    processor = GraniteDoclingProcessor(pictures, words, image_seq_len=4, chat_template=chat("<image>"))
    return GraniteDoclingForConditionalGeneration(config), processor


def minicpm_words() -> Any:
    """A tokenizer with the marks of the MiniCPM-V models."""
    return tokenizer(
        image_token="<|image_pad|>",
        video_token="<|video_pad|>",
        image_start_token="<image>",
        image_end_token="</image>",
        slice_start_token="<slice>",
        slice_end_token="</slice>",
        image_id_start_token="<image_id>",
        image_id_end_token="</image_id>",
    )


@builder
def minicpmv4_6() -> tuple[Any, Any]:
    from transformers import (
        MiniCPMV4_6Config,
        MiniCPMV4_6ForConditionalGeneration,
        MiniCPMV4_6ImageProcessorPil,
        MiniCPMV4_6Processor,
    )

    words = minicpm_words()
    config = MiniCPMV4_6Config(
        vision_config=VISION | {"image_size": 64, "patch_size": 4},
        insert_layer_id=1,
        text_config=TEXT | LINEAR | {"model_type": "qwen3_5_text"},
        image_token_id=words.image_token_id,
        video_token_id=words.video_token_id,
    )
    pictures = MiniCPMV4_6ImageProcessorPil(patch_size=4, scale_resolution=48, max_slice_nums=6)
    processor = image_only(MiniCPMV4_6Processor)(
        image_processor=pictures, tokenizer=words, chat_template=chat("<|image_pad|>")
    )
    return MiniCPMV4_6ForConditionalGeneration(config), processor


@builder
def lfm2_vl() -> tuple[Any, Any]:
    from transformers import Lfm2VlConfig, Lfm2VlForConditionalGeneration, Lfm2VlProcessor

    from workbench.models.hf.image_processors.lfm2_vl import Lfm2VlImageProcessor

    names = [f"<|img_row_{row}_col_{col}|>" for row in range(1, 5) for col in range(1, 5)]
    words = tokenizer(
        *names,
        image_token="<image>",
        image_start_token="<|image_start|>",
        image_end_token="<|image_end|>",
        image_thumbnail_token="<|img_thumbnail|>",
    )
    config = Lfm2VlConfig(
        vision_config=VISION
        | {
            "model_type": "siglip2_vision_model",
            "patch_size": 8,
            "num_patches": 16,
            "vision_use_head": False,
        },
        text_config=TEXT
        | {
            "model_type": "lfm2",
            "block_auto_adjust_ff_dim": False,
            "layer_types": ["conv", "full_attention", "conv"],
        },
        image_token_id=words.image_token_id,
        projector_hidden_size=96,
    )
    pictures = Lfm2VlImageProcessor(
        encoder_patch_size=8, tile_size=32, max_tiles=4, min_image_tokens=4, max_image_tokens=6
    )
    processor = Lfm2VlProcessor(pictures, words, chat_template=chat("<image>"))
    return Lfm2VlForConditionalGeneration(config), processor
