"""What NLTK, spaCy and scikit-learn would fetch: made where they would download it, and only where a program asks.

A program that reads such data without fetching it first fails here as it would elsewhere.
"""

# ruff: noqa: SIM905 - a list of words reads best as a text

from __future__ import annotations

import functools
import os
import pickle
import sys
import zipfile
from collections.abc import Callable
from random import Random
from types import ModuleType
from typing import Any

from . import events


def install(module: ModuleType) -> None:
    """Wrap what downloads in `nltk`, `spacy`, `sklearn.datasets` or `torch.hub`, whichever was imported."""
    name = module.__name__
    if name == "nltk":
        _wrap_nltk(module)
    elif name == "spacy":
        _wrap_spacy(module)
    elif name == "sklearn.datasets":
        _wrap_sklearn(module)
    elif name == "torch.hub":
        from .torchvision_data import wrap_hub

        wrap_hub(module)


def _tell(repo: str, note: str, basis: str = "table") -> None:
    events.emit_once(("download", repo), "standin", repo=repo, type="dataset", basis=basis, note=note)


# NLTK: github.com/nltk/nltk_data keeps each of its parts at <kind>/<name>

_STOPWORDS = (
    "i me my we our you your he him his she her it its they them their what which who this that these those am is are "
    "was were be been being have has had do does did a an the and but if or because as until while of at by for with "
    "about against between into through during before after above below to from up down in out on off over under again "
    "then once here there when where why how all any both each few more most other some such no nor not only own same "
    "so than too very can will just should now"
).split()
_ABBREVIATIONS = ("dr", "mr", "mrs", "ms", "prof", "e.g", "i.e", "etc", "vs", "inc", "st")


def _wrap_nltk(module: ModuleType) -> None:
    original = module.download

    @functools.wraps(original)
    def download(info_or_id: Any = None, download_dir: Any = None, *args: Any, **keywords: Any) -> Any:
        names = [info_or_id] if isinstance(info_or_id, str) else info_or_id
        if not isinstance(names, (list, tuple)) or not names:
            return original(info_or_id, download_dir, *args, **keywords)
        # what is not known goes the real way, which ends at the missing network
        unknown = [name for name in names if not _made_nltk(name, download_dir)]
        return all(bool(original(name, download_dir, *args, **keywords)) for name in unknown)

    module.download = download  # type: ignore[attr-defined]
    downloader = sys.modules.get("nltk.downloader")
    if downloader is not None:
        downloader.download = download  # type: ignore[attr-defined]


