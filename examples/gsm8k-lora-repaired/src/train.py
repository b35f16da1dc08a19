"""Trains one run over all of its seeds, and tracks it with W&B."""

import copy
import itertools
import random
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import hydra
import numpy as np
import optuna
import torch
import wandb
from datasets import Dataset
from omegaconf import DictConfig, OmegaConf
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase, get_cosine_schedule_with_warmup

from src.model import load_model, load_tokenizer, weighted_loss
from src.preprocess import PadRight, Splits, final_answer, load_splits, prompt_of

RUNS = Path(__file__).resolve().parents[1] / "config" / "runs"
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
Track = Callable[[dict[str, float]], None]


def configure(cfg: DictConfig) -> DictConfig:
    """The shared configuration with that of the run, in the size that the mode asks for."""
    OmegaConf.set_struct(cfg, False)
    cfg = OmegaConf.merge(cfg, OmegaConf.load(RUNS / f"{cfg.run}.yaml"))
    if cfg.mode == "trial":
        cfg.wandb.mode = "disabled"
        cfg.optuna.n_trials = 0
        cfg.training.epochs = 1
        cfg.training.max_batches = 2
        cfg.training.seeds = cfg.training.seeds[:1]
        cfg.evaluation.max_examples = 4
        cfg.evaluation.max_new_tokens = 16
    elif cfg.mode == "full":
        cfg.wandb.mode = "online"
    else:
        raise SystemExit(f"mode={cfg.mode}: mode is trial or full")
    OmegaConf.set_struct(cfg, True)
    return cfg


def set_seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def batch_loss(model: PeftModel, batch: dict[str, torch.Tensor], answer_weight: float) -> torch.Tensor:
    batch = {key: value.to(DEVICE) for key, value in batch.items()}
    with torch.autocast(DEVICE.type, dtype=torch.bfloat16, enabled=DEVICE.type == "cuda"):
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    return weighted_loss(logits, batch["labels"], batch["is_answer"], answer_weight)


@torch.no_grad()
def exact_match(model: PeftModel, tokenizer: PreTrainedTokenizerBase, data: Dataset, cfg: DictConfig) -> float:
    """The share of questions whose greedily generated final answer is the right number."""
    model.eval()
    right = 0
    for start in range(0, len(data), cfg.evaluation.batch_size):
        rows = data[start : start + cfg.evaluation.batch_size]
        prompts = tokenizer([prompt_of(question) for question in rows["question"]], padding=True, return_tensors="pt")
        prompts = prompts.to(DEVICE)
        tokens = model.generate(
            input_ids=prompts["input_ids"],
            attention_mask=prompts["attention_mask"],
            max_new_tokens=cfg.evaluation.max_new_tokens,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
        )
        texts = tokenizer.batch_decode(tokens[:, prompts["input_ids"].shape[1] :], skip_special_tokens=True)
        right += sum(final_answer(text) == final_answer(gold) for text, gold in zip(texts, rows["answer"], strict=True))
    return right / len(data)


def fit(
    cfg: DictConfig, seed: int, splits: Splits, tokenizer: PreTrainedTokenizerBase, track: Track | None
) -> tuple[PeftModel, float, int]:
    """A model trained with one seed, at its best epoch on validation; that epoch's score; and the epoch."""
    set_seed(seed)
    model = load_model(cfg, DEVICE)
    loader = DataLoader(
        splits.train,
        batch_size=cfg.training.batch_size,
        shuffle=True,
        collate_fn=PadRight(tokenizer.pad_token_id),
        generator=torch.Generator().manual_seed(seed),
    )
    batches = len(loader) if cfg.training.max_batches is None else min(cfg.training.max_batches, len(loader))
    steps = batches * cfg.training.epochs
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=cfg.training.learning_rate, weight_decay=cfg.training.weight_decay)
    schedule = get_cosine_schedule_with_warmup(optimizer, int(steps * cfg.training.warmup_ratio), steps)
    best, best_epoch, best_adapter, step = -1.0, -1, None, 0
    for epoch in range(cfg.training.epochs):
        model.train()
        for batch in itertools.islice(loader, batches):
            optimizer.zero_grad()
            loss = batch_loss(model, batch, cfg.method.answer_weight)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, cfg.training.max_grad_norm)
            optimizer.step()
            if track:
                rate = schedule.get_last_lr()[0]
                track({"seed": seed, "step": step, "train_loss": loss.item(), "learning_rate": rate})
            schedule.step()
            step += 1
        score = exact_match(model, tokenizer, splits.validation, cfg)
        if track:
            track({"seed": seed, "epoch": epoch, "val_exact_match": score})
        if score > best:
            best, best_epoch = score, epoch
            best_adapter = copy.deepcopy(get_peft_model_state_dict(model))
    set_peft_model_state_dict(model, best_adapter)
    return model, best, best_epoch


def search(cfg: DictConfig, splits: Splits, tokenizer: PreTrainedTokenizerBase) -> DictConfig:
    """The configuration with the best values found on validation. Nothing of the search is tracked."""

    def configured(values: dict[str, float]) -> DictConfig:
        changed = copy.deepcopy(cfg)
        for name, value in values.items():
            OmegaConf.update(changed, name, value)
        return changed

    def objective(trial: optuna.Trial) -> float:
        values = {
            name: trial.suggest_float(name, space.low, space.high, log=space.type == "loguniform")
            for name, space in cfg.optuna.search_space.items()
        }
        return fit(configured(values), cfg.optuna.seed, splits, tokenizer, track=None)[1]

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=cfg.optuna.seed))
    study.optimize(objective, n_trials=cfg.optuna.n_trials)
    print(f"search: {study.best_params} with validation exact match {study.best_value:.4f}")
    return configured(study.best_params)


@hydra.main(version_base="1.3", config_path="../config", config_name="config")
def main(cfg: DictConfig) -> None:
    cfg = configure(cfg)
    tokenizer = load_tokenizer(cfg)
    splits = load_splits(cfg, tokenizer)
    if cfg.optuna.n_trials > 0:
        cfg = search(cfg, splits, tokenizer)
    wandb.init(
        entity=cfg.wandb.entity,
        project=cfg.wandb.project,
        id=cfg.run_id,
        name=cfg.run_id,
        resume="allow",
        mode=cfg.wandb.mode,
        dir=cfg.results_dir,
        config=OmegaConf.to_container(cfg, resolve=True),
    )
    print(f"W&B run: {wandb.run.url or 'without an address, as W&B is disabled'}")
    validation, test = [], []
    for seed in cfg.training.seeds:
        model, best, best_epoch = fit(cfg, seed, splits, tokenizer, track=wandb.log)
        score = exact_match(model, tokenizer, splits.test, cfg)
        wandb.log({"seed": seed, "test_exact_match": score})
        validation.append(best)
        test.append(score)
        print(f"seed {seed}: best epoch {best_epoch}, validation {best:.4f}, test {score:.4f}")
    wandb.summary["best_val_exact_match"] = mean(validation)
    wandb.summary["final_test_exact_match"] = mean(test)
    wandb.finish()


if __name__ == "__main__":
    main()
