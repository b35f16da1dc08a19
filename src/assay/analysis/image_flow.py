"""Which datasets give their images to a transform of torchvision that needs three channels, with nothing that converts.

A value is followed through names, own functions and own dataset classes. Whatever is not understood on the way ends it:
then nothing is said.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import NamedTuple

from assay.analysis.called import Called, read_call
from assay.analysis.certain_calls import certain_calls
from assay.analysis.dataset_knowledge import LOADER, Request, is_caught, reach_of, read_request, requests
from assay.analysis.fact_table import read_table
from assay.analysis.name_origins import How, origins_of, own_calls
from assay.analysis.own_callables import OwnCallables, OwnClass
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, descend, keyword, string_value
from assay.analysis.run_settings import common_length
from assay.analysis.value_sources import Source, ValueSources, filled_by

_TRANSFORMS = "torchvision.transforms."
_COMPOSE = frozenset({f"{_TRANSFORMS}Compose", f"{_TRANSFORMS}v2.Compose"})
# Only this one: torchvision.transforms.v2.Normalize makes three channels of one.
# https://github.com/pytorch/vision/blob/v0.24.1/torchvision/transforms/_functional_tensor.py (`tensor.sub_(mean)`)
# https://github.com/pytorch/vision/blob/v0.24.1/torchvision/transforms/v2/functional/_misc.py (`image.sub(mean)`)
_NORMALIZE = f"{_TRANSFORMS}Normalize"
# Transforms that leave an image as many channels as it has: https://docs.pytorch.org/vision/0.24/transforms.html
_KEEPS_CHANNELS = frozenset(
    {
        "Resize", "RandomResizedCrop", "RandomCrop", "CenterCrop", "RandomHorizontalFlip", "RandomVerticalFlip", "Pad",
        "RandomRotation", "RandomAffine", "RandomPerspective", "ColorJitter", "GaussianBlur", "RandomErasing",
        "RandomAutocontrast", "RandomEqualize", "RandomInvert", "RandomPosterize", "RandomSolarize", "ElasticTransform",
        "RandomAdjustSharpness", "RandAugment", "TrivialAugmentWide", "AutoAugment", "AugMix", "RandomGrayscale",
        "ToTensor", "PILToTensor", "ConvertImageDtype", "ToImage", "ToDtype",
    }
)  # fmt: skip
_THREE_VALUES = frozenset(
    f"timm.data.{module}{name}"
    for module in ("", "constants.")
    for name in ("IMAGENET_DEFAULT_MEAN", "IMAGENET_INCEPTION_MEAN", "OPENAI_CLIP_MEAN")
)
# Methods of a dataset that keep its images, and those of them that take a part of its rows:
# https://huggingface.co/docs/datasets/v4.4.0/package_reference/main_classes
_SAME_IMAGES = frozenset(
    {
        "shuffle", "sort", "flatten_indices", "rename_column", "rename_columns", "remove_columns", "select_columns",
        "class_encode_column", "select", "filter", "take", "skip", "shard", "train_test_split",
    }
)  # fmt: skip
_PARTS = frozenset({"select", "filter", "take", "skip", "shard", "train_test_split"})
_APPLIES = frozenset({"map", "set_transform", "with_transform"})
_CHANGES_IMAGES = frozenset({"map", "cast_column", "cast", "with_transform", "with_format"})
_NO_DATASETS = frozenset({"self", "cfg", "config", "conf", "args", "torch", "p", "param", "parameter", "tensor"})
_PART_CLASSES = ("Subset", "random_split", "SubsetRandomSampler", "islice")
# what code that looks at the channels of an image has in it
_CONVERTS = frozenset({"convert", "mode", "getbands"})
_MAX_STARTS = 80
_MAX_COMPOSES = 400
_MAX_FOLLOWED = 40
_MAX_USES = 20


class Images(NamedTuple):
    """A dataset whose images reach a transform.

    Args:
        name: The dataset.
        modes: Its modes as in the table; `any` where nothing is known.
        called: The call that loads it.
        source: Where the modes are known from.
        part: Whether they may be only some of those that it is known for: a part of its rows, another split.
    """

    name: str
    modes: str
    called: Called
    source: str
    part: bool


class Application(NamedTuple):
    """A place where images are given to a transform that needs three channels.

    Args:
        file: Its file.
        place: The call of the transform, or the call that gives it to a dataset of torchvision.
        site: The file and the call that bring dataset and transform together.
        images: The datasets that may come there.
        normalize: The file and the call that needs three channels.
        sure: Whether it certainly gets three values there, whatever is configured.
        own: Whether the code itself hands the image over.
    """

    file: PythonFile
    place: ast.Call
    site: tuple[PythonFile, ast.Call]
    images: tuple[Images, ...]
    normalize: tuple[PythonFile, ast.Call]
    sure: bool
    own: bool


class _Pipeline(NamedTuple):
    file: PythonFile
    normalize: ast.Call
    sure: bool


class _Use(NamedTuple):
    """A call in a class or function that gives an image to something.

    Args:
        call: The call.
        rows: What the image is taken from: `self.data`; None for the rows of `map`.
        pair: Whether it is the first of the pair that a dataset of torchvision gives.
    """

    call: ast.Call
    rows: ast.expr | None
    pair: bool


def image_applications(project: Project) -> list[Application]:
    """The places where datasets give their images to a transform that needs three channels."""
    return list(_Finder(project).applications())


class _Finder:
    def __init__(self, project: Project) -> None:
        self._project = project
        self._files = [file for file in project.python.values() if file.tree is not None]
        self._values = project.shared(ValueSources)
        self._owners = project.shared(OwnCallables)
        self._calls = own_calls(project)
        self._asked: dict[ast.AST, list[Request]] = {}
        self._uses: dict[ast.AST, list[_Use]] = {}
        self._composes = 0

    def applications(self) -> Iterator[Application]:
        if not any("Normalize" in file.text for file in self._files):
            return
        for request in requests(self._project):
            if isinstance(request.called.place, ast.Call):
                self._asked.setdefault(request.called.place, []).append(request)
        starts = 0
        for file in self._files:
            for call, called in file.calls:
                found = list(self._started(file, call, called))
                starts += bool(found)
                yield from found
                if starts > _MAX_STARTS:
                    return

    def _started(self, file: PythonFile, call: ast.Call, called: str) -> Iterator[Application]:
        if called.startswith("torchvision.datasets."):
            images = self._torchvision(Source(file, call), False)
            transform = _transform_of(call, called.rpartition(".")[2])
            if images and transform is not None:
                pipeline = self._pipeline(Source(file, transform))
                if pipeline is not None:
                    yield _application(file, call, (file, call), images, pipeline, False)
            return
        if isinstance(call.func, ast.Attribute) and call.func.attr in _APPLIES:
            yield from self._mapped(file, call, call.func)
            return
        owner = self._owners.definition(file, call.func)
        if isinstance(owner, OwnClass):
            yield from self._wrapped(file, call, owner)

    def _wrapped(self, file: PythonFile, call: ast.Call, owner: OwnClass) -> Iterator[Application]:
        """A dataset of the submission's own class, made of another dataset and a transform."""
        if owner.node not in self._uses:
            self._uses[owner.node] = _uses_in_class(owner)
        uses = self._uses[owner.node]
        made = [item for item in owner.node.body if isinstance(item, FunctionNode) and item.name == "__init__"]
        if not uses or len(made) != 1 or (filled := filled_by(made[0], call, file)) is None:
            return
        env = {made[0]: filled}
        for use in uses:
            if use.rows is None:
                continue
            pipeline = self._pipeline(Source(owner.file, use.call.func, env=env))
            images = self._images(Source(owner.file, use.rows, env=env), use.pair) if pipeline else None
            if pipeline is not None and images:
                yield _application(owner.file, use.call, (file, call), images, pipeline, True)

    def _mapped(self, file: PythonFile, call: ast.Call, method: ast.Attribute) -> Iterator[Application]:
        """A function that a dataset applies to its rows."""
        given = call.args[0] if call.args else keyword(call, "function") or keyword(call, "transform")
        where: PythonFile
        function: FunctionNode | ast.Lambda
        if isinstance(given, ast.Lambda):
            where, function = file, given
        elif isinstance(given, ast.Name) and (own := self._calls.named(file, given)) is not None:
            where, function = own
        else:
            return
        if function not in self._uses:
            self._uses[function] = _uses_in_function(where, function)
        for use in self._uses[function]:
            pipeline = self._pipeline(Source(where, use.call.func))
            if pipeline is None:
                continue
            images = self._images(Source(file, method.value), False, call)
            if images:
                yield _application(where, use.call, (file, call), images, pipeline, True)

    # datasets

    def _images(self, source: Source, pair: bool, start: ast.Call | None = None) -> list[Images] | None:
        """The datasets that an expression may hold; None where it may hold anything else."""
        # `set_transform` changes what a wrapper of the dataset gets
        if not pair and (self._changes_in_place or (start is None and self._says("set_transform"))):
            return None
        found: list[Images] = []
        pending = [(source, False)]
        for _ in range(_MAX_FOLLOWED):
            if not pending:
                return found
            one, part = pending.pop()
            for leaf in self._values.of(one):
                call = leaf.node
                if call is start:
                    continue
                if isinstance(call, ast.Subscript):
                    # some split or some rows
                    pending.append((leaf.other(call.value, ()), True))
                    continue
                if not isinstance(call, ast.Call):
                    return None
                called = leaf.file.qualified(call.func)
                if called == LOADER and not pair:
                    loaded = self._loaded(leaf, call, part)
                elif called.startswith("torchvision.datasets.") and pair:
                    # with a transform of its own it may give anything
                    plain = _transform_of(call, called.rpartition(".")[2]) is None
                    loaded = self._torchvision(leaf, part) if plain and keyword(call, "transforms") is None else []
                else:
                    below = _below(leaf, call, called, pair)
                    if below is None:
                        return None
                    pending.append((below[0], part or below[1]))
                    continue
                if not loaded:
                    return None
                found += [item for item in loaded if item not in found]
        return None

    def _says(self, text: str) -> bool:
        return any(text in file.text for file in self._files)

    @cached_property
    def _changes_in_place(self) -> bool:
        """Whether something is put into a dict of splits, or a dataset gets another format."""
        for file in self._files:
            for node in file.nodes_of(ast.Subscript):
                parent = file.parents.get(node)
                value = parent.value if isinstance(parent, ast.Assign) and node in parent.targets else None
                method = value.func if isinstance(value, ast.Call) else None
                if isinstance(method, ast.Attribute) and method.attr in _CHANGES_IMAGES:
                    return True
        return self._says("set_format")

    def _loaded(self, leaf: Source, call: ast.Call, part: bool) -> list[Images]:
        if keyword(call, "features") is not None or any(item.arg is None for item in call.keywords):
            return []
        asked = self._asked.get(call)
        if asked is None:
            asked = self._named(leaf, call)
        found: list[Images] = []
        for request in sorted(asked, key=lambda one: not one.called.certain):
            if any(one.name == request.name for one in found):
                continue
            name = request.dataset.id if request.dataset is not None else request.name
            modes, source = _modes("hub", name)
            split = request.split if request.split is not None or not leaf.path else leaf.path[0]
            found.append(Images(request.name, modes, request.called, source, part or split not in (None, "train")))
        return found

    def _named(self, leaf: Source, call: ast.Call) -> list[Request]:
        """What a call asks for whose name stands in a variable; nothing where it may be anything else."""
        given = call.args[0] if call.args else keyword(call, "path")
        if given is None:
            return []
        plain = read_call(leaf.file, leaf.file.path, call, LOADER)
        certain = certain_calls(self._project).runs(leaf.file, call)
        keywords = {key: value for key, value in plain.keywords.items() if key != "path"}
        files = frozenset(self._project.submission.files)
        found: list[Request] = []
        for one in self._values.of(leaf.other(given, ())):
            name = string_value(one.node) if not one.path else None
            positional = (name, *plain.positional[1:])
            request = read_request(replace(plain, positional=positional, keywords=keywords, certain=certain), files)
            if request is None:
                return []
            found.append(request)
        # which of several names it is depends on what is not known here
        if len(found) > 1:
            found = [one._replace(called=replace(one.called, certain=False)) for one in found]
        return found

    def _torchvision(self, leaf: Source, part: bool) -> list[Images]:
        assert isinstance(leaf.node, ast.Call)  # for the type checker
        called = leaf.file.qualified(leaf.node.func)
        name = called.rpartition(".")[2]
        modes, source = _modes("torchvision", name)
        if not source:
            return []
        certain = certain_calls(self._project).runs(leaf.file, leaf.node)
        call = replace(read_call(leaf.file, leaf.file.path, leaf.node, called), certain=certain)
        return [Images(name, modes, call, source, part)]

    # transforms

    def _pipeline(self, source: Source) -> _Pipeline | None:
        """The transform that needs three channels, where everything that an expression may hold is one."""
        leaves = self._values.of(source)
        found: list[_Pipeline] = []
        for leaf in leaves[:_MAX_FOLLOWED]:
            one = self._composed(leaf)
            if one is None:
                return None
            found.append(one)
        if not found or len(leaves) > _MAX_FOLLOWED:
            return None
        return found[0]._replace(sure=all(item.sure for item in found))

    def _composed(self, leaf: Source) -> _Pipeline | None:
        call = leaf.node
        self._composes += 1
        if self._composes > _MAX_COMPOSES or not isinstance(call, ast.Call) or leaf.path:
            return None
        if _name_of(leaf.file, call.func) not in _COMPOSE:
            return None
        given = call.args[0] if call.args else keyword(call, "transforms")
        elements = self._elements(leaf.other(given), 0) if given is not None else None
        found: _Pipeline | None = None
        for element, always in elements or ():
            options = self._values.of(element)
            for option in options:
                name = _name_of(option.file, option.node.func) if isinstance(option.node, ast.Call) else ""
                last = name.rpartition(".")[2]
                if name == _NORMALIZE and isinstance(option.node, ast.Call):
                    values = self._channels(option, option.node)
                    if values is None:
                        return None
                    found = _Pipeline(option.file, option.node, values and always and len(options) == 1)
                elif name != "torch.nn.Identity" and not (name.startswith(_TRANSFORMS) and last in _KEEPS_CHANNELS):
                    return None
        return found

    def _elements(self, source: Source, depth: int) -> list[tuple[Source, bool]] | None:
        """The elements of a list, each with whether it is certainly there; None where there may be others."""
        node = source.node
        if depth > 6:
            return None
        if isinstance(node, ast.List | ast.Tuple):
            found: list[tuple[Source, bool]] = []
            for item in node.elts:
                more = (
                    self._elements(source.other(item.value), depth + 1)
                    if isinstance(item, ast.Starred)
                    else [(source.other(item), True)]
                )
                if more is None:
                    return None
                found += more
            return found
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = (self._elements(source.other(side), depth + 1) for side in (node.left, node.right))
            return None if left is None or right is None else [*left, *right]
        return self._grown(source, node, depth) if isinstance(node, ast.Name) else None

    def _grown(self, source: Source, name: ast.Name, depth: int) -> list[tuple[Source, bool]] | None:
        """The elements of a list that a function makes step by step."""
        file = source.file
        found: list[tuple[Source, bool]] = []
        function = file.function_of(name)
        added: list[tuple[ast.expr, bool, ast.AST]] = []
        origins, loads = origins_of(file).of(name), file.shared(_loads).get((function, name.id), ())
        if len(origins) + len(loads) > _MAX_FOLLOWED:
            return None
        for origin in origins:
            parent = file.parents.get(origin.node)
            if origin.how is How.VALUE and origin.expression is not None:
                added.append((origin.expression, True, origin.node))
            elif isinstance(parent, ast.AugAssign) and isinstance(parent.op, ast.Add):
                added.append((parent.value, True, parent))
            else:
                return None
        for load in loads:
            method = file.parents.get(load)
            call = file.parents.get(method) if method is not None else None
            if not isinstance(method, ast.Attribute):
                made = call if isinstance(method, ast.keyword) else method
                composed = isinstance(made, ast.Call) and _name_of(file, made.func) in _COMPOSE
                if composed or isinstance(method, ast.BinOp | ast.Starred):
                    continue
                return None
            if not isinstance(call, ast.Call) or call.func is not method or not call.args:
                return None
            if method.attr not in ("append", "extend", "insert"):
                return None
            added.append((call.args[-1], method.attr == "extend", call))
        for node, whole, place in added:
            branch = any(isinstance(up, ast.If | ast.For | ast.While | ast.Try) for up in file.ancestors(place))
            more = self._elements(source.other(node), depth + 1) if whole else [(source.other(node), True)]
            if more is None:
                return None
            found += [(one, always and not branch) for one, always in more]
        return found

    def _channels(self, source: Source, call: ast.Call) -> bool | None:
        """Whether Normalize certainly has three values, and None where it may have another number or nobody knows."""
        given = call.args[0] if call.args else keyword(call, "mean")
        if given is None:
            return None
        counts = [self._count(leaf) for leaf in self._values.of(source.other(given, ()))]
        if not any(count == 3 for count, _ in counts) or any(count not in (3, None) for count, _ in counts):
            return None
        return all(count == 3 and sure for count, sure in counts)

    def _count(self, leaf: Source) -> tuple[int | None, bool]:
        """How many values an expression has, where that is known, and whether nothing configures another number."""
        node = leaf.node
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            return (_count(leaf.other(node.args[1])) if len(node.args) == 2 else None), False
        keys = () if leaf.path else _keys(node)
        return (common_length(self._project, *keys) if len(keys) > 1 else _count(leaf)), True


