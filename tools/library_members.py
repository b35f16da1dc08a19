"""Make the tables of what libraries hold, by release: `members_*.tsv`, `keywords.tsv` and `releases.tsv`.

    python tools/library_members.py --host ADDRESS [--only DISTRIBUTION ...] [--keep FOLDER]

Takes wheels of several releases of each library with pip, unpacks their text, and reads it (`static_namespace.py`);
nothing of a library is imported. It needs Python 3.12 or newer, pip and packaging. ADDRESS is a package index that
serves `/simple`, and `/pypi/NAME/json` with upload times.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.version import InvalidVersion, Version
from static_namespace import Library, Names

TABLES = Path(__file__).parent.parent / "src/assay/analysis/libraries"
AS_OF = "2026-11-01"
SINCE = "2021-06-01"
LINE = 3_000
# Newest first: a wheel is taken for the first of these that it was built for.
PYTHONS = ("3.12", "3.11", "3.10", "3.9", "3.8")
PLATFORMS = (
    "manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64",
    "manylinux_2_12_x86_64", "manylinux2010_x86_64", "any",
)  # fmt: skip
SMALLER = ("macosx_14_0_arm64", "macosx_11_0_arm64", "macosx_11_1_arm64", "macosx_12_0_arm64")


@dataclass(frozen=True)
class Source:
    """What is read of a library.

    Args:
        distribution: Its name.
        modules: Modules whose names are told; `name.*` stands for all public packages below `name`.
        classes: Classes whose members are told, by the name under which people reach them; where they are written
            under another, `name=place`.
        calls: Functions and classes whose keyword arguments are told, likewise.
        releases: The releases to read besides the newest; empty for the first release of each minor version.
        understood: See `Library`.
        refused: See `Library`.
        also: Names of compiled parts that no text tells, as importing the newest release showed.
        dropped: First release, end, and names that its text holds there only to refuse them.
        opened: Modules that make names by computing them.
    """

    distribution: str
    modules: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    understood: tuple[str, ...] = ()
    refused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    also: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, tuple[tuple[str, str, str], ...]] = field(default_factory=dict)
    opened: tuple[str, ...] = ()


SUGGEST = tuple(
    f"optuna.trial.Trial.{name}"
    for name in (
        "suggest_float", "suggest_int", "suggest_categorical", "suggest_uniform", "suggest_loguniform",
        "suggest_discrete_uniform", "report", "should_prune", "set_user_attr",
    )
)  # fmt: skip
OPTIMIZERS = ("Adam", "AdamW", "SGD", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "LBFGS")
SCHEDULERS = (
    "LambdaLR", "MultiplicativeLR", "StepLR", "MultiStepLR", "ConstantLR", "LinearLR", "ExponentialLR", "PolynomialLR",
    "CosineAnnealingLR", "CyclicLR", "OneCycleLR", "ReduceLROnPlateau", "CosineAnnealingWarmRestarts", "SequentialLR",
)  # fmt: skip
LAYERS = (
    "Linear", "Conv1d", "Conv2d", "BatchNorm1d", "BatchNorm2d", "LayerNorm", "GroupNorm", "Dropout", "Embedding",
    "MultiheadAttention", "TransformerEncoderLayer", "TransformerDecoderLayer", "CrossEntropyLoss", "MSELoss",
    "BCELoss",
    "BCEWithLogitsLoss", "NLLLoss", "KLDivLoss", "SmoothL1Loss", "HuberLoss", "MaxPool2d", "AvgPool2d",
    "AdaptiveAvgPool2d", "GELU", "ReLU", "LeakyReLU", "Softmax", "LSTM", "GRU",
)  # fmt: skip
SKLEARN_CALLS = (
    "metrics.mean_squared_error", "metrics.mean_squared_log_error", "metrics.accuracy_score", "metrics.f1_score",
    "metrics.precision_score", "metrics.recall_score", "metrics.roc_auc_score", "metrics.confusion_matrix",
    "metrics.classification_report", "metrics.log_loss", "metrics.r2_score", "metrics.mean_absolute_error",
    "metrics.root_mean_squared_error", "metrics.matthews_corrcoef", "metrics.brier_score_loss",
    "preprocessing.OneHotEncoder", "preprocessing.StandardScaler", "preprocessing.LabelEncoder",
    "preprocessing.OrdinalEncoder", "model_selection.train_test_split", "model_selection.StratifiedKFold",
    "model_selection.KFold", "model_selection.cross_val_score", "linear_model.LogisticRegression",
    "linear_model.LinearRegression", "linear_model.Ridge", "ensemble.RandomForestClassifier",
    "ensemble.GradientBoostingClassifier", "ensemble.AdaBoostClassifier", "ensemble.BaggingClassifier",
    "cluster.KMeans", "cluster.AgglomerativeClustering", "manifold.TSNE", "decomposition.PCA", "svm.SVC",
    "neighbors.KNeighborsClassifier", "calibration.CalibratedClassifierCV", "calibration.calibration_curve",
    "datasets.make_classification", "datasets.make_blobs", "datasets.make_moons", "datasets.load_boston",
    "datasets.fetch_openml", "datasets.load_digits", "datasets.load_iris", "datasets.load_breast_cancer",
    "feature_extraction.text.TfidfVectorizer", "feature_extraction.text.CountVectorizer",
)  # fmt: skip

COMPILED_TORCH = (
    "AVG SUM ArgumentSpec Capsule Code CompleteArgumentSpec DeepCopyMemoTable ExcludeDispatchKeyGuard ExecutionPlan "
    "FatalError Gradient OperatorInfo PyObjectType ScriptClass ScriptClassFunction ScriptDictIterator "
    "ScriptDictKeyIterator ScriptListIterator ScriptObjectProperty StaticModule bit cpp get_autocast_ipu_dtype "
    "get_autocast_xla_dtype int1 int2 int3 int4 int5 int6 int7 is_autocast_ipu_enabled is_autocast_xla_enabled "
    "set_autocast_ipu_dtype set_autocast_ipu_enabled set_autocast_xla_dtype set_autocast_xla_enabled uint1 uint2 uint3 "
    "uint4 uint5 uint6 uint7 "
    # what plug-ins for other devices add
    "npu mlu hpu musa gcu sdaa xla neuron tpu"
)
# Names under which torch takes the arguments of its functions besides its own, for the sake of numpy
# (torch/csrc/utils/python_arg_parser.cpp: numpy_compatibility_arg_names).
NUMPY_NAMES = ("axis", "keepdims", "x", "a", "x1", "x2")

# The first release of each minor version that was not withdrawn.
TRANSFORMERS = (
    "4.21.0", "4.22.0", "4.23.0", "4.24.0", "4.25.1", "4.26.0", "4.27.0", "4.28.0", "4.29.0", "4.30.0",
    "4.31.0", "4.32.0", "4.33.0", "4.34.0", "4.35.0", "4.36.0", "4.37.0", "4.38.0", "4.39.0", "4.40.0",
    "4.41.0", "4.42.0", "4.43.0", "4.44.0", "4.45.0", "4.46.1", "4.47.0", "4.48.0", "4.49.0", "4.50.0",
    "4.51.0", "4.52.1", "4.53.0", "4.54.0", "4.55.0", "4.56.0", "4.57.1", "5.0.0", "5.1.0", "5.2.0",
    "5.3.0", "5.4.0", "5.5.0", "5.6.0", "5.7.0", "5.8.0", "5.9.0", "5.10.1", "5.11.0", "5.12.0",
    "5.13.0", "5.14.0", "5.15.0", "5.16.0", "5.17.0", "5.18.0", "5.19.0", "5.20.0", "5.21.0",
)  # fmt: skip

SOURCES = (
    Source(
        "omegaconf",
        ("omegaconf", "omegaconf.errors"),
        ("omegaconf.OmegaConf",),
        tuple(
            f"omegaconf.OmegaConf.{name}"
            for name in (
                "create",
                "load",
                "save",
                "merge",
                "to_container",
                "to_yaml",
                "select",
                "update",
                "resolve",
                "set_struct",
                "register_new_resolver",
                "is_missing",
            )
        ),
    ),
    Source(
        "hydra-core",
        (
            "hydra",
            "hydra.utils",
            "hydra.core",
            "hydra.core.hydra_config",
            "hydra.core.config_store",
            "hydra.core.global_hydra",
        ),
        (
            "hydra.core.hydra_config.HydraConfig",
            "hydra.core.config_store.ConfigStore",
            "hydra.core.global_hydra.GlobalHydra",
        ),
        ("hydra.main", "hydra.initialize", "hydra.compose", "hydra.initialize_config_dir"),
    ),
    Source(
        "optuna",
        (
            "optuna",
            "optuna.samplers",
            "optuna.pruners",
            "optuna.trial",
            "optuna.study",
            "optuna.distributions",
            "optuna.exceptions",
            "optuna.logging",
            "optuna.storages",
            "optuna.importance",
            "optuna.visualization",
        ),
        ("optuna.study.Study", "optuna.trial.Trial", "optuna.trial.FixedTrial", "optuna.trial.FrozenTrial"),
        (
            "optuna.create_study=optuna.study.create_study",
            "optuna.load_study=optuna.study.load_study",
            "optuna.study.Study.optimize",
            *SUGGEST,
            "optuna.samplers.TPESampler",
            "optuna.samplers.RandomSampler",
            "optuna.samplers.CmaEsSampler",
            "optuna.pruners.MedianPruner",
            "optuna.pruners.SuccessiveHalvingPruner",
            "optuna.pruners.HyperbandPruner",
        ),
    ),
    Source(
        "wandb",
        ("wandb", "wandb.apis.public"),
        ("wandb.Api=wandb.apis.public.Api", "wandb.apis.public.Run", "wandb.sdk.wandb_run.Run"),
        (
            "wandb.init=wandb.sdk.wandb_init.init",
            "wandb.log=wandb.sdk.wandb_run.Run.log",
            "wandb.finish=wandb.sdk.wandb_run.finish",
            "wandb.login=wandb.sdk.wandb_login.login",
            "wandb.sdk.wandb_run.Run.log",
            "wandb.sdk.wandb_run.Run.finish",
            "wandb.apis.public.Run.history",
            "wandb.apis.public.Run.scan_history",
            "wandb.apis.public.Api.run",
            "wandb.apis.public.Api.runs",
            "wandb.apis.public.Api",
        ),
        releases=(
            "0.13.0",
            "0.15.0",
            "0.16.0",
            "0.17.0",
            "0.18.0",
            "0.19.0",
            "0.20.0",
            "0.21.0",
            "0.22.0",
            "0.23.0",
            "0.24.0",
            "0.25.0",
            "0.27.0",
            "0.29.0",
        ),
        understood=("wandb",),
        # `wandb.require` adds names while it runs
        also={"wandb": "wandb_lib attach detach teardown START_TIME", "wandb.sdk.wandb_run.Run": "detach"},
    ),
    Source(
        "scikit-learn",
        ("sklearn.*",),
        calls=tuple(f"sklearn.{name}" for name in SKLEARN_CALLS),
        understood=("sklearn", "sklearn.datasets", "sklearn.impute", "sklearn.model_selection", "sklearn.utils"),
        refused={"sklearn.datasets": ("load_boston",)},
    ),
    Source(
        "scipy",
        (
            "scipy",
            "scipy.stats",
            "scipy.integrate",
            "scipy.special",
            "scipy.signal",
            "scipy.spatial.distance",
            "scipy.misc",
            "scipy.linalg",
            "scipy.optimize",
            "scipy.interpolate",
            "scipy.ndimage",
            "scipy.sparse",
        ),
        calls=(
            "scipy.integrate.simpson",
            "scipy.integrate.trapezoid",
            "scipy.stats.binomtest",
            "scipy.stats.bootstrap",
        ),
        understood=("scipy",),
        opened=("scipy.special", "scipy.signal"),
    ),
    Source(
        "numpy",
        ("numpy", "numpy.random", "numpy.linalg", "numpy.fft"),
        understood=("numpy",),
        # numpy/__init__.py: `__former_attrs__`
        dropped={
            "numpy": (
                ("1.24.0", "", "object float complex str int unicode"),
                ("1.24.0", "2.0.0", "bool long"),
                ("2.0.0", "", "float_ complex_ string_ unicode_"),
            )
        },
    ),
    Source(
        "pandas",
        ("pandas", "pandas.api.types", "pandas.errors"),
        ("pandas.DataFrame", "pandas.Series"),
        (
            "pandas.read_csv",
            "pandas.read_json",
            "pandas.concat",
            "pandas.merge",
            "pandas.DataFrame",
            "pandas.Series",
            "pandas.DataFrame.to_csv",
            "pandas.DataFrame.to_json",
            "pandas.date_range",
            "pandas.cut",
        ),
    ),
    Source(
        "torch",
        (
            "torch",
            "torch.nn",
            "torch.nn.functional",
            "torch.nn.utils",
            "torch.nn.init",
            "torch.optim",
            "torch.optim.lr_scheduler",
            "torch.utils.data",
            "torch.cuda",
            "torch.cuda.amp",
            "torch.amp",
            "torch.autograd",
            "torch.autograd.functional",
            "torch.func",
            "torch.linalg",
            "torch.distributions",
        ),
        ("torch.nn.Module", "torch.utils.data.Dataset", "torch.utils.data.IterableDataset", "torch.optim.Optimizer"),
        calls=(
            *(f"torch.optim.{name}" for name in OPTIMIZERS),
            *(f"torch.optim.lr_scheduler.{name}" for name in SCHEDULERS),
            *(f"torch.nn.{name}" for name in LAYERS),
            *(
                f"torch.nn.functional.{name}"
                for name in (
                    "cross_entropy",
                    "mse_loss",
                    "kl_div",
                    "softmax",
                    "log_softmax",
                    "gumbel_softmax",
                    "binary_cross_entropy",
                    "binary_cross_entropy_with_logits",
                    "nll_loss",
                    "dropout",
                    "normalize",
                    "interpolate",
                    "l1_loss",
                    "smooth_l1_loss",
                    "layer_norm",
                    "cosine_similarity",
                )
            ),
            *(
                f"torch.{name}=torch._C._VariableFunctions.{name}"
                for name in (
                    "tensor",
                    "zeros",
                    "ones",
                    "rand",
                    "randn",
                    "arange",
                    "full",
                    "empty",
                    "eye",
                    "randint",
                    "linspace",
                    "zeros_like",
                    "ones_like",
                    "randn_like",
                    "rand_like",
                    "full_like",
                    "randperm",
                    "multinomial",
                    "cat",
                    "stack",
                )
            ),
            *(
                f"torch.{name}"
                for name in (
                    "load=torch.serialization.load",
                    "save=torch.serialization.save",
                    "compile",
                    "manual_seed=torch.random.manual_seed",
                    "autocast=torch.amp.autocast_mode.autocast",
                )
            ),
            "torch.amp.GradScaler=torch.amp.grad_scaler.GradScaler",
            "torch.cuda.amp.GradScaler=torch.cuda.amp.grad_scaler.GradScaler",
            "torch.cuda.amp.autocast=torch.cuda.amp.autocast_mode.autocast",
            "torch.utils.data.DataLoader",
            "torch.utils.data.TensorDataset",
            "torch.utils.data.random_split",
            "torch.utils.data.Subset",
            "torch.autograd.grad",
            "torch.autograd.backward",
            "torch.nn.utils.clip_grad_norm_",
        ),
        releases=("1.13.0", *(f"2.{minor}.0" for minor in range(15))),
        understood=("torch", "torch.func", "torch.distributions"),
        also={"torch": COMPILED_TORCH},
    ),
    Source(
        "torchvision",
        (
            "torchvision",
            "torchvision.models",
            "torchvision.transforms",
            "torchvision.datasets",
            "torchvision.transforms.functional",
            "torchvision.transforms.v2",
            "torchvision.utils",
        ),
        calls=tuple(
            f"torchvision.datasets.{name}"
            for name in ("CIFAR10", "CIFAR100", "MNIST", "FashionMNIST", "SVHN", "STL10", "ImageFolder", "ImageNet")
        ),
        releases=("0.13.0", "0.15.1", "0.18.0", "0.21.0", "0.24.0"),
        understood=("torchvision.datasets",),
    ),
    Source(
        "datasets",
        ("datasets",),
        ("datasets.Dataset", "datasets.DatasetDict"),
        (
            "datasets.load_dataset",
            "datasets.load_metric",
            "datasets.load_from_disk",
            "datasets.Dataset.map",
            "datasets.Dataset.filter",
            "datasets.Dataset.train_test_split",
            "datasets.Dataset.shuffle",
            "datasets.Dataset.select",
            "datasets.DatasetDict.map",
            "datasets.concatenate_datasets",
        ),
    ),
    Source(
        "transformers",
        ("transformers",),
        (),
        (
            "transformers.TrainingArguments=transformers.training_args.TrainingArguments",
            "transformers.Seq2SeqTrainingArguments=transformers.training_args_seq2seq.Seq2SeqTrainingArguments",
            "transformers.Trainer=transformers.trainer.Trainer",
            "transformers.Seq2SeqTrainer=transformers.trainer_seq2seq.Seq2SeqTrainer",
            "transformers.DataCollatorWithPadding=transformers.data.data_collator.DataCollatorWithPadding",
            "transformers.DataCollatorForLanguageModeling=transformers.data.data_collator.DataCollatorForLanguageModeling",
            "transformers.DataCollatorForSeq2Seq=transformers.data.data_collator.DataCollatorForSeq2Seq",
            "transformers.EarlyStoppingCallback=transformers.trainer_callback.EarlyStoppingCallback",
            "transformers.get_linear_schedule_with_warmup=transformers.optimization.get_linear_schedule_with_warmup",
            "transformers.get_cosine_schedule_with_warmup=transformers.optimization.get_cosine_schedule_with_warmup",
            "transformers.get_scheduler=transformers.optimization.get_scheduler",
            "transformers.set_seed=transformers.trainer_utils.set_seed",
        ),
        releases=TRANSFORMERS,
        understood=("transformers",),
    ),
    Source(
        "peft",
        ("peft",),
        (),
        (
            "peft.LoraConfig",
            "peft.get_peft_model",
            "peft.PrefixTuningConfig",
            "peft.PromptTuningConfig",
            "peft.IA3Config",
            "peft.AdaLoraConfig",
            "peft.prepare_model_for_kbit_training",
        ),
        releases=("0.3.0", "0.4.0", "0.6.0", "0.7.0", "0.9.0", "0.11.0", "0.13.0", "0.14.0", "0.15.0", "0.17.0"),
    ),
    Source("evaluate", ("evaluate",), (), ("evaluate.load",)),
    Source(
        "accelerate",
        ("accelerate", "accelerate.utils"),
        ("accelerate.Accelerator",),
        ("accelerate.Accelerator", "accelerate.utils.set_seed"),
        releases=("0.18.0", "0.21.0", "0.24.0", "0.27.0", "0.30.0", "0.34.0", "1.0.0", "1.3.0", "1.7.0", "1.10.0"),
    ),
    Source(
        "matplotlib",
        ("matplotlib", "matplotlib.pyplot"),
        releases=("3.5.0", "3.6.0", "3.7.0", "3.8.0", "3.9.0", "3.10.0"),
        understood=("matplotlib",),
    ),
    Source("seaborn", ("seaborn",), (), ("seaborn.heatmap", "seaborn.histplot")),
    Source("statsmodels", ("statsmodels.stats.multitest",), (), ("statsmodels.stats.multitest.multipletests",)),
    Source("sacrebleu", ("sacrebleu",), (), ("sacrebleu.corpus_bleu", "sacrebleu.sentence_bleu")),
)


def main() -> None:
    """Read the libraries and write their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", required=True, help="address of a package index")
    parser.add_argument("--only", nargs="*", default=[], help="distributions to read; the others keep their tables")
    parser.add_argument("--keep", type=Path, default=Path("/tmp/library_members"), help="folder for unpacked wheels")
    options = parser.parse_args()
    for source in SOURCES:
        if options.only and source.distribution not in options.only:
            continue
        published = releases(options.host, source.distribution)
        chosen = [
            one
            for one in chosen_releases(source, published)
            if unpack(source, one, f"{options.host}/simple", options.keep)
        ]
        members, keywords = read(source, chosen, options.keep)
        write_members(source.distribution, chosen, members)
        update("keywords", source.distribution, keyword_lines(source.distribution, chosen, keywords))
        lines = [
            f"{source.distribution}\t{one}\t{day}\t{python}\t{'yes' if one in chosen else ''}"
            for one, (day, python) in published.items()
        ]
        update("releases", source.distribution, lines)
        print(source.distribution, " ".join(chosen), sum(map(len, members.values())), file=sys.stderr)


