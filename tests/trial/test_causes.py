# ruff: noqa: E501 - messages of libraries stand as they are
"""Stops are explained by what is known of them: plain sentence, what the rehearsal does, and further places."""

from __future__ import annotations

import pytest

from assay.analysis.project import Project
from assay.contracts import load_contract
from assay.submission import SourceFile, Submission
from assay.trial.causes import explain
from assay.trial.record import LibraryFrame, Step, Stop, TrialFrame

FILES = {
    "config/config.yaml": "defaults:\n  - _self_\nrun: ???\n",
    "config/runs/proposed.yaml": (
        "run_id: proposed\nmodel:\n  name: tiny-1B\n  dtype: float16\n  lora:\n    target_modules: [query, intermediate]\n"
        "training:\n  lr: 5e-4\n"
    ),
    "config/runs/other.yaml": "run_id: other\nmodel:\n  dtype: float16\n",
    "src/main.py": (
        "import subprocess\n\nimport hydra\n\n\n@hydra.main(config_path='../config', config_name='config')\n"
        "def main(cfg):\n    subprocess.run(['python', '-m', 'src.train'], check=True)\n"
    ),
    "src/train.py": "x = 1\n",
    "src/preprocess.py": (
        "def tokenise(row):\n    ids = row['text']\n    return {\n        'input_ids': ids,\n        'labels': ids,\n    }\n"
    ),
    "src/model.py": "class Net:\n    pass\n",
    "pyproject.toml": '[project]\nname = "a"\nversion = "1"\ndependencies = [\n  "torch",\n]\n',
}


@pytest.fixture(scope="module")
def project():
    files = {path: SourceFile.of_text(path, text) for path, text in FILES.items()}
    return Project(Submission("example", files), load_contract("experiment"))


def stop(kind, message, *, frames=(("src/train.py", 1, "main"),), library=(), text="", chain=()):
    return Stop(
        kind,
        message,
        tuple(TrialFrame(*frame) for frame in frames),
        tuple(LibraryFrame(*frame) for frame in library),
        tuple(chain),
        text,
    )


def cause(project, kind, message, events=(), **options):
    return explain(stop(kind, message, **options), Step("full:proposed", "full", "proposed", events=events), project)