def _application(
    file: PythonFile,
    place: ast.Call,
    site: tuple[PythonFile, ast.Call],
    images: list[Images],
    pipeline: _Pipeline,
    own: bool,
) -> Application:
    return Application(file, place, site, tuple(images), (pipeline.file, pipeline.normalize), pipeline.sure, own)


def is_certain(project: Project, application: Application, images: Images) -> bool:
    """Whether a program certainly loads a dataset and certainly brings it together with the transform."""
    file, site = application.site
    if reach_of(project, images.called) != "certain" or is_caught(file, site):
        return False
    if certain_calls(project).runs(file, site):
        return True
    # in the same branch as the call that loads it, and nothing leaves in between
    load, function = images.called.place, file.function_of(site)
    if not isinstance(load, ast.Call) or images.called.file != file.path or file.function_of(load) is not function:
        return False
    leaves = (node.lineno for node in file.nodes_of(ast.Return) if file.function_of(node) is function)
    return _branches(file, site) <= _branches(file, load) and not any(load.lineno < at < site.lineno for at in leaves)


def _branches(file: PythonFile, node: ast.AST) -> set[tuple[ast.AST, str]]:
    """The branches and loops around a node, each with the part of it that the node stands in."""
    found: set[tuple[ast.AST, str]] = set()
    child = node
    for up in file.ancestors(node):
        if isinstance(up, FunctionNode):
            break
        if isinstance(up, ast.If | ast.For | ast.While | ast.Try | ast.Match | ast.IfExp | ast.BoolOp | ast.Lambda):
            held = (name for name, value in ast.iter_fields(up) if value is child or _holds(value, child))
            found.add((up, next(held, "")))
        child = up
    return found


