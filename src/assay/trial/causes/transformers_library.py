"""Causes that Transformers, Tokenizers and Accelerate report."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.project import Project
from assay.trial.causes.known import Known, Words, known
from assay.trial.causes.locating import (
    column_lines,
    of_columns,
    of_declared,
    of_last,
    of_mappings,
    of_models,
    of_values,
)
from assay.trial.reading import text
from assay.trial.record import Step, Stop, TrialFrame


def _ragged_places(stop: Stop, step: Step, project: Project, words: Words) -> Iterator[TrialFrame]:
    name = words.get("key", "")
    names = [name] if name else ["labels"]
    yield from column_lines(step, project, names)
    yield from of_columns(step, names)
    if not any(text(event, "op") == "map" and text(event, "column") in names for event in step.of("column")):
        yield from of_mappings(step)


def _model_places(stop: Stop, step: Step, project: Project, words: Words) -> Iterator[TrialFrame]:
    yield from of_models(step)


def _named_model(stop: Stop, step: Step, project: Project, words: Words) -> Iterator[TrialFrame]:
    yield from of_last(step, "model")


def _needs(stop: Stop, step: Step, project: Project, words: Words) -> Iterator[TrialFrame]:
    yield from of_declared(project, words.get("module", ""))


def _text_column(stop: Stop, step: Step, project: Project, words: Words) -> Words:
    key = words.get("key") or ""
    # a column that a model takes holds numbers; the others are the text that was left over
    numbers = ("labels", "label", "input_ids", "attention_mask", "token_type_ids", "decoder_input_ids", "")
    shim = "ragged-labels" if key in numbers else "text-columns"
    return {**words, "which": f"`{key}`" if key else "a column", "key": key, "shim": shim}


CAUSES: tuple[Known, ...] = (
    known(
        "ragged-labels",
        "ValueError",
        r"Unable to create tensor, you should probably activate truncation and/or padding"
        r"(?:.*?Perhaps your features \(`(?P<key>\w+)` in this case\))?",
        "{which} holds lists of different lengths, or text, and cannot become one tensor",
        "Pad it as the inputs are padded (`DataCollatorForSeq2Seq`, or by hand), or take the column "
        "away before batching.",
        action="shim:{shim}",
        area="data",
        points=_ragged_places,
        fill=_text_column,
    ),
    known(
        "ragged-tensor",
        "ValueError",
        r"expected sequence of length (?P<one>\d+) at dim \d+ \(got (?P<other>\d+)\)",
        "lists of different lengths ({one} and {other}) are made into one tensor",
        "Pad them to the longest of the batch first.",
        action="shim:ragged-labels",
        area="data",
        points=_ragged_places,
    ),
    known(
        "text-in-tensor",
        "ValueError TypeError",
        r"too many dimensions 'str'|new\(\): invalid data type 'str'",
        "text is made into a tensor",
        "Take the text columns away before batching (`remove_columns`).",
        action="shim:text-columns",
        area="data",
        points=_ragged_places,
    ),
    known(
        "no-padding-token",
        "ValueError",
        r"(?:Asking to pad but the tokenizer does not have a padding token|Cannot handle batch sizes >"
        r" 1 if no padding token)",
        "the tokenizer, or the model, has no padding token",
        "Set `tokenizer.pad_token = tokenizer.eos_token` (and `model.config.pad_token_id`).",
        action="shim:padding-token",
        area="data",
        points=_named_model,
    ),
    known(
        "attention-not-supported",
        "ValueError",
        r"(?P<cls>\w+) does not support an attention implementation through torch\.nn\.functional\.sca"
        r"led_dot_product_attention",
        "`{cls}` is made from a configuration that asks for SDPA attention, which this class does not declare",
        "Set `_supports_sdpa = True` on the class, or pass `attn_implementation='eager'`.",
        action="shim:sdpa",
        area="model",
        points=_model_places,
    ),
    known(
        "needs-accelerate",
        "ImportError ValueError NameError",
        r"(?:requires? `?accelerate|Using (?:a )?`?(?:low_cpu_mem_usage|device_map|tp_plan).*?requires"
        r"? (?:Accelerate|`?accelerate))"
        r"|requires the `?accelerate|pip install (?:'|\")?accelerate|`accelerate>=",
        "loading the model in this way needs accelerate, which is not among the dependencies",
        "Declare accelerate in pyproject.toml, or leave `device_map` out.",
        action="install:accelerate",
        area="packaging",
        points=_needs,
        fill=lambda stop, step, project, words: {**words, "module": "accelerate"},
    ),
    known(
        "needs-sentencepiece",
        "ImportError ValueError",
        r"(?:requires the SentencePiece library|(?:need|have) to have sentencepiece|sentencepiece installed|"
        r"`?sentencepiece`?(?: is| or|,) )",
        "this tokenizer needs sentencepiece, which is not among the dependencies",
        "Declare sentencepiece in pyproject.toml.",
        action="install:sentencepiece",
        area="packaging",
        doubt="the stand-in for a tokenizer may be of another form than the real one",
        points=_needs,
        fill=lambda stop, step, project, words: {**words, "module": "sentencepiece"},
    ),
    known(
        "needs-another-library",
        "ImportError",
        r"(?P<cls>[\w.]+) requires the (?P<module>[\w.-]+) library but it was not found",
        "`{cls}` needs {module}, which is not among the dependencies",
        "Declare {module} in pyproject.toml.",
        action="install:{module}",
        area="packaging",
        points=_needs,
    ),
    known(
        "wrong-auto-class",
        "ValueError",
        r"Unrecognized configuration class <class '(?P<config>[\w.]+)'> for this kind of AutoModel: (?P<cls>\w+)",
        "`{cls}` has no model for {config}",
        "Use the class that the architecture has, such as AutoModelForSeq2SeqLM for an encoder and decoder.",
        area="model",
        points=lambda stop, step, project, words: of_values(project, step, (words.get("cls", ""),)),
    ),
    known(
        "unknown-model-type",
        "ValueError KeyError",
        r"The checkpoint you are trying to load has model type `(?P<kind>[\w-]+)` but Transformers does not recognize",
        "the declared version of Transformers does not know the architecture `{kind}`",
        "Ask for a version that knows it.",
        area="packaging",
        points=_needs,
    ),
    known(
        "argument-of-training-arguments",
        "TypeError",
        r"(?P<cls>\w*(?:Arguments|Trainer|Config|Collator\w*)).__init__\(\) got an unexpected keyword "
        r"argument '(?P<name>\w+)'",
        "`{cls}` has no argument `{name}` in this version",
        "Use the name that this version has, or leave it out.",
    ),
    known(
        "forward-argument",
        "TypeError",
        r"(?P<cls>\w+)\.forward\(\) got an unexpected keyword argument '(?P<name>\w+)'",
        "`{cls}.forward` takes no `{name}`",
        "Hand it only what it takes.",
        points=_model_places,
    ),
    known(
        "nothing-to-train-on",
        "ValueError",
        r"The model did not return a loss from the inputs, only the following keys: (?P<keys>[\w,]+)",
        "the model returns no loss, because the batch holds no labels (it returns {keys})",
        "Keep the label column under the name `labels`.",
        area="data",
        points=lambda stop, step, project, words: of_columns(step, ["labels", "label"]),
    ),
    known(
        "negative-id-in-decode",
        "OverflowError TypeError ValueError",
        r"(?:out of range integral type conversion attempted|can't convert negative int to unsigned|"
        r"'?-100'?.*?(?:token|decode))",
        "labels that hold -100 are decoded",
        "Replace -100 by the padding id first: `labels[labels == -100] = tokenizer.pad_token_id`.",
        action="shim:negative-ids-in-decode",
        area="evaluation",
    ),
    known(
        "tokenizer-of-none",
        "ValueError TypeError",
        r"text input must be of type `str`|TextEncodeInput must be Union|Input (?:None|nan) is not valid",
        "the tokenizer gets something that is no text",
        "Hand it strings: look at the column's type, and at empty rows.",
        area="data",
    ),
    known(
        "sampling-probabilities",
        "RuntimeError",
        r"probability tensor contains either `inf`, `nan` or element < 0",
        "generation samples from logits that are not finite",
        "Look for where the model's numbers stop being finite.",
        doubt="with random weights that proves nothing",
        area="model",
    ),
)
