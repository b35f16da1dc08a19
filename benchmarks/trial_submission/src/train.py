"""Trains one run with each of its seeds, and tracks it with W&B."""

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
from src.model import load_model, load_tokenizer
from src.preprocess import Padding, encoded, load_splits, number_of, prompt_of
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase, get_cosine_schedule_with_warmup

RUNS = Path(__file__).resolve().parents[1] / "config" / "runs"
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def configured(cfg: DictConfig) -> DictConfig:
    """The configuration of the run over the shared one, in the size that the mode asks for."""
    OmegaConf.set_struct(cfg, False)
    cfg = OmegaConf.merge(cfg, OmegaConf.load(RUNS / f"{cfg.run}.yaml"))
    if cfg.mode == "trial":
        cfg.wandb.mode = "disabled"
        cfg.optuna.n_trials = 0
        cfg.training.epochs = 1
        cfg.training.max_batches = 2
        cfg.training.seeds = cfg.training.seeds[:1]
        cfg.evaluation.max_examples = 4
        cfg.evaluation.max_new_tokens = 8
    elif cfg.mode == "full":
        cfg.wandb.mode = "online"
    else:
        raise SystemExit(f"mode={cfg.mode}: it is trial or full")
    OmegaConf.set_struct(cfg, True)
    return cfg


def set_seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


class Experiment:
    """Data and tokenizer of a run, shared by its seeds and its search."""

    def __init__(self, cfg: DictConfig) -> None:
        self.tokenizer: PreTrainedTokenizerBase = load_tokenizer(cfg)
        train, self.validation, self.test = load_splits(cfg)
        self.train = encoded(train, self.tokenizer, cfg.dataset.max_length)

    @torch.no_grad()
    def accuracy(self, model: PeftModel, data: Dataset, cfg: DictConfig) -> float:
        """The share of questions whose greedily generated solution ends in the right number."""
        model.eval()
        right = 0
        for start in range(0, len(data), cfg.evaluation.batch_size):
            rows = data[start : start + cfg.evaluation.batch_size]
            prompts = [prompt_of(question) for question in rows["question"]]
            inputs = self.tokenizer(prompts, padding=True, return_tensors="pt").to(DEVICE)
            tokens = model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=cfg.evaluation.max_new_tokens,
                do_sample=False,
                pad_token_id=self.tokenizer.pad_token_id,
            )
            texts = self.tokenizer.batch_decode(tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
            right += sum(number_of(text) == number_of(gold) for text, gold in zip(texts, rows["answer"], strict=True))
        return right / len(data)

    def fit(self, cfg: DictConfig, seed: int, log: Callable[[dict], None] | None) -> tuple[PeftModel, float]:
        """A model trained with one seed, at its best epoch on validation, and that epoch's accuracy."""
        set_seed(seed)
        model = load_model(cfg, DEVICE)
        loader = DataLoader(
            self.train,
            batch_size=cfg.training.batch_size,
            shuffle=True,
            collate_fn=Padding(self.tokenizer.pad_token_id),
            generator=torch.Generator().manual_seed(seed),
        )
        batches = min(len(loader), cfg.training.max_batches or len(loader))
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=cfg.training.learning_rate, weight_decay=cfg.training.weight_decay)
        steps = batches * cfg.training.epochs
        schedule = get_cosine_schedule_with_warmup(optimizer, int(steps * cfg.training.warmup_share), steps)
        best, adapter, step = -1.0, None, 0
        for epoch in range(cfg.training.epochs):
            model.train()
            for batch in itertools.islice(loader, batches):
                batch = {name: value.to(DEVICE) for name, value in batch.items()}
                optimizer.zero_grad()
                with torch.autocast(DEVICE.type, dtype=torch.bfloat16, enabled=DEVICE.type == "cuda"):
                    loss = model(**batch).loss
                loss.backward()
                torch.nn.utils.clip_grad_norm_(parameters, cfg.training.max_grad_norm)
                optimizer.step()
                rate = schedule.get_last_lr()[0]
                schedule.step()
                if log is not None:
                    log({"seed": seed, "step": step, "train_loss": loss.item(), "learning_rate": rate})
                step += 1
            score = self.accuracy(model, self.validation, cfg)
            if log is not None:
                log({"seed": seed, "epoch": epoch, "val_accuracy": score})
            if score > best:
                best, adapter = score, copy.deepcopy(get_peft_model_state_dict(model))
        set_peft_model_state_dict(model, adapter)
        return model, best

    def search(self, cfg: DictConfig) -> DictConfig:
        """The configuration with the values that did best on validation. Nothing of the search is tracked."""

        def with_values(values: dict[str, float]) -> DictConfig:
            changed = copy.deepcopy(cfg)
            for name, value in values.items():
                OmegaConf.update(changed, name, value)
            return changed

        def objective(trial: optuna.Trial) -> float:
            values = {
                name: trial.suggest_float(name, space.low, space.high, log=space.type == "loguniform")
                for name, space in cfg.optuna.search_space.items()
            }
            return self.fit(with_values(values), cfg.optuna.seed, log=None)[1]

        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=cfg.optuna.seed))
        study.optimize(objective, n_trials=cfg.optuna.n_trials)
        print(f"search: {study.best_params}, validation accuracy {study.best_value:.4f}")
        return with_values(study.best_params)


@hydra.main(version_base="1.3", config_path="../config", config_name="config")
def main(cfg: DictConfig) -> None:
    cfg = configured(cfg)
    experiment = Experiment(cfg)
    if cfg.optuna.n_trials > 0:
        cfg = experiment.search(cfg)
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
        model, best = experiment.fit(cfg, seed, log=wandb.log)
        score = experiment.accuracy(model, experiment.test, cfg)
        wandb.log({"seed": seed, "test_accuracy": score})
        validation.append(best)
        test.append(score)
        print(f"seed {seed}: validation {best:.4f}, test {score:.4f}")
    wandb.summary["best_val_accuracy"] = mean(validation)
    wandb.summary["final_test_accuracy"] = mean(test)
    wandb.finish()


if __name__ == "__main__":
    main()