def _holds(value: object, child: ast.AST) -> bool:
    return isinstance(value, list) and any(item is child for item in value)


def _modes(library: str, name: str) -> tuple[str, str]:
    """The modes of a dataset's images and where they are known from."""
    for row in read_table("dataset_images"):
        if row["library"] == library and fnmatchcase(name.lower(), row["dataset"].lower()):
            return row["modes"], row["source"]
    return "any", ""


def _transform_of(call: ast.Call, name: str) -> ast.expr | None:
    given = keyword(call, "transform")
    row = next((row for row in read_table("torchvision_datasets") if row["class"] == name), None)
    if given is not None or row is None:
        return given
    arguments = row["arguments"].split()
    place = arguments.index("transform") if "transform" in arguments else len(call.args)
    if place >= len(call.args) or any(isinstance(item, ast.Starred) for item in call.args):
        return None
    return call.args[place]


def _below(leaf: Source, call: ast.Call, called: str, pair: bool) -> tuple[Source, bool] | None:
    """The dataset that a call takes its images from, and whether it takes only a part of them."""
    if not pair and isinstance(call.func, ast.Attribute) and call.func.attr in _SAME_IMAGES:
        method = call.func.attr
        path = leaf.path[1:] if method == "train_test_split" else leaf.path
        return leaf.other(call.func.value, path), method in _PARTS
    if called in ("torch.utils.data.Subset", "torch.utils.data.random_split") and call.args:
        path = leaf.path[1:] if called.endswith("random_split") else leaf.path
        return leaf.other(call.args[0], path), True
    return None