KNOWN = [
    ("omegaconf.errors.ConfigAttributeError", "Key 'run_id' is not in struct\n    full_key: run_id\n    object_type=dict",
     "missing-key", "hydra-root", "run_id"),
    ("omegaconf.errors.ConfigAttributeError", "Missing key base_lr\n    full_key: training.base_lr", "missing-key", "hydra-root",
     "training.base_lr"),
    ("omegaconf.errors.MissingMandatoryValue", "Missing mandatory value: results_dir\n    full_key: results_dir",
     "missing-value", "", "results_dir"),
    ("omegaconf.errors.InterpolationKeyError", "Interpolation key 'training.lr' not found", "broken-interpolation",
     "hydra-root", "training.lr"),
    ("hydra.errors.ConfigCompositionException", "Could not override 'training.epochs'.\nTo append to your config use +training.epochs=1",
     "override-not-in-struct", "shim:hydra-overrides", "training.epochs"),
    ("hydra.errors.MissingConfigException", "Primary config module 'config' not found.", "no-config-module", "", "config"),
    ("ModuleNotFoundError", "No module named 'src'", "own-module-not-found", "working-directory", "src"),
    ("exit", "exit status 1", "ends-without-traceback", "", "exit status 1"),
    ("ModuleNotFoundError", "No module named 'sklearn'", "distribution-not-declared", "install:scikit-learn", "scikit-learn"),
    ("FileNotFoundError", "[Errno 2] No such file or directory: 'data/x.csv'", "file-not-found", "", "data/x.csv"),
    ("NameError", "name 'foo' is not defined", "name-not-defined", "", "foo"),
    ("AttributeError", "module 'torch' has no attribute 'foo'", "no-such-attribute", "", "torch"),
    ("TypeError", "Object of type bool_ is not JSON serializable", "not-json", "", "bool_"),
    ("TypeError", "bad operand type for unary -: 'str'", "text-as-number", "", ""),
    ("RuntimeError", "mat1 and mat2 shapes cannot be multiplied (4x8 and 16x2)", "shapes-do-not-multiply", "", "4x8"),
    ("ValueError", "Expected input batch_size (508) to match target batch_size (124).", "labels-of-another-length",
     "shim:label-lengths", "508"),
    ("IndexError", "index out of range in self", "index-out-of-range", "", ""),
    ("RuntimeError", "element 0 of tensors does not require grad and does not have a grad_fn", "loss-without-graph",
     "shim:detached-loss", ""),
    ("RuntimeError", "One of the differentiated Tensors appears to not have been used in the graph. Set allow_unused=True",
     "unused-in-grad", "shim:unused-grad", ""),
    ("ValueError", "some parameters appear in more than one parameter group", "duplicate-parameters", "shim:duplicate-groups",
     ""),
    ("ValueError", "optimizer got an empty parameter list", "no-parameters", "shim:empty-optimizer", ""),
    ("ValueError", "Attempting to unscale FP16 gradients.", "unscale-of-half-gradients", "shim:unscale", ""),
    ("IndexError", "Dimension out of range (expected to be in range of [-3, 2], but got 3)", "dimension-out-of-range", "", "3"),
    ("TypeError", "cannot assign 'torch.FloatTensor' as parameter 'w' (torch.nn.Parameter or None expected)",
     "not-a-parameter", "", "w"),
    ("ValueError",
     "Unable to create tensor, you should probably activate truncation and/or padding with 'padding=True' 'truncation=True' to "
     "have batched tensors with the same length. Perhaps your features (`labels` in this case) have excessive nesting",
     "ragged-labels", "shim:ragged-labels", "labels"),
    ("ValueError", "Asking to pad but the tokenizer does not have a padding token. Please select a token", "no-padding-token",
     "shim:padding-token", ""),
    ("ValueError",
     "Mine does not support an attention implementation through torch.nn.functional.scaled_dot_product_attention yet.",
     "attention-not-supported", "shim:sdpa", "Mine"),
    ("ImportError", "Using `low_cpu_mem_usage=True`, a `device_map` or a `tp_plan` requires Accelerate: `pip install 'accelerate>=0.26.0'`",
     "needs-accelerate", "install:accelerate", ""),
    ("ValueError",
     "Using a `device_map`, `tp_plan`, `torch.device` context manager or setting `torch.set_default_device(device)` requires "
     "`accelerate`. You can install it with `pip install accelerate`",
     "needs-accelerate", "install:accelerate", ""),
    ("ValueError",
     "Unrecognized configuration class <class 'transformers.models.t5.configuration_t5.T5Config'> for this kind of AutoModel: "
     "AutoModelForCausalLM.\nModel type should be one of A, B.", "wrong-auto-class", "", "AutoModelForCausalLM"),
    ("ValueError", "Target modules {'q_proj', 'v_proj'} not found in the base model. Please check the target modules and try again.",
     "target-modules-not-found", "shim:lora-targets", "q_proj"),
    ("ValueError", "Target module RobertaIntermediate(\n  (dense): Linear()\n) is not supported. Currently, only the following",
     "target-module-not-supported", "shim:lora-targets", "RobertaIntermediate"),
    ("ValueError", "Config name is missing.\nPlease pick one among the available configs: ['main', 'socratic']\nExample of usage",
     "configuration-not-named", "dataset-configuration:owner/sums=main", "main"),
    ("ValueError", 'Unknown split "validation". Should be one of [\'train\', \'test\'].', "unknown-split", "", "validation"),
    ("ValueError", "BuilderConfig 'foo' not found. Available: ['a', 'b']", "no-such-configuration", "", "foo"),
    ("IndexError", "Index 500 out of range for dataset of size 400.", "rows-beyond-the-end", "", "500"),
    ("OverflowError", "out of range integral type conversion attempted", "negative-id-in-decode", "shim:negative-ids-in-decode", ""),
    ("ImportError",
     "To be able to use evaluate-metric/rouge, you need to install the following dependencies['absl', 'rouge_score'] using "
     "'pip install absl rouge_score' for instance'", "metric-needs-distribution", "install:", ""),
    ("wandb.errors.Error", "You must call wandb.init() before wandb.log()", "logged-without-a-run", "shim:untracked-log",
     "log"),
    ("RuntimeError", "CUDA error: out of memory", "cuda", "", ""),
    ("SystemExit", "2", "usage-refused", "", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "message", "name", "action", "word"), KNOWN, ids=[f"{row[2]}-{n}" for n, row in enumerate(KNOWN)]
)
def test_a_known_stop_is_explained(project, kind, message, name, action, word):
    told = cause(project, kind, message, [{"kind": "hub", "type": "datasets", "repo": "owner/sums", "known": "known"}])
    assert told.name == name
    assert told.action.startswith(action) if action.endswith(":") else told.action == action
    assert word in told.sentence
    assert told.repair.endswith((".", "`", ")"))
    assert "{" not in told.repair.replace("{key}", "") or "}" not in told.repair


@pytest.mark.parametrize(
    "message",
    ["CUDA error: device-side assert", "NVML Shared Library Not Found", "\"addmm\" not implemented for 'Half'"],
)
def test_what_only_a_gpu_can_tell_is_doubted(project, message):
    assert cause(project, "RuntimeError", message).doubt