@events.guarded
def _made_nltk(name: Any, download_dir: Any) -> bool:
    files = _nltk_files(name) if isinstance(name, str) else None
    if files is None:
        return False
    root = os.path.expanduser(os.fspath(download_dir)) if download_dir else os.path.expanduser("~/nltk_data")
    for path, content in files.items():
        place = os.path.join(root, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if isinstance(content, dict):
            with zipfile.ZipFile(place, "w") as archive:
                for inner, text in content.items():
                    archive.writestr(inner, text)
            continue
        with open(place, "wb") as file:
            file.write(content)
    _tell("nltk:" + name, "a few entries of the real one")
    return True


def _nltk_files(name: str) -> dict[str, Any] | None:
    """The files of a part of NLTK's data: bytes, or the members of an archive."""
    lines = "\n".join
    if name == "stopwords":
        return {"corpora/stopwords/english": lines(_STOPWORDS).encode(), "corpora/stopwords/README": b"made\n"}
    if name == "punkt_tab":
        folder = "tokenizers/punkt_tab/english/"
        return {
            folder + "abbrev_types.txt": lines(_ABBREVIATIONS).encode(),
            folder + "collocations.tab": b"##number##\tcentury",
            folder + "ortho_context.tab": b"the\t46",
            folder + "sent_starters.txt": b"however",
        }
    if name == "punkt":
        tokenizer = sys.modules["nltk"].tokenize.punkt.PunktSentenceTokenizer()
        tokenizer._params.abbrev_types.update(_ABBREVIATIONS)
        content = pickle.dumps(tokenizer, protocol=4)
        return {"tokenizers/punkt/english.pickle": content, "tokenizers/punkt/PY3/english.pickle": content}
    if name == "wordnet":
        names = [f"{kind}.{part}" for kind in ("index", "data") for part in ("noun", "verb", "adj", "adv")]
        names += [f"{part}.exc" for part in ("noun", "verb", "adj", "adv")]
        names += ["index.sense", "cntlist.rev", "lexnames"]
        return {"corpora/wordnet/" + file: b"" for file in names}
    if name in ("omw-1.4", "omw"):
        return {f"corpora/{name}/citation.bib": b""}
    if name == "averaged_perceptron_tagger_eng":
        folder = "taggers/averaged_perceptron_tagger_eng/averaged_perceptron_tagger_eng."
        tags = b'{"the": "DT", "a": "DT", "and": "CC", "in": "IN"}'
        return {folder + "weights.json": b"{}", folder + "tagdict.json": tags, folder + "classes.json": b'["NN", "VB"]'}
    if name == "averaged_perceptron_tagger":
        content = pickle.dumps(({}, {"the": "DT", "a": "DT", "and": "CC", "in": "IN"}, {"NN", "VB"}), protocol=2)
        return {"taggers/averaged_perceptron_tagger/averaged_perceptron_tagger.pickle": content}
    if name == "vader_lexicon":
        words = {"good": 1.9, "great": 3.1, "wonderful": 2.7, "bad": -2.5, "awful": -2.0, "terrible": -2.1}
        text = lines(f"{word}\t{value}\t0.5\t[]" for word, value in words.items())
        return {"sentiment/vader_lexicon.zip": {"vader_lexicon/vader_lexicon.txt": text}}
    if name == "words":
        return {"corpora/words/en": lines(_STOPWORDS).encode(), "corpora/words/README": b"made\n"}
    return None


# spaCy


def _wrap_spacy(module: ModuleType) -> None:
    load = module.load

    @functools.wraps(load)
    def loaded(name: Any, *args: Any, **keywords: Any) -> Any:
        if isinstance(name, str) and os.path.isfile(_spacy_marker(name)):
            return _pipeline(module, name)
        return load(name, *args, **keywords)

    module.load = loaded  # type: ignore[attr-defined]
    for place in ("spacy.cli.download", "spacy.cli"):
        found = sys.modules.get(place)
        original = getattr(found, "download", None)
        if found is not None and callable(original):
            found.download = _fetched(original)  # type: ignore[attr-defined]


def _spacy_marker(name: str) -> str:
    """The file that says that this pipeline was asked for: `python -m spacy download` is a process of its own."""
    return os.path.join(os.path.expanduser("~"), ".spacy-standins", name.replace(os.sep, "_"))


def _fetched(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def download(model: Any, *args: Any, **keywords: Any) -> Any:
        # names of spaCy's own pipelines: language, kind, genre, size (spacy.io/models)
        if not isinstance(model, str) or len(model.split("_")) != 4:
            return original(model, *args, **keywords)
        os.makedirs(os.path.dirname(_spacy_marker(model)), exist_ok=True)
        with open(_spacy_marker(model), "wb"):
            pass
        return None

    return download


def _pipeline(module: ModuleType, name: str) -> Any:
    found = module.blank(name.partition("_")[0])
    found.add_pipe("sentencizer")
    found.meta["name"] = name.partition("_")[2]
    _tell("spacy:" + name, "a blank pipeline: no tags, no entities, no vectors")
    return found


# scikit-learn: shapes and names of sklearn.org/stable/datasets/real_world.html


def _wrap_sklearn(module: ModuleType) -> None:
    for name, make in (
        ("fetch_openml", _openml),
        ("fetch_20newsgroups", _newsgroups),
        ("fetch_california_housing", _housing),
        ("fetch_covtype", _covtype),
        ("fetch_olivetti_faces", _faces),
    ):
        original = getattr(module, name, None)
        if original is not None:
            setattr(module, name, _answered(original, make, module))


def _answered(original: Callable[..., Any], make: Callable[..., Any], module: ModuleType) -> Callable[..., Any]:
    import inspect

    @functools.wraps(original)
    def fetch(*args: Any, **keywords: Any) -> Any:
        try:
            bound = inspect.signature(original).bind(*args, **keywords)
        except TypeError:
            return original(*args, **keywords)
        bound.apply_defaults()
        given = bound.arguments
        found = make(given)
        if found is None or not given.get("download_if_missing", True):
            return original(*args, **keywords)
        _tell("sklearn:" + original.__name__, "made samples of the real number and shape")
        data, target, more = found
        frame = given.get("as_frame", False)
        if frame is True or frame == "auto":
            import pandas as pd  # type: ignore[import-untyped,import-not-found,unused-ignore]

            names = more.get("feature_names") or [f"pixel{number + 1}" for number in range(data.shape[1])]
            data = pd.DataFrame(data, columns=names)
            target = pd.Series(target, name=more.get("target_name", "target"))
            if target.dtype == object or str(target.dtype).startswith(("str", "<U")):
                target = target.astype("category")
        if given.get("return_X_y"):
            return data, target
        more.pop("target_name", None)
        return module.__dict__["load_iris"]().__class__(data=data, target=target, DESCR="made", **more)

    return fetch


def _openml(given: dict[str, Any]) -> Any:
    import numpy as np

    name = str(
        given.get("name") or {554: "mnist_784", 40996: "fashion-mnist"}.get(given.get("data_id") or 0, "")
    ).lower()
    if name not in ("mnist_784", "fashion-mnist"):
        return None
    from .torchvision_data import many

    pictures, labels = many(name, 70000, 10, 28, 28, gray=True)
    names = [f"pixel{number}" for number in range(1, 785)]
    target = np.array([str(label) for label in labels], dtype=object)
    return pictures.reshape(70000, -1).astype("int64"), target, {"feature_names": names, "target_name": "class"}


_GROUPS = (
    "alt.atheism comp.graphics comp.os.ms-windows.misc comp.sys.ibm.pc.hardware comp.sys.mac.hardware comp.windows.x "
    "misc.forsale rec.autos rec.motorcycles rec.sport.baseball rec.sport.hockey sci.crypt sci.electronics sci.med "
    "sci.space soc.religion.christian talk.politics.guns talk.politics.mideast talk.politics.misc talk.religion.misc"
).split()


def _newsgroups(given: dict[str, Any]) -> Any:
    import numpy as np

    from .hub.rows import Story

    chosen = sorted(given.get("categories") or _GROUPS)
    if not set(chosen) <= set(_GROUPS):
        return None
    count = {"train": 11314, "test": 7532}.get(str(given.get("subset", "train")), 18846) * len(chosen) // len(_GROUPS)
    random = Random(str(given.get("subset")))
    texts, labels = [], []
    for index in range(count):
        story = Story(random, index, "", chosen, False)
        # the real set has messages of which nothing is left once headers and quotes are removed
        texts.append("" if given.get("remove") and index % 40 == 3 else story.text(1, 6))
        labels.append(story.label)
    return (
        texts,
        np.array(labels),
        {"target_names": chosen, "filenames": np.array([str(index) for index in range(count)])},
    )


def _housing(given: dict[str, Any]) -> Any:
    import numpy as np

    names = ["MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup", "Latitude", "Longitude"]
    random = np.random.default_rng(0)
    low = np.array([0.5, 1, 1, 0.5, 3, 1, 32.5, -124.3])
    high = np.array([15, 52, 12, 3, 6000, 6, 42, -114.3])
    data = low + (high - low) * random.random((20640, 8))
    target = np.clip(0.4 * data[:, 0] + 0.01 * data[:, 1] + random.normal(0, 0.3, 20640), 0.15, 5.0)
    return (
        data,
        target,
        {"feature_names": names, "target_names": ["MedHouseVal"], "frame": None, "target_name": "MedHouseVal"},
    )


def _covtype(given: dict[str, Any]) -> Any:
    import numpy as np

    random = np.random.default_rng(0)
    target = random.integers(1, 8, 581012).astype("int32")
    data = np.zeros((581012, 54))
    data[:, :10] = random.normal(0, 50, (581012, 10)) + 200 * target[:, None]
    data[np.arange(581012), 10 + random.integers(0, 4, 581012)] = 1
    data[np.arange(581012), 14 + random.integers(0, 40, 581012)] = 1
    return (
        data,
        target,
        {"feature_names": [f"feature_{number}" for number in range(54)], "target_names": ["Cover_Type"]},
    )


def _faces(given: dict[str, Any]) -> Any:
    from .torchvision_data import many

    pictures, labels = many("olivetti", 400, 40, 64, 64, gray=True)
    scaled = (pictures / 255).astype("float32")
    return scaled.reshape(400, -1), labels, {"images": scaled}