def _name_of(file: PythonFile, node: ast.expr) -> str:
    """The dotted name of what is called; empty where imports give its first part several meanings."""
    name = file.qualified(node)
    while isinstance(node, ast.Attribute):
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    meanings = {item.target for item in file.imports if item.bound == node.id}
    return name.replace("transforms.transforms.", "transforms.") if len(meanings) == 1 else ""


def _count(leaf: Source) -> int | None:
    """How many values an expression has; None where that is open."""
    node = leaf.node
    if leaf.path:
        return None
    if leaf.file.qualified(node) in _THREE_VALUES:
        return 3
    times = 1
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        number = node.right
        if not isinstance(number, ast.Constant) or not isinstance(number.value, int):
            return None
        node, times = node.left, number.value
    if isinstance(node, ast.List | ast.Tuple) and not any(isinstance(item, ast.Starred) for item in node.elts):
        return len(node.elts) * times
    return None


def _keys(node: ast.expr) -> tuple[str, ...]:
    """The keys of `cfg.dataset.mean` and `cfg["dataset"]["mean"]`."""
    keys: list[str] = []
    while isinstance(node, ast.Attribute | ast.Subscript):
        key = node.attr if isinstance(node, ast.Attribute) else string_value(node.slice)
        if key is None:
            return ()
        keys.append(key)
        node = node.value
    return tuple(reversed(keys)) if isinstance(node, ast.Name) else ()


