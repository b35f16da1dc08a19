"""Where the columns of a data set came from, and rows that the real data has and its stand-in has not.

A collator that meets a ragged or a raw column stops far from the call that made it: each call that makes or drops
columns is told with its place. A row beyond the stand-in's last is one of those that it has.
"""

from __future__ import annotations

import functools
import sys

from . import events, settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

OPS = {
    "map": "map",
    "set_format": "set_format",
    "with_format": "set_format",
    "set_transform": "set_format",
    "with_transform": "set_format",
    "remove_columns": "remove_columns",
    "rename_column": "rename",
    "rename_columns": "rename",
    "select_columns": "select_columns",
    "cast": "cast",
    "cast_column": "cast",
    "class_encode_column": "cast",
    "add_column": "map",
}
# rows beyond the last by which a read may miss and still be an error of the submission's own counting
NEAR = 50
# examples of a stream that are passed over, at most: its stand-in is short
SKIPPED = 40

# names of data sets that were loaded, and numbers of rows of their splits
_loaded: set[str] = set()
_rows: set[int] = set()
_depth = 0


def install(module: ModuleType) -> None:
    """Watch the methods of datasets.Dataset and of its relatives."""
    for kind in (getattr(module, name, None) for name in ("Dataset", "DatasetDict", "IterableDataset")):
        if kind is None:
            continue
        for method, op in OPS.items():
            plain = vars(kind).get(method)
            if callable(plain):
                setattr(kind, method, _watched(plain, method, op))
        if settings.shim("hidden-columns"):
            for method in ("set_format", "with_format"):
                if method in vars(kind):
                    setattr(kind, method, _showing_all(vars(kind)[method], method))
    dataset = module.Dataset
    dataset.select = _selecting(dataset.select)
    dataset.skip = _skipping(dataset.skip) if hasattr(dataset, "skip") else None
    if dataset.skip is None:
        del dataset.skip
    dataset.train_test_split = _splitting(dataset.train_test_split)
    dataset.__getitem__ = _reading(dataset.__getitem__)
    if hasattr(dataset, "__getitems__"):
        dataset.__getitems__ = _reading(dataset.__getitems__)
    stream = getattr(module, "IterableDataset", None)
    if stream is not None:
        stream.skip = _skipping_in_stream(stream.skip)
    _watch_slices()


@events.guarded
def loaded(name: str, found: Any, frames: list[list[Any]]) -> None:
    """Note a data set that a loading function returned: its columns come from there, its rows are a stand-in's."""
    splits = list(found.values()) if isinstance(found, dict) else [found]
    for split in splits:
        # a file of the submission's own has all the rows that it will ever have
        if name in ("csv", "json", "text", "parquet", "imagefolder", "audiofolder", "arrow"):
            continue
        _loaded.update(_names(split))
        if hasattr(split, "__len__"):
            _rows.add(len(split))
    if splits:
        for column in list(getattr(splits[0], "column_names", None) or ())[:30]:
            events.emit_once(
                ("load", name, column), "column", dataset=name, column=column, op="load", frames=frames, function=None
            )


def _names(dataset: Any) -> set[str]:
    info = getattr(dataset, "info", None)
    found = {str(getattr(info, name, None) or "") for name in ("dataset_name", "builder_name")}
    return found - {"", "generator", "csv", "json", "text", "parquet", "imagefolder", "arrow", "pandas", "sql"}


def _of_standin(dataset: Any) -> bool:
    return bool(_names(dataset) & _loaded)


def _watched(plain: Any, method: str, op: str) -> Any:
    @functools.wraps(plain)
    def watched(self: Any, *args: Any, **keywords: Any) -> Any:
        global _depth
        outermost = _depth == 0
        before = _features(self) if outermost else {}
        if method == "map" and settings.shrinks() and isinstance(keywords.get("num_proc"), int):
            keywords["num_proc"] = _fewer(keywords["num_proc"])
        _depth += 1
        try:
            found = plain(self, *args, **keywords)
        finally:
            _depth -= 1
        if outermost:
            _tell(self, found, before, method, op, args, keywords, sys._getframe(1))
        return found

    return watched


def _fewer(processes: int) -> int:
    # two stay, so that what is mapped is still pickled
    if processes > 2:
        events.shrunk("num_proc", processes, 2, events.own_frames(sys._getframe(2)))
    return min(processes, 2)