def releases(host: str, distribution: str) -> dict[str, tuple[str, str]]:
    """Final releases, oldest first: the day each was published, and the oldest minor version of Python 3 it admits."""
    with urllib.request.urlopen(f"{host}/pypi/{distribution}/json", timeout=60) as answer:
        page = json.load(answer)
    found: dict[Version, tuple[str, str]] = {}
    for text, files in page["releases"].items():
        try:
            version = Version(text)
        except InvalidVersion:
            continue
        kept = [file for file in files if not file.get("yanked")]
        if kept and not version.is_prerelease and not version.local:
            needed = re.search(r">=?\s*3\.(\d+)", kept[0].get("requires_python") or "")
            day = min(file["upload_time"][:10] for file in kept)
            found[version] = day, needed.group(1) if needed else ""
    return {str(one): found[one] for one in sorted(found) if SINCE <= found[one][0] < AS_OF}


def chosen_releases(source: Source, published: Iterable[str]) -> list[str]:
    """The releases to read: those that are named, else the first of each minor version, and always the newest."""
    if source.releases:
        chosen = {Version(one) for one in source.releases}
    else:
        first: dict[tuple[int, ...], Version] = {}
        for text in published:
            first.setdefault(Version(text).release[:2], Version(text))
        chosen = set(first.values())
    newest = max(map(Version, published))
    return [text for text in published if Version(text) in chosen | {newest}]


