"""EVL002: a figure's file name is not the one that the contract asks for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.analysis.name_uses import is_dead, used_names
from assay.analysis.project import Project
from assay.analysis.python_source import descend, keyword, string_value
from assay.analysis.text_pattern import Hole, Pattern, PatternReader
from assay.finding import Finding, Severity
from assay.rules.rule import Example, Outcome, Rule

_IMAGES = frozenset({".png", ".jpg", ".jpeg", ".svg", ".eps", ".ps", ".tif", ".tiff", ".webp", ".gif"})
# never the same twice
_UNIQUE = frozenset(
    {
        "uuid.uuid1", "uuid.uuid4", "time.time", "time.time_ns", "time.strftime", "time.ctime", "time.monotonic",
        "time.perf_counter", "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today",
        "datetime.date.today", "pandas.Timestamp.now", "os.urandom", "os.getpid", "tempfile.mktemp", "tempfile.mkstemp",
        "tempfile.mkdtemp", "tempfile.NamedTemporaryFile", "tempfile.gettempdir", "random.SystemRandom",
    }
)  # fmt: skip
# different each time where nothing sets a seed
_DRAWN = ("random.", "numpy.random.", "torch.rand")
_SEEDS = ("seed", "default_rng", "seed_everything", "set_seed", "manual_seed", "Random", "RandomState")
_RUN_ID = re.compile(r"(?:proposed|comparative|baseline)[\w-]*")
_HEAD = "from uuid import uuid4\nimport matplotlib.pyplot as plt\n"


class FigureNames(Rule):
    """Figures are called `{run_id}_{topic}.pdf` for one run and `comparison_{topic}.pdf` for several, so that whoever needs
    one finds it, and a second evaluation replaces it.

    A random or timed part gives a new file each time; another extension is not the format that the contract asks for; a
    name that begins with neither the run id nor `comparison_` cannot be told apart from the others. Paths are followed
    through assignments, and into the calls of the function that saves. Names that stay open are not judged. Two figures
    under one name in the same block are a warning: the second replaces the first.
    """

    code = "EVL002"
    name = "figure-names"
    requirements = ("E8.7", "B5.1")
    message = "the figure name {name} {fault}"
    explanation = "Figures are found by {{run_id}}_{{topic}}.pdf and comparison_{{topic}}.pdf."
    repair = "{change}."

    VALID = (
        Example(
            {
                "src/evaluate.py": _HEAD + "def save(fig, path):\n    fig.savefig(path)\n\n"
                "save(fig, out / f'{run_id}_loss.pdf')\nsave(fig, out / 'comparison_accuracy.pdf')\n"
            }
        ),
        Example(
            {
                "src/evaluate.py": _HEAD
                + "plt.savefig(out / 'comparison_a.pdf')\nplt.savefig(out / 'comparison_a.png')\n"
            }
        ),
        # a copy beside the PDF
        Example(
            {
                "src/evaluate.py": _HEAD
                + "def save(fig, path):\n    fig.savefig(path)\n    fig.savefig(f'{path.stem}.png')\n\n"
                "save(fig, out / 'comparison_accuracy.pdf')\n"
            }
        ),
        Example(
            {"src/evaluate.py": _HEAD + "runs = ['proposed-a', 'baseline-a']\nplt.savefig('proposed-a_loss.pdf')\n"}
        ),
        Example({"src/evaluate.py": _HEAD + "for ext in ('pdf', 'png'):\n    plt.savefig(f'comparison_a.{ext}')\n"}),
        Example(
            {
                "src/evaluate.py": _HEAD
                + "if a:\n    plt.savefig('comparison_a.pdf')\nelse:\n    plt.savefig('comparison_a.pdf')\n"
            }
        ),
        Example({"src/evaluate.py": _HEAD + "run_dir = f'{root}/{uuid4()}'\nprint(run_dir)\nplt.savefig(path)\n"}),
        Example({"src/evaluate.py": _HEAD + "plt.savefig('accuracy.pdf')\n"}, contract="base"),
        Example({"src/evaluate.py": _HEAD + "plt.savefig(out / f'.{run_id}_loss.pdf.part', format='pdf')\n"}),
        Example(
            {
                "src/evaluate.py": "from matplotlib.backends.backend_pdf import PdfPages\n"
                "with PdfPages('comparison_all.pdf') as pdf:\n    pdf.savefig('figure.png')\n"
            }
        ),
    )
    INVALID = (
        Example(
            {"src/evaluate.py": _HEAD + "name = f'{run_id}_loss_{uuid4().hex[:4]}.pdf'\nplt.savefig(out / name)\n"},
            at=("src/evaluate.py:3",),
            repaired={"src/evaluate.py": _HEAD + "name = f'{run_id}_loss.pdf'\nplt.savefig(out / name)\n"},
        ),
        Example(
            {"src/evaluate.py": "import random\nplt.savefig(f'comparison_loss_{random.randint(0, 9999)}.pdf')\n"},
            at=("src/evaluate.py:2",),
            repaired={"src/evaluate.py": "plt.savefig('comparison_loss.pdf')\n"},
        ),
        Example(
            {"src/evaluate.py": _HEAD + "def save(path):\n    plt.savefig(path)\n\nsave(f'{run_id}_loss.png')\n"},
            at=("src/evaluate.py:4",),
            repaired={
                "src/evaluate.py": _HEAD + "def save(path):\n    plt.savefig(path)\n\nsave(f'{run_id}_loss.pdf')\n"
            },
        ),
        Example(
            {"src/evaluate.py": _HEAD + "plt.savefig(out / 'accuracy.pdf')\n"},
            at=("src/evaluate.py:3",),
            repaired={"src/evaluate.py": _HEAD + "plt.savefig(out / 'comparison_accuracy.pdf')\n"},
        ),
        Example(
            {"src/evaluate.py": _HEAD + "plt.savefig('loss.png')\n"},
            contract="base",
            at=("src/evaluate.py:3",),
            repaired={"src/evaluate.py": _HEAD + "plt.savefig('loss.pdf')\n"},
        ),
        Example(
            {
                "src/evaluate.py": _HEAD
                + "plt.savefig('comparison_a.pdf')\nplt.plot(x)\nplt.savefig('comparison_a.pdf')\n"
            },
            at=("src/evaluate.py:5",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        file = project.role("evaluate")
        if file is None or file.tree is None:
            return
        reader = PatternReader(file)
        uses = used_names(project.python.values())
        named = "E8.7" in project.contract.ids
        pages = _pages(reader)
        figures = [
            (call, pattern)
            for call, path in _saved(reader, pages)
            for pattern in reader.fold_at_calls(path)
            if not is_dead(file, call, uses)
        ]
        stems = {_stem(pattern) for _, pattern in figures if pattern.suffix == ".pdf"}
        # functions that save a PDF, or a file of some other kind: an image beside it may be a copy
        copies: set[ast.AST] = {
            function
            for call, pattern in figures
            if pattern.suffix not in _IMAGES and (function := reader.file.function_of(call)) is not None
        }
        run_ids = _run_ids(project) | _listed_ids(reader)
        told: set[tuple[int, str]] = set()
        for call, pattern in figures:
            for found in self._faults(reader, call, pattern, stems, copies, run_ids, named):
                key = (found.line or 0, found.message)
                if key not in told:
                    told.add(key)
                    yield found
        if named:
            yield from self._collisions(reader, figures)

    def _faults(
        self,
        reader: PatternReader,
        call: ast.Call,
        pattern: Pattern,
        stems: set[str],
        copies: set[ast.AST],
        run_ids: frozenset[str],
        named: bool,
    ) -> Iterator[Finding]:
        path, symbol, shown = reader.file.path, reader.file.symbol_of(call) or None, pattern.name.text
        in_name = pattern.name.holes
        for hole in pattern.holes if named else ():
            source = _random_call(reader, hole)
            if source is None:
                continue
            yield self.finding(
                path,
                source[0],
                severity=None if hole in in_name and not _is_open(hole) else Severity.WARNING,
                requirements=("E8.7",),
                symbol=reader.file.symbol_of(source[0]) or None,
                name=shown if hole in in_name else pattern.text,
                fault=f"is different each time ({source[1]})",
                change=f"Leave {source[1]} out of the name",
            )
        copied = reader.file.function_of(call) in copies and bool(pattern.name.holes)
        if pattern.suffix in _IMAGES and _stem(pattern) not in stems and not copied and keyword(call, "format") is None:
            yield self.finding(
                path, call, symbol=symbol, name=shown, fault="is not a PDF",
                change="Save it with the extension .pdf", explanation=None if named else "Figures are asked for as PDF.",
            )  # fmt: skip
        first = pattern.name.parts[0] if pattern.name.parts else None
        # a name such as `.loss.pdf.part` is put in place under another one
        is_final = pattern.suffix in _IMAGES | {".pdf", ""} and not (isinstance(first, str) and first.startswith("."))
        if named and is_final and isinstance(first, str):
            prefix = first[: len("comparison_")]
            is_run = any(first.startswith(run) or run.startswith(first) for run in run_ids)
            if not "comparison_".startswith(prefix) and not is_run:
                yield self.finding(
                    path, call, requirements=("E8.7",), symbol=symbol, name=shown,
                    fault="begins with neither the run id nor comparison_",
                    change="Begin the name with {run_id}_ for one run and with comparison_ for several",
                )  # fmt: skip

    def _collisions(self, reader: PatternReader, figures: list[tuple[ast.Call, Pattern]]) -> Iterator[Outcome]:
        seen: dict[tuple[ast.AST | None, str], ast.Call] = {}
        for call, pattern in figures:
            if any(hole.label == "..." for hole in pattern.holes) or not any(
                isinstance(p, str) for p in pattern.name.parts
            ):
                continue
            statement = next((up for up in reader.file.ancestors(call) if isinstance(up, ast.stmt)), None)
            block = reader.file.parents.get(statement) if statement else None
            if isinstance(block, ast.If | ast.Try | ast.Match):
                continue
            earlier = seen.setdefault((block, pattern.text), call)
            if earlier is not call:
                yield self.finding(
                    reader.file.path, call, severity=Severity.WARNING, requirements=("E8.7",),
                    symbol=reader.file.symbol_of(call) or None, name=pattern.name.text,
                    fault=f"was already used in line {earlier.lineno}", change="Give each figure a topic of its own",
                )  # fmt: skip


def _saved(reader: PatternReader, pages: set[str]) -> Iterator[tuple[ast.Call, ast.expr]]:
    """The calls that save a figure, with the path they save it to."""
    for call, _ in reader.file.calls:
        if not isinstance(call.func, ast.Attribute) or call.func.attr not in ("savefig", "write_image"):
            continue
        if isinstance(call.func.value, ast.Name) and call.func.value.id in pages:
            continue
        path = call.args[0] if call.args else keyword(call, "fname") or keyword(call, "file")
        if path is not None and not isinstance(path, ast.Starred):
            yield call, path


def _pages(reader: PatternReader) -> set[str]:
    """Names of PdfPages objects, whose savefig takes a figure."""
    found: set[str] = set()
    for node in reader.file.nodes:
        value, target = None, None
        if isinstance(node, ast.withitem):
            value, target = node.context_expr, node.optional_vars
        elif isinstance(node, ast.Assign):
            value, target = node.value, node.targets[0]
        made = reader.file.qualified(value.func) if isinstance(value, ast.Call) else ""
        if made.endswith("PdfPages") and isinstance(target, ast.Name):
            found.add(target.id)
    return found


def _random_call(reader: PatternReader, hole: Hole) -> tuple[ast.Call, str] | None:
    if hole.expression is None:
        return None
    for node in descend(hole.expression):
        if isinstance(node, ast.Call):
            name = reader.file.qualified(node.func)
            if name in _UNIQUE or name.startswith("secrets."):
                return node, name
            if name.startswith(_DRAWN) and not any(called.endswith(_SEEDS) for _, called in reader.file.calls):
                return node, name
    return None


def _is_open(hole: Hole) -> bool:
    """Whether only a branch of the expression may be the random one."""
    branches = (ast.IfExp, ast.BoolOp, ast.Lambda)
    return hole.expression is not None and any(isinstance(node, branches) for node in descend(hole.expression))


def _stem(pattern: Pattern) -> str:
    suffix = pattern.suffix
    return pattern.text[: len(pattern.text) - len(suffix)] if suffix else pattern.text


def _listed_ids(reader: PatternReader) -> frozenset[str]:
    """Texts of the file that say by `proposed`, `comparative` or `baseline` that they are run ids."""
    texts = (
        string_value(node)
        for node in reader.file.nodes_of(ast.Constant)
        if not isinstance(reader.file.parents.get(node), ast.JoinedStr)
    )
    return frozenset(text for text in texts if text and "-" in text and _RUN_ID.fullmatch(text))


def _run_ids(project: Project) -> frozenset[str]:
    """Run ids that the submission or its brief spells out."""
    files = (path.rpartition("/")[2].rpartition(".")[0] for path in project.run_files)
    return frozenset(filter(None, (*project.brief.run_ids, *files)))
