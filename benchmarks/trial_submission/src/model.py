"""The language model with LoRA, whose ranks may differ from layer to layer."""

import torch
from omegaconf import DictConfig
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from src.preprocess import CACHE
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase


def load_tokenizer(cfg: DictConfig) -> PreTrainedTokenizerBase:
    # on the left, so that generated tokens follow the prompt
    tokenizer = AutoTokenizer.from_pretrained(cfg.model.name, cache_dir=CACHE, padding_side="left")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def tapered_ranks(mean_rank: int, taper: float, layers: int) -> list[int]:
    """Ranks that grow linearly with depth around the same mean; with a taper of 0, all are alike.

    Args:
        mean_rank: At least 1.
        taper: From 0 to less than 1.
        layers: Number of layers.
    """
    middle = (layers - 1) / 2
    slopes = [(layer - middle) / middle if layers > 1 else 0.0 for layer in range(layers)]
    return [max(1, round(mean_rank * (1 + taper * slope))) for slope in slopes]


def load_model(cfg: DictConfig, device: torch.device) -> PeftModel:
    base = AutoModelForCausalLM.from_pretrained(cfg.model.name, cache_dir=CACHE, dtype=torch.float32)
    ranks = tapered_ranks(cfg.model.lora_rank, cfg.method.taper, base.config.num_hidden_layers)
    scale = cfg.model.lora_alpha / cfg.model.lora_rank
    places = [
        (f"layers.{layer}.self_attn.{module}", rank)
        for layer, rank in enumerate(ranks)
        for module in cfg.model.target_modules
    ]
    adapter = LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=cfg.model.lora_rank,
        lora_alpha=cfg.model.lora_alpha,
        lora_dropout=cfg.model.lora_dropout,
        target_modules=list(cfg.model.target_modules),
        # alpha follows the rank: alpha / rank is the same in all layers
        rank_pattern=dict(places),
        alpha_pattern={place: scale * rank for place, rank in places},
    )
    return get_peft_model(base, adapter).to(device)