def unpack(source: Source, release: str, index: str, keep: Path) -> bool:
    """Fetch a wheel with pip and keep its text; False where there is none."""
    folder = keep / f"{source.distribution}-{release}"
    if folder.is_dir():
        return True
    wheels = keep / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    platforms = SMALLER if source.distribution.startswith("torch") else PLATFORMS
    for python in PYTHONS:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--isolated"]
        command += ["--index-url", index, "--python-version", python, "--dest", str(wheels)]
        command += [part for platform in platforms for part in ("--platform", platform)]
        if subprocess.run([*command, f"{source.distribution}=={release}"], capture_output=True).returncode == 0:
            break
    found = list(wheels.glob("*.whl"))
    if not found:
        print(f"no wheel of {source.distribution} {release}", file=sys.stderr)
        return False
    with zipfile.ZipFile(found[0]) as archive:
        # compiled modules are kept as empty files: that they exist is all that is asked of them
        for name in archive.namelist():
            if name.endswith((".py", ".pyi")) and "/tests/" not in name:
                archive.extract(name, folder)
            elif name.endswith(".so"):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).touch()
    shutil.rmtree(wheels)
    return True


Seen = dict[tuple[str, str], dict[str, list[str]]]


def read(source: Source, chosen: list[str], keep: Path) -> tuple[Seen, Seen]:
    """Members by kind and owner, and keyword arguments by call: each name with the releases that have it."""
    members: Seen = {}
    keywords: Seen = {}
    for release in chosen:
        library = Library(keep / f"{source.distribution}-{release}", source.understood, source.refused)
        modules = [
            name
            for one in source.modules
            for name in (library.packages(one[:-2]) if one.endswith(".*") else [one])
            if library.has(name)
        ]
        for module in modules:
            _note(members, ("module", module), _module_names(library, module, source, Version(release)), release)
        for one in source.classes:
            name, _, place = one.partition("=")
            module, _, owner = (place or name).rpartition(".")
            if (found := library.members(module, owner)) is not None:
                found.found.update(dict.fromkeys(source.also.get(name, "").split()))
                _note(members, ("class", name), found, release)
        for one in source.calls:
            name, _, place = one.partition("=")
            found = _parameters(library, place or name)
            if found is not None and "_VariableFunctions" in place:
                found.found.update(dict.fromkeys(NUMPY_NAMES))
            if found is not None:
                _note(keywords, ("call", name), found, release)
    return members, keywords


