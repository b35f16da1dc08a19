"""GSM8K as token sequences of which only the solution counts in the loss."""

import re

import torch
from datasets import Dataset, load_dataset
from omegaconf import DictConfig
from transformers import PreTrainedTokenizerBase

CACHE = ".cache/"
IGNORED = -100
ANSWER = re.compile(r"####\s*(-?[\d,]*\.?\d+)")


def load_splits(cfg: DictConfig) -> tuple[Dataset, Dataset, Dataset]:
    """Training, validation and test examples. Validation is taken from the train split."""
    raw = load_dataset(cfg.dataset.name, cfg.dataset.config, cache_dir=CACHE)
    parts = raw["train"].train_test_split(test_size=cfg.dataset.validation_examples, seed=cfg.dataset.split_seed)
    train, validation, test = parts["train"], parts["test"], raw["test"]
    if cfg.training.max_batches is not None:
        train = first(train, cfg.training.max_batches * cfg.training.batch_size)
    if cfg.evaluation.max_examples is not None:
        validation = first(validation, cfg.evaluation.max_examples)
        test = first(test, cfg.evaluation.max_examples)
    return train, validation, test


def first(data: Dataset, count: int) -> Dataset:
    return data.select(range(min(count, len(data))))


def prompt_of(question: str) -> str:
    return f"Question: {question.strip()}\nSolution:"


def number_of(text: str) -> float | None:
    """The number after `####`; None where there is none."""
    found = ANSWER.search(text)
    return None if found is None else float(found[1].replace(",", ""))


def encoded(data: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Dataset:
    """Token ids and labels of the examples that fit; a cut solution would lose its answer."""

    def encode(example: dict) -> dict:
        prompt = tokenizer(prompt_of(example["question"])).input_ids
        solution = tokenizer(f" {example['answer'].strip()}", add_special_tokens=False).input_ids
        solution = [*solution, tokenizer.eos_token_id]
        return {"input_ids": prompt + solution, "labels": [IGNORED] * len(prompt) + solution}

    tokens = data.map(encode, remove_columns=data.column_names)
    kept = tokens.filter(lambda row: len(row["input_ids"]) <= max_length)
    if len(kept) == 0:
        raise ValueError(f"no example fits into dataset.max_length={max_length} tokens")
    print(f"{len(kept)} of {len(tokens)} training examples fit into {max_length} tokens")
    return kept


class Padding:
    """Collates encoded examples; padding is neither attended to nor part of the loss."""

    def __init__(self, pad_token_id: int) -> None:
        self.pad_token_id = pad_token_id

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        width = max(len(row["input_ids"]) for row in rows)
        batch = {"input_ids": [], "attention_mask": [], "labels": []}
        for row in rows:
            missing = width - len(row["input_ids"])
            batch["input_ids"].append(row["input_ids"] + [self.pad_token_id] * missing)
            batch["attention_mask"].append([1] * len(row["input_ids"]) + [0] * missing)
            batch["labels"].append(row["labels"] + [IGNORED] * missing)
        return {name: torch.tensor(values) for name, values in batch.items()}