def _features(dataset: Any) -> dict[str, str]:
    try:
        one = next(iter(dataset.values())) if isinstance(dataset, dict) else dataset
        return {name: str(kind) for name, kind in (one.features or {}).items()}
    except Exception:
        # a stream whose columns are not known
        return {}


@events.guarded
def _tell(
    dataset: Any,
    found: Any,
    before: dict[str, str],
    method: str,
    op: str,
    args: tuple[Any, ...],
    keywords: dict[str, Any],
    frame: Any,
) -> None:
    frames = events.own_frames(frame)
    if not frames:
        return
    after = _features(found if found is not None else dataset)
    function, lines = None, []
    if method == "map":
        mapped = args[0] if args else keywords.get("function")
        function = located(mapped)
        columns = [name for name, kind in after.items() if before.get(name) != kind]
    elif op == "set_format":
        given = args[1] if len(args) > 1 else keywords.get("columns")
        columns = [given] if isinstance(given, str) else list(given or after)
        function = located(args[0] if args else keywords.get("transform"))
    elif method in ("rename_column", "add_column", "cast_column", "class_encode_column", "rename_columns", "cast"):
        columns = [name for name, kind in after.items() if before.get(name) != kind]
    else:
        columns = [name for name in before if name not in after]
    one = next(iter(dataset.values()), None) if isinstance(dataset, dict) else dataset
    name = next(iter(sorted(_names(one))), "")
    more: dict[str, Any] = {}
    if op == "set_format":
        more["format"] = str(args[0] if args else keywords.get("type"))[:60]
    for column in columns[:30] or ([""] if op == "map" else []):
        if function is not None:
            lines = lines_of(function, column)
        events.emit_once(
            (method, name, column, str(frames[-1:])),
            "column",
            dataset=name,
            column=column,
            op=op,
            frames=frames,
            function=function,
            lines=lines,
            type=after.get(column, ""),
            **more,
        )


def located(function: Any) -> list[Any] | None:
    """[file, first line, name] of a function of the submission; None for a function of somebody else."""
    for _ in range(8):
        if isinstance(function, functools.partial):
            function = function.func
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif hasattr(function, "__func__"):
            function = function.__func__
        else:
            break
    code = getattr(function, "__code__", None)
    if code is None:
        # an object whose class has a __call__
        code = getattr(vars(type(function)).get("__call__"), "__code__", None)
    if code is None:
        return None
    path = events.own_file(code.co_filename)
    return None if path is None else [path, code.co_firstlineno, code.co_name]


def lines_of(function: list[Any], column: str) -> list[int]:
    """Lines of a function in which a column's name stands as a string; its `return` lines where there are none."""
    import ast

    tree = _tree(function[0])
    named, returned = [], []
    for node in ast.walk(tree) if tree is not None else ():
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
        if first != function[1]:
            continue
        for inner in ast.walk(node):
            if isinstance(inner, ast.Constant) and inner.value == column:
                named.append(inner.lineno)
            elif isinstance(inner, ast.keyword) and inner.arg == column:
                named.append(inner.value.lineno)
            elif isinstance(inner, ast.Return):
                returned.append(inner.lineno)
    return sorted(set(named or returned))[:10]


@functools.lru_cache(maxsize=32)
def _tree(path: str) -> Any:
    import ast

    try:
        with open(events.work_folder() + path, encoding="utf-8") as file:
            return ast.parse(file.read())
    except (OSError, ValueError, SyntaxError):
        return None


def _showing_all(method: Any, name: str) -> Any:
    """`set_format` whose rows hold all columns, those too that the format leaves out."""

    @functools.wraps(method)
    def call(self: Any, type: Any = None, columns: Any = None, output_all_columns: bool = False, **given: Any) -> Any:
        if columns is not None and not output_all_columns:
            events.emit_once(("hidden-columns", name), "applied", name="hidden-columns", keys=[str(columns)])
        return method(self, type, columns, True, **given)

    return call


def _selecting(plain: Any) -> Any:
    @functools.wraps(plain)
    def select(self: Any, indices: Any, *args: Any, **keywords: Any) -> Any:
        fitted = _fitted(self, indices, sys._getframe(1)) if events.in_own_frame() else None
        return plain(self, indices if fitted is None else fitted, *args, **keywords)

    return select