def _module_names(library: Library, module: str, source: Source, release: Version) -> Names:
    names = library.names(module)
    if module in source.opened:
        names.open = "it computes names"
    for name in source.also.get(module, "").split():
        names.found.setdefault(name, None)
    if module == "torch":
        for stub in ("torch._C", "torch._C._VariableFunctions"):
            for name in library.names(stub).found:
                names.found.setdefault(name, None)
    for first, end, dropped in source.dropped.get(module, ()):
        if Version(first) <= release and (not end or release < Version(end)):
            for name in dropped.split():
                names.found.pop(name, None)
    return names


def _parameters(library: Library, place: str) -> Names | None:
    """Keyword arguments of `module.call` or `module.Class.method`."""
    module, _, name = place.rpartition(".")
    if not library.has(module):
        module, _, owner = module.rpartition(".")
        name = f"{owner}.{name}"
    return library.parameters(module, name)


def _note(seen: Seen, owner: tuple[str, str], names: Names, release: str) -> None:
    public = {name for name in names.found if not name.startswith("_") and name.isascii()}
    for name in public | ({"*"} if names.open else set()):
        seen.setdefault(owner, {}).setdefault(name, []).append(release)


def spans(held: list[str], chosen: list[str]) -> list[tuple[str, str]]:
    """The stretches of releases that have a name: the first release of each (empty for the oldest), and the first
    release after it (empty where none is)."""
    found: list[tuple[str, str]] = []
    for place, release in enumerate(chosen):
        before = place > 0 and chosen[place - 1] in held
        if release in held and not before:
            end = next((one for one in chosen[place:] if one not in held), "")
            found.append((release if place else "", end))
    return found


