"""MDL002: a model is loaded with a class that does not fit its architecture."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.import_time import catches
from assay.analysis.model_knowledge import (
    Family,
    ModelUse,
    expected_class,
    families,
    families_with,
    family_of,
    may_be_local,
    may_run_other_code,
    model_uses,
)
from assay.analysis.project import Project
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule

_JUDGED = frozenset(
    {"CausalLM", "Seq2SeqLM", "MaskedLM", "SequenceClassification", "TokenClassification", "QuestionAnswering",
     "ImageClassification", "CTC", "SpeechSeq2Seq", "AudioClassification"}
)  # fmt: skip
_APART = frozenset({"decoder", "encoder", "encoder-decoder", "vision", "audio"})
_CAUGHT = frozenset({"Exception", "BaseException", "ValueError"})


def _loads(loader: str, name: str, more: str = "") -> str:
    return f"from transformers import {loader}\nmodel = {loader}.from_pretrained('{name}'{more})\n"


class WrongAutoClass(Rule):
    """Each auto class of transformers knows the architectures that it can build. Llama has no sequence-to-sequence class,
    and T5 no causal one.

    Where the model's family is known, by its id or by the name that its id most likely has, and the auto class takes that
    family in no release, loading stops with `ValueError: Unrecognized configuration class`. A concrete class of another
    architecture (`T5ForConditionalGeneration` on a Llama checkpoint) goes on, with all weights made anew.
    """

    code = "MDL002"
    name = "wrong-auto-class"
    requirements = ("E4.1", "E4.2", "D2.2")
    message = "{loader} cannot load {name}, which is {article} {kind} ({family})"
    explanation = (
        "No release of transformers maps the configuration of {family} to {loader}: loading raises ValueError."
    )
    repair = "Load it with {right}."

    VALID = (
        Example({"src/main.py": _loads("AutoModelForCausalLM", "Qwen/Qwen2.5-7B")}),
        Example({"src/main.py": _loads("AutoModelForSeq2SeqLM", "google/flan-t5-base")}),
        # an encoder that may be used as a decoder, and the decoder half of an encoder-decoder
        Example({"src/main.py": _loads("AutoModelForCausalLM", "bert-base-uncased")}),
        Example({"src/main.py": _loads("AutoModelForCausalLM", "facebook/bart-base")}),
        Example({"src/main.py": _loads("AutoModelForSequenceClassification", "gpt2")}),
        Example({"src/main.py": _loads("AutoModelForSeq2SeqLM", "some-team/summariser")}),
        Example({"src/main.py": _loads("BertModel", "roberta-base")}),
        # tried, with another way out
        Example(
            {
                "src/main.py": "from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM\ntry:\n"
                "    model = AutoModelForCausalLM.from_pretrained('t5-small')\nexcept ValueError:\n"
                "    model = AutoModelForSeq2SeqLM.from_pretrained('t5-small')\n"
            }
        ),
        # the class follows from the name
        Example(
            {
                "src/main.py": "from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM\n\ndef build(cfg):\n"
                "    if 't5' in cfg.model.name:\n        return AutoModelForSeq2SeqLM.from_pretrained(cfg.model.name)\n"
                "    return AutoModelForCausalLM.from_pretrained(cfg.model.name)\n\nbuild(None)\n",
                "config/runs/a.yaml": "model:\n  name: google/flan-t5-base\n",
                "config/runs/b.yaml": "model:\n  name: Qwen/Qwen3-8B\n",
            }
        ),
    )
    INVALID = (
        Example(
            {"src/main.py": _loads("AutoModelForSeq2SeqLM", "meta-llama/Llama-2-7b-hf")},
            at=("src/main.py:2",),
            repaired={"src/main.py": _loads("AutoModelForCausalLM", "meta-llama/Llama-2-7b-hf")},
        ),
        Example(
            {"src/main.py": _loads("AutoModelForCausalLM", "t5-small")},
            at=("src/main.py:2",),
            repaired={"src/main.py": _loads("AutoModelForSeq2SeqLM", "t5-small")},
        ),
        Example(
            {"src/main.py": _loads("T5ForConditionalGeneration", "Qwen/Qwen3-8B")},
            at=("src/main.py:2",),
            repaired={"src/main.py": _loads("AutoModelForCausalLM", "Qwen/Qwen3-8B")},
        ),
        Example(
            {
                "src/model.py": "from transformers import AutoModelForSeq2SeqLM\n\ndef build(cfg):\n"
                "    if cfg.dataset.task == 'summarisation':\n"
                "        return AutoModelForSeq2SeqLM.from_pretrained(cfg.model.name)\n    return None\n",
                "src/main.py": "from src.model import build\n\ndef main(cfg):\n    build(cfg)\n",
                "config/runs/a.yaml": "model:\n  name: Qwen/Qwen3-8B\ndataset:\n  task: summarisation\n",
            },
            at=("src/model.py:5",),
            repaired={"config/runs/a.yaml": "model:\n  name: google/flan-t5-base\ndataset:\n  task: summarisation\n"},
        ),
        # the family may be another where the model brings its own code
        Example(
            {"src/main.py": _loads("AutoModelForCausalLM", "some-team/t5-small", ", trust_remote_code=True")},
            at=("src/main.py:2",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        found: dict[int, ModelUse] = {}
        for use in model_uses(project):
            if not use.is_model or may_be_local(project, use.name) or isinstance(use.node, int):
                continue
            family = family_of(use.name)
            if family is None or not (_is_refused(use, family) or _is_foreign(use, family)):
                continue
            if catches(project.python[use.called.file], use.node, _CAUGHT):
                continue
            key = id(use.node)
            if key not in found or _rank(use) > _rank(found[key]):
                found[key] = use
        for use in found.values():
            family = family_of(use.name)
            assert family is not None
            severity, consequence = _weight(use, foreign=_is_foreign(use, family))
            file, _, frames = use.place()
            own = use.called.file
            line = getattr(use.origin.place, "line", getattr(use.origin.place, "lineno", None))
            yield self.finding(
                own,
                use.node,
                severity=severity,
                consequence=consequence,
                explanation=_FOREIGN if _is_foreign(use, family) else None,
                symbol=project.python[own].symbol_of(use.node) or None if not isinstance(use.node, int) else None,
                run=use.scenario.run or None,
                detail=f"{use.name} is {family.model_type}" + (f" ({file}:{line})" if frames else ""),
                frames=(*use.origin.frames, *frames[:-1]),
                loader=use.loader,
                name=use.name,
                article="an" if family.kind[0] in "aeiou" else "a",
                kind=family.kind
                if family.kind in ("decoder", "encoder", "encoder-decoder")
                else f"{family.kind} model",
                family=family.model_type,
                right=expected_class(family),
            )


_FOREIGN = (
    "The names of its weights do not fit {loader}: transformers makes every weight anew and trains a model that was "
    "never pretrained, where it does not stop."
)


def _is_refused(use: ModelUse, family: Family) -> bool:
    """Whether an auto class takes the family in no release."""
    task = use.loader.removeprefix("AutoModelFor")
    return use.loader.startswith("AutoModelFor") and task in _JUDGED and task not in family.tasks


def _is_foreign(use: ModelUse, family: Family) -> bool:
    """Whether a concrete class belongs to architectures of another kind."""
    owners = families_with(use.loader)
    if not owners or family.model_type in owners:
        return False
    kinds = {families()[owner].kind for owner in owners}
    return family.kind in _APART and kinds <= _APART and family.kind not in kinds


def _rank(use: ModelUse) -> tuple[bool, bool]:
    return use.fixed and use.called.certain, use.fixed and use.reached


def _weight(use: ModelUse, *, foreign: bool) -> tuple[Severity, Consequence | None]:
    if not use.fixed or not use.reached or may_run_other_code(use) or "config" in use.called.keywords:
        return Severity.WARNING, None
    if use.called.certain and not foreign:
        return Severity.BLOCKING, Consequence.CRASHES
    return Severity.BLOCKING, Consequence.BREAKS_CONTRACT