@events.guarded
def _fitted(dataset: Any, indices: Any, frame: Any) -> list[int] | None:
    """Rows that the stand-in has in place of those asked for; None where it has them all."""
    rows = len(dataset)
    if not rows or not _of_standin(dataset) or not hasattr(indices, "__len__"):
        return None
    asked = [int(index) for index in indices]
    if not asked or max(asked) < rows:
        return None
    found = [index % rows for index in asked]
    if settings.shrinks():
        found = list(dict.fromkeys(found))
    events.shrunk("select", max(asked) + 1, rows, events.own_frames(frame))
    return found


def _skipping(plain: Any) -> Any:
    @functools.wraps(plain)
    def skip(self: Any, n: int, *args: Any, **keywords: Any) -> Any:
        if isinstance(n, int) and n >= len(self) > 0 and _of_standin(self):
            events.shrunk("skip", n, len(self) // 2, events.own_frames(sys._getframe(1)))
            n = len(self) // 2
        return plain(self, n, *args, **keywords)

    return skip


def _skipping_in_stream(plain: Any) -> Any:
    @functools.wraps(plain)
    def skip(self: Any, n: int, *args: Any, **keywords: Any) -> Any:
        if isinstance(n, int) and n > SKIPPED:
            events.shrunk("skip", n, SKIPPED, events.own_frames(sys._getframe(1)))
            n = SKIPPED
        return plain(self, n, *args, **keywords)

    return skip


def _splitting(plain: Any) -> Any:
    @functools.wraps(plain)
    def train_test_split(self: Any, test_size: Any = None, train_size: Any = None, *args: Any, **keywords: Any) -> Any:
        sizes = _fitted_sizes(self, test_size, train_size, sys._getframe(1))
        if sizes is not None:
            test_size, train_size = sizes
        return plain(self, test_size, train_size, *args, **keywords)

    return train_test_split


@events.guarded
def _fitted_sizes(dataset: Any, test_size: Any, train_size: Any, frame: Any) -> tuple[Any, Any] | None:
    rows = len(dataset)
    given = [size for size in (test_size, train_size) if isinstance(size, int) and not isinstance(size, bool)]
    if rows < 2 or not given or not _of_standin(dataset):
        return None
    if sum(given) <= rows and max(given) < rows:
        return None
    test, train = test_size, train_size
    if len(given) == 2:
        test = max(1, test_size * rows // sum(given))
        train = max(1, rows - test)
    elif isinstance(test_size, int):
        test = rows // 5 or 1
    else:
        train = rows - (rows // 5 or 1)
    frames = events.own_frames(frame)
    events.shrunk("train_test_split", [test_size, train_size], [test, train], frames)
    return test, train


def _reading(plain: Any) -> Any:
    @functools.wraps(plain)
    def read(self: Any, key: Any) -> Any:
        if isinstance(key, int):
            if key > NEAR:
                key = _row(self, key)
        elif isinstance(key, list) and key and isinstance(key[0], int) and max(key) > NEAR:
            key = [_row(self, one) for one in key]
        return plain(self, key)

    return read


def _row(dataset: Any, index: int) -> int:
    rows = len(dataset)
    if index < rows + NEAR or rows not in _rows or not _of_standin(dataset):
        return index
    events.shrunk("row", index, index % rows, events.own_frames(sys._getframe(2)))
    return index % rows


def _watch_slices() -> None:
    """`split="train[5000:6000]"` of a stand-in with fewer rows: its last rows, and not none at all."""
    reader = sys.modules.get("datasets.arrow_reader")
    absolute = getattr(reader, "_rel_to_abs_instr", None)
    if absolute is None:
        return

    @functools.wraps(absolute)
    def _rel_to_abs_instr(instruction: Any, name2len: Any) -> Any:
        return absolute(_fitted_slice(instruction, name2len) or instruction, name2len)

    reader._rel_to_abs_instr = _rel_to_abs_instr  # type: ignore[union-attr]


@events.guarded
def _fitted_slice(instruction: Any, name2len: dict[str, int]) -> Any:
    import copy

    rows = name2len.get(instruction.splitname)
    begin, end = instruction.from_, instruction.to
    if rows is None or instruction.unit == "%" or begin is None or begin < rows or (end is not None and end <= begin):
        return None
    fitted = copy.copy(instruction)
    changed = {"from_": max(rows - (rows if end is None else end - begin), rows * 4 // 5), "to": rows}
    for name, value in changed.items():
        object.__setattr__(fitted, name, value)
    events.shrunk("slice", [begin, end], list(changed.values()), events.own_frames(sys._getframe(2)))
    return fitted
