"""Data sets and weights of torchvision, made where the library would download them.

The files have the real names, formats and numbers of samples, so that the library's own classes read them and
`random_split` finds the lengths that it was written for. Checksums hold for files that were made here. Weights are
those of a model that was just initialised: keys and shapes are real, values are not.
"""

# ruff: noqa: SIM905 - a list of words reads best as a text

from __future__ import annotations

import functools
import json
import os
import pickle
import sys
from collections.abc import Callable, Mapping
from random import Random
from types import ModuleType
from typing import Any

from . import events
from .hub import images

_NOISES = 509
"""Different patterns of noise in a set; prime, so that it shares no period with the classes."""
_POOL = 2
"""Picture files of a class that differ; the others are links to them."""
_UNLABELED = 1000
"""Pictures without a label of STL10, of 100,000: all of them are 2.7 gigabytes."""
_MNIST_FOLDERS = {"MNIST": 10, "FashionMNIST": 10, "KMNIST": 10}
# number of samples for training and for testing, and of classes:
# docs.pytorch.org/vision/0.24/generated/torchvision.datasets.EMNIST.html and the classes' own lists
_EMNIST = {
    "byclass": (697932, 116323, 62), "bymerge": (697932, 116323, 47), "balanced": (112800, 18800, 47),
    "letters": (124800, 20800, 26), "digits": (240000, 40000, 10), "mnist": (60000, 10000, 10),
}  # fmt: skip


def install(module: ModuleType) -> None:
    """Wrap what downloads, in torchvision and all its modules that were imported with it."""
    _wrap_downloads()
    _wrap_weights()


def _wrap_downloads() -> None:
    utils = sys.modules.get("torchvision.datasets.utils")
    if utils is None:
        return
    replaced: dict[Any, Any] = {}
    for name, wrap in (
        ("check_integrity", _checked),
        ("download_url", _downloaded),
        ("download_and_extract_archive", _downloaded),
    ):
        original = getattr(utils, name, None)
        if original is not None:
            replaced[original] = wrap(original)
    for name, module in list(sys.modules.items()):
        if not name.startswith("torchvision.datasets") or module is None:
            continue
        for attribute in ("check_integrity", "download_url", "download_and_extract_archive"):
            wrapped = replaced.get(getattr(module, attribute, None))
            if wrapped is not None:
                setattr(module, attribute, wrapped)


