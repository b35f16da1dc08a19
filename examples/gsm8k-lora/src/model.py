"""The language model with its LoRA adapter, and the loss that the methods differ in."""

import torch
from omegaconf import DictConfig
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from src.preprocess import CACHE, IGNORED


def load_tokenizer(cfg: DictConfig) -> PreTrainedTokenizerBase:
    # Padding on the left keeps the prompts of a batch next to what is generated.
    tokenizer = AutoTokenizer.from_pretrained(cfg.model.name, cache_dir=CACHE, padding_side="left")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(cfg: DictConfig, device: torch.device) -> PeftModel:
    base = AutoModelForCausalLM.from_pretrained(cfg.model.name, cache_dir=CACHE, dtype=torch.float32)
    return add_adapter(base, cfg).to(device)


def add_adapter(base: PreTrainedModel, cfg: DictConfig) -> PeftModel:
    adapter = LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=cfg.model.lora_rank,
        lora_alpha=cfg.model.lora_alpha,
        lora_dropout=cfg.model.lora_dropout,
        target_modules=list(cfg.model.target_modules),
    )
    return get_peft_model(base, adapter)


def weighted_loss(
    logits: torch.Tensor, labels: torch.Tensor, is_answer: torch.Tensor, answer_weight: float
) -> torch.Tensor:
    """Mean negative log-likelihood in which a token of the final answer counts `answer_weight` times.

    With a weight of one this is the loss of the comparative method.

    Args:
        logits: (batch, length, vocabulary).
        labels: (batch, length); IGNORED where a token does not count.
        is_answer: (batch, length); one on the tokens of the final answer.
        answer_weight: At least zero.
    """
    targets = labels[:, 1:]
    losses = functional.cross_entropy(
        logits[:, :-1].float().transpose(1, 2), targets, ignore_index=IGNORED, reduction="none"
    )
    weights = torch.where(is_answer[:, 1:].bool(), answer_weight, 1.0) * (targets != IGNORED)
    return (losses * weights).sum() / weights.sum()