def _uses_in_class(owner: OwnClass) -> list[_Use]:
    """The calls of `self.transform` in `__getitem__` that get an image as the rows hold it."""
    getter = [item for item in owner.node.body if isinstance(item, FunctionNode) and item.name == "__getitem__"]
    if len(getter) != 1 or _looks_at_channels(owner.node):
        return []
    found: list[_Use] = []
    for call in descend(getter[0]):
        if len(found) >= _MAX_USES:
            break
        if not isinstance(call, ast.Call) or len(call.args) != 1 or call.keywords or not _is_own(call.func):
            continue
        use = _image_in_class(owner.file, call)
        if use is not None:
            found.append(use)
    return found


def _image_in_class(file: PythonFile, call: ast.Call) -> _Use | None:
    image = call.args[0]
    column = _row_of_column(file, image)
    if column is not None:
        return _Use(call, column, False)
    if not isinstance(image, ast.Name):
        return None
    rows: list[tuple[ast.expr, bool]] = []
    for origin in origins_of(file).of(image):
        value = origin.expression
        if value is None or origin.how not in (How.VALUE, How.PART):
            return None
        if isinstance(value, ast.Call) and origin.how is How.VALUE and _is_same_attribute(value.func, call.func):
            # the result under the name of the image
            if len(value.args) == 1 and isinstance(value.args[0], ast.Name) and value.args[0].id == image.id:
                continue
            return None
        if origin.how is How.PART:
            held = _row(file, value) if origin.path == (0,) else None
            pair = True
        else:
            held, pair = _row_of_column(file, value), False
        if held is None:
            return None
        rows.append((held, pair))
    if not rows or any(not _is_same_attribute(one, rows[0][0]) or pair != rows[0][1] for one, pair in rows):
        return None
    return _Use(call, *rows[0])