def _checked(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def check_integrity(fpath: Any, md5: Any = None, *args: Any, **keywords: Any) -> Any:
        if os.path.isfile(_marker(os.fspath(fpath))):
            return os.path.isfile(fpath)
        return original(fpath, md5, *args, **keywords)

    return check_integrity


def _marker(path: str) -> str:
    """The file that says that another was made here: a process that starts later must know it too."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(folder, "." + name + ".standin")


def _mark(path: str) -> None:
    with open(_marker(path), "wb"):
        pass


def _downloaded(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def download(url: Any, *args: Any, **keywords: Any) -> Any:
        made = _make(url, args, keywords)
        return None if made else original(url, *args, **keywords)

    return download


@events.guarded
def _make(url: Any, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> bool:
    name = os.path.basename(str(url).split("?")[0])
    root = next((keywords[key] for key in ("download_root", "root") if key in keywords), args[0] if args else None)
    if root is None:
        return False
    folder = os.path.expanduser(os.fspath(root))
    found = _maker_of(name, str(url), folder)
    if found is None:
        return False
    os.makedirs(folder, exist_ok=True)
    kind, make = found
    make()
    events.emit_once(
        ("torchvision", kind, name),
        "standin",
        repo="torchvision.datasets." + kind,
        type="dataset",
        basis="table",
        note=f"{name}: {os.path.basename(folder)} holds made samples",
    )
    return True


def _maker_of(name: str, url: str, folder: str) -> tuple[str, Callable[[], None]] | None:
    low = url.lower()
    if name.endswith("-ubyte.gz") and "idx" in name:
        kind = os.path.basename(os.path.dirname(folder.rstrip("/")))
        kind = kind if kind in _MNIST_FOLDERS else "FashionMNIST" if "fashion" in low else "MNIST"
        return kind, lambda: _mnist(kind, name[: -len(".gz")], folder)
    makers: dict[str, tuple[str, Callable[[str], None]]] = {
        "cifar-10-python.tar.gz": ("CIFAR10", _cifar10),
        "cifar-100-python.tar.gz": ("CIFAR100", _cifar100),
        "train_32x32.mat": ("SVHN", lambda root: _svhn(root, "train_32x32.mat", 73257)),
        "test_32x32.mat": ("SVHN", lambda root: _svhn(root, "test_32x32.mat", 26032)),
        # 531,131 samples are more than a gigabyte and a half
        "extra_32x32.mat": ("SVHN", lambda root: _svhn(root, "extra_32x32.mat", 20000)),
        "stl10_binary.tar.gz": ("STL10", _stl10),
        "102flowers.tgz": ("Flowers102", _flowers),
        "imagelabels.mat": ("Flowers102", lambda root: _flower_lists(root)),
        "setid.mat": ("Flowers102", lambda root: _flower_lists(root)),
        "annotations.tar.gz": ("OxfordIIITPet", lambda root: None),
        "food-101.tar.gz": ("Food101", _food),
        "EuroSAT.zip": ("EuroSAT", _eurosat),
    }
    if name == "images.tar.gz" and "pets" in low:
        return "OxfordIIITPet", lambda: _pets(folder)
    if name == "gzip.zip":
        return "EMNIST", lambda: _emnist(folder)
    if name not in makers or (name == "annotations.tar.gz" and "pets" not in low):
        return None
    kind, make = makers[name]
    return kind, lambda: make(folder)


def many(key: str, count: int, classes: int, height: int, width: int, gray: bool = False) -> tuple[Any, Any]:
    """Pictures and their labels.

    Args:
        key: What they are the same for.
        count: How many.
        classes: How many labels there are; they are spread evenly and come in no order.
        height: In pixels.
        width: In pixels.
        gray: Whether they have one channel.

    Returns:
        Bytes, count x height x width (x 3), and labels from 0.
    """
    import numpy as np

    random = np.random.default_rng(list(key.encode("utf-8")))
    labels = random.permutation(np.arange(count) % classes)
    shape = (height, width) if gray else (height, width, 3)
    patterns = np.stack([images.pixels(label, Random(label), height, width, gray) for label in range(classes)])
    # halved, the sum of a pattern and its noise stays a byte: adding bytes is what keeps this quick
    patterns = patterns // 2 + 32
    noise = random.integers(0, 64, (_NOISES, *shape), dtype=np.uint8)
    found = patterns[labels]
    for start in range(0, count, _NOISES):
        part = found[start : start + _NOISES]
        part += noise[: len(part)]
    return found, labels


def _idx(path: str, array: Any) -> None:
    """Write an array of bytes in the IDX format (yann.lecun.com/exdb/mnist)."""
    import struct

    with open(path, "wb") as file:
        file.write(struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape))
        file.write(array.astype("u1").tobytes())
    _mark(path)


def _mnist(kind: str, name: str, folder: str) -> None:
    part = "train" if name.startswith("train") else "test"
    pictures, labels = many(kind + part, 60000 if part == "train" else 10000, 10, 28, 28, gray=True)
    _idx(os.path.join(folder, name), pictures if "images" in name else labels)


def _emnist(folder: str) -> None:
    os.makedirs(os.path.join(folder, "gzip"), exist_ok=True)
    for split, (training, testing, classes) in _EMNIST.items():
        # the two largest would take a gigabyte; what has more samples than the others gets as many as they have
        for part, count in (("train", min(training, 240000)), ("test", min(testing, 40000))):
            pictures, labels = many("EMNIST" + split + part, min(count, 60000), classes, 28, 28, gray=True)
            prefix = os.path.join(folder, f"emnist-{split}-{part}")
            _idx(prefix + "-images-idx3-ubyte", pictures)
            _idx(prefix + "-labels-idx1-ubyte", labels + (1 if split == "letters" else 0))


def _pickled(path: str, value: Any) -> None:
    with open(path, "wb") as file:
        pickle.dump(value, file, protocol=4)
    _mark(path)


def _planes(pictures: Any) -> Any:
    """Pictures as rows of red, then green, then blue: the layout of CIFAR."""
    return pictures.transpose(0, 3, 1, 2).reshape(len(pictures), -1)


def _cifar10(root: str) -> None:
    folder = os.path.join(root, "cifar-10-batches-py")
    os.makedirs(folder, exist_ok=True)
    for name in [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]:
        pictures, labels = many("CIFAR10" + name, 10000, 10, 32, 32)
        value = {"batch_label": name, "labels": labels.tolist(), "data": _planes(pictures), "filenames": []}
        _pickled(os.path.join(folder, name), value)
    names = "airplane automobile bird cat deer dog frog horse ship truck".split()
    _pickled(
        os.path.join(folder, "batches.meta"), {"num_cases_per_batch": 10000, "label_names": names, "num_vis": 3072}
    )


def _cifar100(root: str) -> None:
    folder = os.path.join(root, "cifar-100-python")
    os.makedirs(folder, exist_ok=True)
    for name, count in (("train", 50000), ("test", 10000)):
        pictures, labels = many("CIFAR100" + name, count, 100, 32, 32)
        coarse = (labels % 20).tolist()
        value = {"fine_labels": labels.tolist(), "coarse_labels": coarse, "data": _planes(pictures), "filenames": []}
        _pickled(os.path.join(folder, name), value)
    fine, coarse_names = [f"class_{number}" for number in range(100)], [f"group_{number}" for number in range(20)]
    _pickled(os.path.join(folder, "meta"), {"fine_label_names": fine, "coarse_label_names": coarse_names})


def _svhn(root: str, name: str, count: int) -> None:
    from scipy.io import savemat  # type: ignore[import-untyped,import-not-found,unused-ignore]

    pictures, labels = many("SVHN" + name, count, 10, 32, 32)
    # the digit 0 has the label 10 in the files
    numbers = labels.astype("u1")
    numbers[numbers == 0] = 10
    savemat(os.path.join(root, name), {"X": pictures.transpose(1, 2, 3, 0), "y": numbers[:, None]})
    _mark(os.path.join(root, name))


def _stl10(root: str) -> None:
    folder = os.path.join(root, "stl10_binary")
    os.makedirs(folder, exist_ok=True)
    for name, count in (("train", 5000), ("test", 8000), ("unlabeled", _UNLABELED)):
        pictures, labels = many("STL10" + name, count, 10, 96, 96)
        # columns before rows
        pictures.transpose(0, 3, 2, 1).tofile(os.path.join(folder, name + "_X.bin"))
        _mark(os.path.join(folder, name + "_X.bin"))
        if name != "unlabeled":
            (labels + 1).astype("u1").tofile(os.path.join(folder, name + "_y.bin"))
            _mark(os.path.join(folder, name + "_y.bin"))
    with open(os.path.join(folder, "class_names.txt"), "w", encoding="utf-8") as file:
        file.write("\n".join("airplane bird car cat deer dog horse monkey ship truck".split()) + "\n")
    with open(os.path.join(folder, "fold_indices.txt"), "w", encoding="utf-8") as file:
        for fold in range(10):
            file.write(" ".join(str((fold * 400 + index) % 5000) for index in range(1000)) + "\n")


def _pictures(paths: list[tuple[str, int]], height: int, width: int) -> None:
    """Write picture files with their labels: a few of each class, and links to these."""
    first: dict[tuple[int, int], str] = {}
    for index, (path, label) in enumerate(paths):
        key = (label, index % _POOL)
        if key in first:
            if not os.path.exists(path):
                os.link(first[key], path)
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(images.png(images.pixels(label, Random(index), height, width)))
        first[key] = path


def _flower_labels() -> list[int]:
    return [number % 102 + 1 for number in range(8189)]


def _flowers(root: str) -> None:
    os.makedirs(os.path.join(root, "jpg"), exist_ok=True)
    labels = _flower_labels()
    _pictures(
        [(os.path.join(root, "jpg", f"image_{at:05d}.jpg"), label) for at, label in enumerate(labels, 1)], 500, 667
    )


def _flower_lists(root: str) -> None:
    import numpy as np
    from scipy.io import savemat  # type: ignore[import-untyped,import-not-found,unused-ignore]

    ids = np.arange(1, 8190)
    savemat(os.path.join(root, "imagelabels.mat"), {"labels": np.array(_flower_labels())[None, :]})
    parts = {"trnid": ids[None, :1020], "valid": ids[None, 1020:2040], "tstid": ids[None, 2040:]}
    savemat(os.path.join(root, "setid.mat"), parts)
    for name in ("imagelabels.mat", "setid.mat"):
        _mark(os.path.join(root, name))


def _pets(root: str) -> None:
    pictures, masks = os.path.join(root, "images"), os.path.join(root, "annotations", "trimaps")
    for folder in (pictures, masks):
        os.makedirs(folder, exist_ok=True)
    import numpy as np

    mask = os.path.join(masks, ".mask.png")
    with open(mask, "wb") as file:
        file.write(images.png(np.tile(np.array([1, 2, 3], dtype=np.uint8), (375, 167))[:, :500]))
    paths: list[tuple[str, int]] = []
    for part, count in (("trainval", 3680), ("test", 3669)):
        lines = []
        for index in range(count):
            label = index % 37
            # breeds of cats begin with a capital letter in the real lists
            name = f"{'Breed' if label < 12 else 'breed'}_{label:02d}_{part}{index}"
            paths.append((os.path.join(pictures, name + ".jpg"), label))
            lines.append(f"{name} {label + 1} {1 if label < 12 else 2} 1\n")
            if not os.path.exists(os.path.join(masks, name + ".png")):
                os.link(mask, os.path.join(masks, name + ".png"))
        with open(os.path.join(root, "annotations", part + ".txt"), "w", encoding="utf-8") as file:
            file.writelines(lines)
    _pictures(paths, 375, 500)


def _food(root: str) -> None:
    folder = os.path.join(root, "food-101")
    os.makedirs(os.path.join(folder, "meta"), exist_ok=True)
    paths: list[tuple[str, int]] = []
    for part, count, start in (("train", 750, 0), ("test", 250, 750)):
        listed = {
            f"dish_{label:03d}": [f"dish_{label:03d}/{start + index}" for index in range(count)] for label in range(101)
        }
        with open(os.path.join(folder, "meta", part + ".json"), "w", encoding="utf-8") as file:
            json.dump(listed, file)
        for label, names in enumerate(listed.values()):
            os.makedirs(os.path.join(folder, "images", f"dish_{label:03d}"), exist_ok=True)
            paths += [(os.path.join(folder, "images", name + ".jpg"), label) for name in names]
    _pictures(paths, 512, 512)


def _eurosat(root: str) -> None:
    names = (
        "AnnualCrop Forest HerbaceousVegetation Highway Industrial Pasture PermanentCrop Residential River SeaLake"
    ).split()
    paths = []
    counts = (3000, 3000, 3000, 2500, 2500, 2000, 2500, 3000, 2500, 3000)
    # Python 3.9 knows no `strict`
    for label, (name, count) in enumerate(zip(names, counts)):  # noqa: B905
        os.makedirs(os.path.join(root, "2750", name), exist_ok=True)
        paths += [(os.path.join(root, "2750", name, f"{name}_{index}.jpg"), label) for index in range(1, count + 1)]
    _pictures(paths, 64, 64)


def _wrap_weights() -> None:
    interface = sys.modules.get("torchvision.models._api")
    weights = getattr(interface, "WeightsEnum", None)
    if weights is None:
        return
    original = weights.get_state_dict

    @functools.wraps(original)
    def get_state_dict(self: Any, *args: Any, **keywords: Any) -> Any:
        found = _initial_weights(self)
        return original(self, *args, **keywords) if found is None else found

    weights.get_state_dict = get_state_dict
    hub = sys.modules.get("torch.hub")
    if hub is not None:
        wrap_hub(hub)


def wrap_hub(hub: ModuleType) -> None:
    """Make `torch.hub.load_state_dict_from_url` and `torch.hub.load` answer what torchvision knows."""
    from_url, load = hub.load_state_dict_from_url, hub.load
    if hasattr(from_url, "_assay_wrapped"):
        return

    @functools.wraps(from_url)
    def load_state_dict_from_url(url: str, *args: Any, **keywords: Any) -> Any:
        found = _weights_of_url(url)
        return from_url(url, *args, **keywords) if found is None else found

    @functools.wraps(load)
    def load_repository(repo_or_dir: Any, model: Any, *args: Any, **keywords: Any) -> Any:
        builder = _builder_of(repo_or_dir, model)
        if builder is None:
            return load(repo_or_dir, model, *args, **keywords)
        for name in ("source", "trust_repo", "force_reload", "verbose", "skip_validation"):
            keywords.pop(name, None)
        return builder(*args, **keywords)

    load_state_dict_from_url._assay_wrapped = True  # type: ignore[attr-defined]
    hub.load_state_dict_from_url = load_state_dict_from_url  # type: ignore[attr-defined]
    hub.load = load_repository  # type: ignore[attr-defined]


@events.guarded
def _builder_of(repository: Any, model: Any) -> Any:
    if not isinstance(repository, str) or not repository.startswith("pytorch/vision") or not isinstance(model, str):
        return None
    import torchvision  # type: ignore[import-not-found,import-untyped,unused-ignore]

    return getattr(torchvision.models, model, None)


@events.guarded
def _weights_of_url(url: str) -> Any:
    interface = sys.modules.get("torchvision.models._api")
    if interface is None:
        return None
    for builder in getattr(interface, "BUILTIN_MODELS", {}).values():
        for weight in interface._get_enum_from_fn(builder):
            if weight.url == url:
                return _initial_weights(weight)
    return None


@events.guarded
def _initial_weights(weight: Any) -> Any:
    """The state of a model just initialised, with the keys and shapes that these weights have; None if unknown."""
    import inspect

    import torch

    interface = sys.modules["torchvision.models._api"]
    builder = next(
        (
            found
            for found in interface.BUILTIN_MODELS.values()
            if type(weight) is _enum_of(interface, found) and "quantize" not in inspect.signature(found).parameters
        ),
        None,
    )
    if builder is None:
        return None
    arguments: dict[str, Any] = {"weights": None}
    if "weights_backbone" in inspect.signature(builder).parameters:
        arguments["weights_backbone"] = None
    if weight.meta.get("categories"):
        arguments["num_classes"] = len(weight.meta["categories"])
    # the submission's own random numbers stay what they were
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = builder(**arguments).state_dict()
    events.emit_once(
        ("weights", str(weight)),
        "standin",
        repo="torchvision.models." + str(weight),
        type="model",
        basis="table",
        note="weights as the model is initialised",
    )
    return state


def _enum_of(interface: Any, builder: Any) -> Any:
    try:
        return interface._get_enum_from_fn(builder)
    except (ValueError, RuntimeError):
        return None