def test_a_repository_is_certainly_missing_only_where_nobody_can_own_it(project):
    said = "{} is not a local folder and is not a valid model identifier listed on 'https://huggingface.co/models'"
    missing = [{"kind": "hub", "type": "models", "repo": "tiny-1B", "known": "none"}]
    told = cause(project, "OSError", said.format("tiny-1B"), missing)
    assert (told.name, told.doubt, told.action) == ("no-such-repository", "", "open:tiny-1B")
    assert [(place.file, place.line) for place in told.places] == [("config/runs/proposed.yaml", 3)]
    unknown = [{"kind": "hub", "type": "models", "repo": "someone/model", "known": "unknown"}]
    assert cause(project, "OSError", said.format("someone/model"), unknown).doubt


def test_places_are_added_where_the_value_and_the_column_come_from(project):
    half = cause(project, "ValueError", "Attempting to unscale FP16 gradients.")
    assert [(place.file, place.line) for place in half.places] == [("config/runs/proposed.yaml", 4)]
    column = {"kind": "column", "column": "labels", "op": "map", "frames": [["src/preprocess.py", 9, "make"]],
              "function": ["src/preprocess.py", 1, "tokenise"]}  # fmt: skip
    ragged = cause(project, "ValueError", "expected sequence of length 4 at dim 1 (got 7)", [column])
    assert ("src/preprocess.py", 5) in [(place.file, place.line) for place in ragged.places]
    assert ("src/preprocess.py", 9) in [(place.file, place.line) for place in ragged.places]
    target = cause(project, "ValueError", "Target module RobertaIntermediate(\n) is not supported. Currently")
    assert [(place.file, place.line) for place in target.places] == [("config/runs/proposed.yaml", 6)]
    number = cause(project, "TypeError", "bad operand type for unary -: 'str'")
    assert [(place.file, place.line) for place in number.places] == [("config/runs/proposed.yaml", 8)]
    launch = cause(project, "ModuleNotFoundError", "No module named 'src'")
    assert [(place.file, place.line) for place in launch.places] == [("src/main.py", 6), ("src/main.py", 8)]


def test_a_key_of_a_batch_is_told_from_another_key(project):
    columns = [{"kind": "dataset", "columns": ["text", "raw"], "name": "x"}]
    assert cause(project, "KeyError", "'raw'", columns).name == "key-of-a-batch"
    assert cause(project, "KeyError", "'raw'").name == ""


def column(name, op, line, **more):
    return {"kind": "column", "column": name, "op": op, "frames": [["src/preprocess.py", line, "make"]], **more}


def places(told):
    return [(place.file, place.line) for place in told.places]


def test_a_column_that_a_format_hides_is_pointed_to_and_shown(project):
    seen = [column("raw", "map", 9), column("labels", "map", 9), column("labels", "set_format", 12)]
    told = cause(project, "KeyError", "'raw'", seen)
    assert told.action == "shim:hidden-columns"
    assert ("src/preprocess.py", 12) in places(told)
    shown = [*seen, column("raw", "set_format", 12)]
    told = cause(project, "KeyError", "'raw'", shown)
    assert told.action == ""


def test_a_column_that_was_kept_as_text_leads_to_the_calls_that_kept_it(project):
    message = (
        "Unable to create tensor, you should probably activate truncation and/or padding with 'padding=True' "
        "'truncation=True' to have batched tensors with the same length. Perhaps your features (`raw` in this case) "
        "have excessive nesting (inputs type `list` where type `int` is expected)."
    )
    told = cause(project, "ValueError", message, [column("raw", "load", 7), column("labels", "map", 9)])
    assert ("src/preprocess.py", 9) in places(told)


def test_lists_where_text_is_meant_lead_to_the_columns_that_are_read(project):
    seen = [{"kind": "dataset", "name": "owner/sums", "columns": ["labels"]}, column("labels", "load", 7)]
    message = 'can only concatenate str (not "list") to str'
    told = cause(project, "TypeError", message, seen, frames=[("src/preprocess.py", 6, "tokenise")])
    assert told.name == "list-where-text-is-meant"
    assert cause(project, "TypeError", message).name != "list-where-text-is-meant"


def test_a_merge_is_told_from_a_missing_key(project):
    library = [("omegaconf.omegaconf", 273, "merge"), ("omegaconf.basecontainer", 487, "merge_with")]
    told = cause(
        project, "omegaconf.errors.ConfigKeyError", "Key 'lr' is not in struct\n    full_key: lr", library=library
    )
    assert (told.name, told.action) == ("merged-into-struct", "struct")


def test_an_unknown_stop_is_told_in_its_own_words(project):
    told = cause(project, "my.Error", "the moon is full\nand more", frames=[("src/model.py", 1, "f")])
    assert told.sentence == "Error: the moon is full"
    assert told.area == "model"


def test_a_declared_distribution_that_the_environment_lacks_is_no_fault_of_the_submission(project):
    told = cause(project, "ModuleNotFoundError", "No module named 'torch'")
    assert told.doubt == "torch is declared, and the environment of the rehearsal does not hold it"
    assert not cause(project, "ModuleNotFoundError", "No module named 'accelerate'").doubt