def grouped(names: dict[str, list[str]], chosen: list[str]) -> dict[tuple[str, str], list[str]]:
    """The names by their stretch of releases."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name in sorted(names):
        for span in spans(names[name], chosen):
            groups.setdefault(span, []).append(name)
    return groups


def write_members(distribution: str, chosen: list[str], members: Seen) -> None:
    """Write the table of one distribution's modules and classes."""
    lines = [
        f"# Public names of modules and classes of {distribution}, read from its wheels: {' '.join(chosen)}.",
        "# `since`: the first of these releases that has the names, empty where the oldest has.",
        "# `gone`: the first later one that has not.",
        "# `*` among the names: there may be others. Made by tools/library_members.py.",
        "kind\towner\tsince\tgone\tnames",
    ]
    for kind, owner in sorted(members):
        for (since, gone), names in sorted(grouped(members[kind, owner], chosen).items()):
            lines += (f"{kind}\t{owner}\t{since}\t{gone}\t{part}" for part in _wrapped(names))
    (TABLES / f"members_{distribution}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def keyword_lines(distribution: str, chosen: list[str], keywords: Seen) -> list[str]:
    """The lines of one distribution in the table of keyword arguments."""
    return [
        f"{distribution}\t{call}\t{since}\t{gone}\t{' '.join(names)}"
        for _, call in sorted(keywords)
        for (since, gone), names in sorted(grouped(keywords["call", call], chosen).items())
    ]


def _wrapped(names: list[str]) -> Iterable[str]:
    """Names joined by spaces, in lines of a bounded length."""
    line: list[str] = []
    for name in names:
        if line and sum(map(len, line)) + len(line) + len(name) > LINE:
            yield " ".join(line)
            line = []
        line.append(name)
    yield " ".join(line)


HEADERS = {
    "keywords": [
        "# Keyword arguments that a call takes, read from the wheels named in releases.tsv (`looked` is yes).",
        "# `since`, `gone` as in members_*.tsv; `*`: it takes others too. Made by tools/library_members.py.",
        "distribution\tcall\tsince\tgone\tnames",
    ],
    "releases": [
        "# Final releases and the day each was published, as each project's release page has it; as of 2026-11-01.",
        "# `python`: the oldest minor version of Python 3 that it admits. `looked`: whether its wheel was read.",
        "# Made by tools/library_members.py.",
        "distribution\tversion\tdate\tpython\tlooked",
    ],
}


def update(table: str, distribution: str, lines: list[str]) -> None:
    """Replace the lines of one distribution in a table."""
    place = TABLES / f"{table}.tsv"
    held = place.read_text(encoding="utf-8").splitlines() if place.is_file() else []
    rows = [line for line in held if not line.startswith(("#", "distribution\t"))]
    kept = [line for line in rows if line.partition("\t")[0] != distribution]
    blocks: dict[str, list[str]] = {}
    for line in [*kept, *lines]:
        blocks.setdefault(line.partition("\t")[0], []).append(line)
    body = [line for name in sorted(blocks) for line in blocks[name]]
    place.write_text("\n".join([*HEADERS[table], *body]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