def _row_of_column(file: PythonFile, node: ast.expr) -> ast.expr | None:
    """`self.data` of `self.data[i]["image"]`, `self.data["image"][i]` and of a row under a name."""
    if not isinstance(node, ast.Subscript) or not isinstance(node.ctx, ast.Load):
        return None
    if string_value(node.slice) is not None or _is_own(node.slice):
        return _row(file, node.value)
    inner = node.value
    if isinstance(inner, ast.Subscript) and string_value(inner.slice) is not None and _is_own(inner.value):
        return inner.value
    return None


def _row(file: PythonFile, node: ast.expr) -> ast.expr | None:
    """`self.data` of `self.data[i]`, or of the name that it was put under."""
    if isinstance(node, ast.Name):
        origins = origins_of(file).of(node)
        if len(origins) != 1 or origins[0].how is not How.VALUE or origins[0].expression is None:
            return None
        function = file.function_of(node)
        loads = file.shared(_loads).get((function, node.id), ())
        if len(loads) > _MAX_FOLLOWED:
            return None
        for other in loads:
            use = file.parents.get(other)
            if not isinstance(use, ast.Subscript | ast.Compare | ast.Attribute) or not _reads(use):
                return None
        node = origins[0].expression
    if isinstance(node, ast.Subscript) and _is_own(node.value) and not isinstance(node.slice, ast.Constant | ast.Slice):
        return node.value
    return None


