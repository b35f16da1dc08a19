"""GSM8K as token sequences whose prompt does not count in the loss."""

import re
from dataclasses import dataclass

import torch
from datasets import Dataset, load_dataset
from omegaconf import DictConfig
from transformers import PreTrainedTokenizerBase

CACHE = ".cache/"
IGNORED = -100
FINAL_ANSWER = re.compile(r"####\s*(-?[\d,]*\.?\d+)")


@dataclass
class Splits:
    """The three parts of the data, the first one encoded. Validation comes out of the train split."""

    train: Dataset
    validation: Dataset
    test: Dataset


def load_splits(cfg: DictConfig, tokenizer: PreTrainedTokenizerBase) -> Splits:
    raw = load_dataset(cfg.dataset.name, cfg.dataset.config, cache_dir=CACHE)
    parts = raw["train"].train_test_split(test_size=cfg.dataset.validation_examples, seed=cfg.dataset.split_seed)
    train, validation, test = parts["train"], parts["test"], raw["test"]
    if cfg.training.max_batches is not None:
        train = first(train, cfg.training.max_batches * cfg.training.batch_size)
    if cfg.evaluation.max_examples is not None:
        validation = first(validation, cfg.evaluation.max_examples)
        test = first(test, cfg.evaluation.max_examples)
    return Splits(encoded(train, tokenizer, cfg.dataset.max_length), validation, test)


def first(data: Dataset, count: int) -> Dataset:
    return data.select(range(min(count, len(data))))


def prompt_of(question: str) -> str:
    return f"Question: {question.strip()}\nAnswer:"


def final_answer(text: str) -> str | None:
    """The number after `####`, without thousands separators, or None where there is none."""
    match = FINAL_ANSWER.search(text)
    if match is None:
        return None
    number = match.group(1).replace(",", "")
    return number.rstrip("0").rstrip(".") if "." in number else number


def encode(example: dict, tokenizer: PreTrainedTokenizerBase) -> dict:
    """Token ids, labels that leave the prompt out, and a mark on every token of the final answer."""
    reasoning, _, answer = example["answer"].partition("####")
    parts = [
        tokenizer(prompt_of(example["question"])).input_ids,
        tokenizer(f" {reasoning.strip()}\n", add_special_tokens=False).input_ids,
        [*tokenizer(f"#### {answer.strip()}", add_special_tokens=False).input_ids, tokenizer.eos_token_id],
    ]
    prompt, body, final = parts
    return {
        "input_ids": prompt + body + final,
        "labels": [IGNORED] * len(prompt) + body + final,
        "is_answer": [0] * (len(prompt) + len(body)) + [1] * len(final),
    }


def encoded(data: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Dataset:
    """The encoded examples that fit. A cut example would lose its answer, so longer ones are left out, aloud."""
    tokens = data.map(encode, fn_kwargs={"tokenizer": tokenizer}, remove_columns=data.column_names)
    kept = tokens.filter(lambda row: len(row["input_ids"]) <= max_length)
    if len(kept) < len(tokens):
        print(f"left out {len(tokens) - len(kept)} of {len(tokens)} examples longer than {max_length} tokens")
    if len(kept) == 0:
        raise ValueError(f"no example fits into dataset.max_length={max_length} tokens")
    return kept


class PadRight:
    """Collates encoded examples; padding is neither attended to nor part of the loss."""

    def __init__(self, pad_token_id: int) -> None:
        self.pad_token_id = pad_token_id

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        width = max(len(row["input_ids"]) for row in rows)

        def padded(key: str, fill: int) -> torch.Tensor:
            return torch.tensor([row[key] + [fill] * (width - len(row[key])) for row in rows])

        lengths = torch.tensor([len(row["input_ids"]) for row in rows])
        return {
            "input_ids": padded("input_ids", self.pad_token_id),
            "attention_mask": (torch.arange(width)[None, :] < lengths[:, None]).long(),
            "labels": padded("labels", IGNORED),
            "is_answer": padded("is_answer", 0),
        }
