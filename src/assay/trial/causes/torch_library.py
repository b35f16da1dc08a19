"""Causes that PyTorch, torchvision and timm report: shapes, indices, gradients, optimizers."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.project import Project
from assay.trial.causes.known import Known, Words, known
from assay.trial.causes.locating import (
    column_lines,
    of_columns,
    of_keys,
    of_models,
    of_optimizers,
    of_parameter_groups,
    of_values,
)
from assay.trial.record import Step, Stop, TrialFrame

_PRECISION = r"dtype|precision|fp16|amp|half"
_HALF_NAMES = ("float16", "fp16", "half", "torch.float16", "16")
_LABELS = ("labels", "label", "target", "targets", "y")


def _precision_places(stop: Stop, step: Step, project: Project, words: Words) -> Iterator[TrialFrame]:
    yield from of_values(project, step, _HALF_NAMES, _PRECISION)
    yield from list(of_keys(project, step, r"^(?:fp16|amp|use_amp|mixed_precision)$"))[:4]
    yield from of_models(step)


def _optimizer_places(stop: Stop, step: Step, project: Project, words: Words) -> Iterator[TrialFrame]:
    yield from of_optimizers(step)
    yield from of_models(step)


def _label_places(stop: Stop, step: Step, project: Project, words: Words) -> Iterator[TrialFrame]:
    yield from of_columns(step, _LABELS)
    yield from column_lines(step, project, _LABELS)


def _model_places(stop: Stop, step: Step, project: Project, words: Words) -> Iterator[TrialFrame]:
    yield from of_models(step)


def _group_places(stop: Stop, step: Step, project: Project, words: Words) -> Iterator[TrialFrame]:
    yield from of_models(step)
    yield from of_parameter_groups(stop, project)


def _embedding_places(stop: Stop, step: Step, project: Project, words: Words) -> Iterator[TrialFrame]:
    yield from of_models(step)
    yield from of_keys(
        project, step, r"^(?:vocab_size|num_embeddings|pad_token_id|max_length|max_position\w*|num_classes|num_labels)$"
    )


CAUSES: tuple[Known, ...] = (
    known(
        "unscale-of-half-gradients",
        "ValueError",
        r"Attempting to unscale FP16 gradients",
        "the model's own weights are float16, and a GradScaler wants to unscale their gradients",
        "Keep the weights in float32 under autocast, or drop the GradScaler and train in bfloat16.",
        action="shim:unscale",
        area="training",
        points=_precision_places,
    ),
    known(
        "scaler-called-twice",
        "RuntimeError AssertionError",
        r"(?:unscale_\(\) has already been called|No inf checks were recorded|step\(\) has already been called)",
        "the GradScaler is used out of its order: scale, backward, unscale, step, update",
        "Call `scaler.update()` once for each `scaler.step(optimizer)`, with gradients in between.",
        action="shim:unscale",
        area="training",
    ),
    known(
        "duplicate-parameters",
        "ValueError",
        r"some parameters appear in more than one parameter group|parameter group.*?duplicate",
        "some parameters are in more than one group of the optimizer",
        "Collect each parameter once: keep a set of those that are taken.",
        action="shim:duplicate-groups",
        area="training",
        points=_group_places,
    ),
    known(
        "no-parameters",
        "ValueError",
        r"optimizer got an empty parameter list",
        "the optimizer gets no parameter at all: nothing in this model is chosen or left trainable",
        "Choose parameters that this model has.",
        action="shim:empty-optimizer",
        area="training",
        points=_optimizer_places,
    ),
    known(
        "loss-without-graph",
        "RuntimeError",
        r"element \d+ of tensors does not require grad and does not have a grad_fn",
        "the loss is cut off from the model: it was made from plain numbers, or under `no_grad`",
        "Sum the losses as tensors (no `.item()`, no new `torch.tensor`), outside `no_grad`.",
        action="shim:detached-loss",
        area="training",
    ),
    known(
        "unused-in-grad",
        "RuntimeError",
        r"One of the differentiated Tensors (?:appears to not have been used in the graph|does not require grad)",
        "a gradient is asked for with respect to something that the loss does not depend on",
        "Build the loss from it, or pass `allow_unused=True` and treat None.",
        action="shim:unused-grad",
        area="training",
    ),
    known(
        "graph-used-twice",
        "RuntimeError",
        r"Trying to backward through the graph a second time",
        "backward goes through the same graph twice",
        "Compute the forward pass anew, or pass `retain_graph=True` the first time.",
        area="training",
    ),
    known(
        "changed-in-place",
        "RuntimeError",
        r"one of the variables needed for gradient computation has been modified by an inplace operation|"
        r"a (?:leaf Variable|view of a leaf Variable) that requires grad is being used in an in-place operation",
        "a tensor that the gradient needs is changed in place",
        "Change it under `torch.no_grad()` after the backward pass, or make a new tensor.",
        area="training",
    ),
    known(
        "not-a-parameter",
        "TypeError",
        r"cannot assign '?(?P<kind>[\w.]+)'? (?:object )?(?:as|to) parameter '(?P<name>\w+)'",
        "a {kind} is assigned to the parameter `{name}`, which takes only Parameters",
        "Change its values in place under `torch.no_grad()`, or use `torch.func.functional_call`.",
        area="training",
    ),
    known(
        "parameter-not-a-tensor",
        "TypeError",
        r"optimizer can only optimize Tensors, but one of the params is (?P<kind>[\w.]+)",
        "the optimizer gets something that is no tensor: {kind}",
        "Hand it parameters, or groups that hold a list of them.",
        area="training",
    ),
    known(
        "not-a-leaf",
        "ValueError",
        r"can't optimize a non-leaf Tensor",
        "the optimizer gets a tensor that was computed from others",
        "Make it a Parameter, or a tensor that is moved to its device before `requires_grad_`.",
        area="training",
    ),
    known(
        "labels-of-another-length",
        "ValueError RuntimeError",
        r"Expected input batch_size \((?P<one>\d+)\) to match target batch_size \((?P<other>\d+)\)",
        "the loss gets {one} predictions and {other} labels",
        "Give labels of the same length as the inputs: one text of prompt and answer, -100 over the prompt.",
        action="shim:label-lengths",
        area="data",
        points=_label_places,
    ),
    known(
        "target-size",
        "ValueError",
        r"(?:Using a target size \((?P<one>[^)]*\)?)\) that is different to the input size \((?P<other>[^)]*\)?)\)|"
        r"Target size \((?P<third>[^)]*\]?)\) must be the same as input size)",
        "predictions and labels have different shapes",
        "Bring both to the same shape.",
        area="training",
        points=_label_places,
    ),
    known(
        "shapes-do-not-multiply",
        "RuntimeError",
        r"mat1 and mat2 (?:shapes cannot be multiplied|must have the same dtype)(?: \((?P<one>[\dx]+) "
        r"and (?P<other>[\dx]+)\))?",
        "a layer gets an input that does not fit it ({one} against {other})",
        "Make the layer's size that of what it gets.",
        area="model",
        points=_model_places,
    ),
    known(
        "sizes-do-not-match",
        "RuntimeError",
        r"The size of tensor a \((?P<one>\d+)\) must match the size of tensor b \((?P<other>\d+)\)|"
        r"Sizes of tensors must match except in dimension|The expanded size of the tensor \((?P<third>\d+)\)|"
        r"stack expects each tensor to be equal size",
        "tensors of different sizes are put together",
        "Bring them to the same size: padding, broadcasting, or the dimension that is meant.",
    ),
    known(
        "channels-do-not-match",
        "RuntimeError",
        r"(?:to have (?P<one>\d+) channels, but got (?P<other>\d+) channels|"
        r"output with shape \[1, [^\]]*\] doesn't match the broadcast shape)",
        "images have another number of channels than the model, or the normalisation, takes",
        "Convert all images: `image.convert('RGB')`.",
        area="data",
    ),
    known(
        "dimension-out-of-range",
        "IndexError",
        r"Dimension out of range \(expected to be in range of \[(?P<range>[^\]]*)\], but got (?P<got>-?\d+)\)",
        "dimension {got} is asked for of a tensor that has only those in [{range}]",
        "Ask for the dimension that this tensor has; look at what shape it comes in.",
        points=_model_places,
    ),
    known(
        "index-out-of-range",
        "IndexError",
        r"^index out of range in self|Target (?P<target>-?\d+) is out of bounds|index (?P<index>-?\d+)"
        r" is out of bounds",
        "an index is outside the table it is looked up in: the vocabulary, the positions or the classes are too few",
        "Make the table as large as its indices: resize the embeddings after adding tokens, and count the classes.",
        points=_embedding_places,
    ),
    known(
        "kinds-do-not-match",
        "RuntimeError",
        r"(?:expected (?:m1 and m2|scalar type|mat1 and mat2) .*?(?:dtype|type|but)|Input type \((?P<one>[\w.]+)\) and "
        r"(?:weight|bias) type \((?P<other>[\w.]+)\)|expected .*?but found|must have the same dtype)",
        "tensors of different kinds of numbers meet in one operation",
        "Bring inputs and weights to the same dtype, or work under autocast.",
        points=_precision_places,
    ),
    known(
        "labels-of-another-kind",
        "RuntimeError",
        r"expected scalar type (?P<one>\w+) but found (?P<other>\w+)|\"\w*(?:nll|loss|cross_entropy)\w"
        r"*\" not implemented for '(?P<third>\w+)'",
        "the loss gets labels of a kind of number that it does not take",
        "Convert the labels: `.long()` for classes, `.float()` for numbers.",
        area="training",
        points=_label_places,
    ),
    known(
        "state-does-not-fit",
        "RuntimeError",
        r"Error\(s\) in loading state_dict for (?P<cls>\w+)",
        "saved weights do not fit `{cls}`",
        "Build the model that was saved, or load with the same keys.",
        area="model",
        points=_model_places,
    ),
    known(
        "weights-only",
        "UnpicklingError",
        r"Weights only load failed",
        "`torch.load` refuses what was saved: from 2.6 on it loads weights alone",
        "Save state dicts and plain values, or pass `weights_only=False` for a file of your own.",
        area="training",
    ),
    known(
        "item-of-many",
        "RuntimeError ValueError",
        r"a Tensor with (?P<count>\d+) elements cannot be converted to Scalar|only one element tensors"
        r" can be converted",
        "one number is asked for of a tensor that has {count}",
        "Reduce it first (`.mean()`), or use `.tolist()`.",
    ),
    known(
        "numpy-of-graph",
        "RuntimeError",
        r"Can't call numpy\(\) on Tensor that requires grad",
        "a tensor that carries a gradient is turned into an array",
        "Call `.detach()` first.",
    ),
    known(
        "hook-of-a-module",
        "AttributeError",
        r"'(?P<cls>\w+)' object has no attribute '(?P<name>\w+)'",
        "a `{cls}` has no attribute `{name}`",
        "Ask for one that this class has; architectures name their parts differently.",
        area="model",
        points=_model_places,
        inside=r"torch[/.]nn[/.]modules[/.]module",
    ),
    known(
        "no-such-vision-model",
        "RuntimeError ValueError",
        r"Unknown model \((?P<name>[\w.]+)\)|Unknown model (?P<other>\w+)",
        "there is no vision model `{name}{other}`",
        "Use a name that the library lists.",
        area="model",
        points=lambda stop, step, project, words: of_values(
            project, step, (words.get("name", ""), words.get("other", ""))
        ),
    ),
    known(
        "empty-loader",
        "ValueError StopIteration ZeroDivisionError",
        r"num_samples should be a positive integer value, but got num_samples=0|^$|division by zero",
        "no batch comes out of the data",
        "Look at what filters and slices leave, and at `drop_last` with few rows.",
        doubt="a stand-in has fewer rows than the real data",
        area="data",
        inside=r"torch[/.]utils[/.]data",
    ),
    known(
        "split-of-another-length",
        "ValueError",
        r"Sum of input lengths does not equal the length of the input dataset",
        "the parts of a random split do not add up to the data",
        "Compute the last part from what is left.",
        area="data",
        doubt="a stand-in may have fewer rows than the real data",
    ),
)