def _uses_in_function(file: PythonFile, function: FunctionNode | ast.Lambda) -> list[_Use]:
    """The calls in a function of rows that get an image as the rows hold it."""
    parameters = [*function.args.posonlyargs, *function.args.args]
    if not parameters or parameters[0].arg == "self" or _looks_at_channels(function):
        return []
    row = parameters[0].arg
    names = [node for node in descend(function) if isinstance(node, ast.Name) and node.id == row]
    if len(names) > _MAX_FOLLOWED or any(not isinstance(node.ctx, ast.Load) for node in names):
        return []
    found: list[_Use] = []
    for call in descend(function):
        if len(found) >= _MAX_USES:
            break
        if not isinstance(call, ast.Call) or len(call.args) != 1 or call.keywords:
            continue
        image = call.args[0]
        column: ast.expr | None = image
        if isinstance(image, ast.Name):
            origins = origins_of(file).of(image)
            origin = origins[0] if len(origins) == 1 else None
            if origin is None or origin.path or origin.how not in (How.VALUE, How.ELEMENT):
                continue
            column = origin.expression
        if column is not None and _is_column(column, row) and _keeps(file, names, call, column):
            found.append(_Use(call, None, False))
    return found


def _keeps(file: PythonFile, rows: list[ast.Name], call: ast.Call, column: ast.expr) -> bool:
    """Whether rows still hold the image that they came with where it is given to a call."""
    key = string_value(column.slice) if isinstance(column, ast.Subscript) else None
    for row in rows:
        parent = file.parents.get(row)
        if isinstance(parent, ast.Subscript):
            # what the call gives may take the place of the image
            if not isinstance(parent.ctx, ast.Load) and string_value(parent.slice) in (key, None):
                statement = file.parents.get(parent)
                if not isinstance(statement, ast.Assign) or statement not in file.ancestors(call):
                    return False
        elif isinstance(parent, ast.Attribute):
            if parent.attr not in ("get", "keys", "items"):
                return False
        elif not isinstance(parent, ast.Return | ast.Dict | ast.Compare):
            return False
    return True


def _is_column(node: ast.expr, row: str) -> bool:
    return (
        isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id == row
        and string_value(node.slice) is not None
    )


def _loads(file: PythonFile) -> dict[tuple[FunctionNode | None, str], list[ast.Name]]:
    """Where names are read, by the function and the name."""
    found: dict[tuple[FunctionNode | None, str], list[ast.Name]] = {}
    for node in file.nodes_of(ast.Name):
        if isinstance(node.ctx, ast.Load):
            found.setdefault((file.function_of(node), node.id), []).append(node)
    return found


def _reads(node: ast.Subscript | ast.Compare | ast.Attribute) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in ("get", "keys", "items")
    return isinstance(node, ast.Compare) or isinstance(node.ctx, ast.Load)


def _is_own(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"


def _is_same_attribute(node: ast.expr, other: ast.expr) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and isinstance(other, ast.Attribute)
        and _is_own(node)
        and _is_own(other)
        and node.attr == other.attr
    )


def _looks_at_channels(tree: ast.AST) -> bool:
    """Whether code may convert an image, or ask for its mode."""
    for node in descend(tree):
        if isinstance(node, ast.Attribute) and node.attr in _CONVERTS:
            return True
        if isinstance(node, ast.Name) and node.id in _CONVERTS:
            return True
        if isinstance(node, ast.Constant) and node.value in ("RGB", "L"):
            return True
    return False


def goes_around_transform(project: Project) -> bool:
    """Whether a program sets the transform of a dataset anew, or takes the stored images of one from it."""
    for file in project.python.values():
        for node in file.nodes_of(ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id in _NO_DATASETS:
                continue
            if node.attr in ("transform", "transforms") and not isinstance(node.ctx, ast.Load):
                return True
            if node.attr == "transforms" and isinstance(node.value, ast.Name) and not _is_imported(file, node.value):
                return True
            if node.attr in ("data", "train_data", "test_data") and file.qualified(node.value) != "torch.utils":
                return True
    return False


def _is_imported(file: PythonFile, name: ast.Name) -> bool:
    return any(item.bound == name.id for item in file.imports)


def takes_parts(project: Project) -> bool:
    """Whether a program draws rows of datasets that are made already."""
    return any(
        called.rpartition(".")[2] in _PART_CLASSES for file in project.python.values() for _, called in file.calls
    )
