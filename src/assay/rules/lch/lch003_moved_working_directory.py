"""LCH003: Hydra moves the working directory, and what main starts or opens is not found there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay import yaml_tree
from assay.analysis.hydra_entry import HydraEntry, hydra_entry
from assay.analysis.import_time import catches, is_unconditional
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, descend, keyword
from assay.finding import Consequence, Frame
from assay.rules.rule import Example, Outcome, Rule, Undecided

_CHECKED = frozenset({"subprocess.check_call", "subprocess.check_output"})
_LAUNCHES = _CHECKED | {"subprocess.run", "subprocess.call", "subprocess.Popen", "os.system"}
_OPENING = frozenset({"open", "omegaconf.OmegaConf.load", "io.open"})
_MAKES = frozenset({"makedirs", "mkdir", "copytree", "copy", "copy2", "move", "symlink", "symlink_to"})
# Whatever names one of these may have set things right by means that are not followed.
_MENDING = re.compile(
    r"PYTHONPATH|os\.chdir|\bchdir\(|contextlib\.chdir|sys\.path|hydra\.run\.dir|hydra\.job\.chdir|runpy|argv"
)
_MAX_HELPERS = 4
# Each place costs a look at its whole function.
_MAX_PLACES = 20
# Build backends with tables of their own may make `src` a package that is installed.
_SETUPTOOLS = re.compile(r"setuptools(\.build_meta(:__legacy__)?)?")


def _main(
    decorator: str = 'config_path="../config", config_name="config"',
    launch: str = "subprocess.run(cmd, check=True)",
) -> str:
    return (
        "import subprocess\nimport sys\n\nimport hydra\n\n\n"
        f"@hydra.main({decorator})\n"
        "def main(cfg):\n    cmd = [sys.executable, '-u', '-m', 'src.train', f'run={cfg.run}']\n"
        f"    {launch}\n\n\nif __name__ == '__main__':\n    main()\n"
    )


_FILES = {"config/config.yaml": "run: null\n", "src/train.py": "print('training')\n"}
_MODERN = 'config_path="../config", config_name="config", version_base=None'


class MovedWorkingDirectory(Rule):
    """`@hydra.main` without `version_base` acts as Hydra 1.1 did: it changes into `outputs/DATE/TIME` before main runs.

    A child started there with `-m src.train` does not find the package `src`, because `-m` looks in the working
    directory; a path such as `config/runs/a.yaml` does not exist there either. Hydra 1.2 and later stay where they
    are, but only where `version_base` says so, or `hydra.job.chdir: false`.
    """

    code = "LCH003"
    name = "moved-working-directory"
    requirements = ("E2.3",)
    consequence = Consequence.CRASHES
    message = "Hydra changes into outputs/... before `{function}` runs, and {what}"
    explanation = "Without version_base, `@hydra.main` acts as Hydra 1.1 did: {follows}"
    repair = "Give `@hydra.main` version_base=None, which leaves the working directory as it is."

    VALID = (
        Example({**_FILES, "src/main.py": _main(_MODERN)}),
        Example({**_FILES, "src/main.py": _main(_MODERN.replace("None", '"1.3"'))}),
        Example(
            {
                **_FILES,
                "src/main.py": _main(),
                "config/config.yaml": "run: null\nhydra:\n  job:\n    chdir: false\n",
            }
        ),
        Example(
            {**_FILES, "src/main.py": _main(), "config/config.yaml": "run: null\nhydra:\n  run:\n    dir: .\n"},
        ),
        # the child is sent back
        Example(
            {
                **_FILES,
                "src/main.py": _main(
                    launch="subprocess.run(cmd, cwd=hydra.utils.get_original_cwd(), check=True)",
                ),
            }
        ),
        # an environment may name the folder
        Example({**_FILES, "src/main.py": _main(launch="subprocess.run(cmd, env=make_environment(), check=True)")}),
        # an installed package is found from anywhere
        Example(
            {
                **_FILES,
                "src/main.py": _main(),
                "pyproject.toml": "[build-system]\nrequires = ['hatchling']\nbuild-backend = 'hatchling.build'\n\n"
                "[project]\nname = 'a'\nversion = '1'\n\n[tool.hatch.build.targets.wheel]\npackages = ['src']\n",
            }
        ),
        Example(
            {
                **_FILES,
                "src/main.py": _main(
                    launch="env = dict(os.environ)\n    env.update(paths())\n    subprocess.run(cmd, env=env)"
                ),
            }
        ),
        # not a module of the submission
        Example({**_FILES, "src/main.py": _main().replace("src.train", "torch.distributed.run")}),
        # the folder is made where it then is
        Example(
            {
                **_FILES,
                "src/main.py": "import os\n"
                + _main(
                    launch="os.makedirs('config')\n    open('config/more.yaml', 'w').write('a: 1')\n"
                    "    print(open('config/more.yaml').read())"
                ),
            }
        ),
        # the path is made absolute
        Example(
            {
                **_FILES,
                "src/main.py": _main(launch="print(open(hydra.utils.to_absolute_path('config/config.yaml')).read())"),
            }
        ),
    )
    INVALID = (
        Example({**_FILES, "src/main.py": _main()}, at=("src/main.py:7",), repaired={"src/main.py": _main(_MODERN)}),
        Example(
            {**_FILES, "src/main.py": _main(_MODERN.replace("None", '"1.1"'))},
            at=("src/main.py:7",),
            repaired={
                "src/main.py": _main(
                    launch="subprocess.run(cmd, cwd=hydra.utils.get_original_cwd(), check=True)",
                )
            },
        ),
        Example(
            {**_FILES, "src/main.py": _main(launch="print(open(f'config/runs/{cfg.run}.yaml').read())")},
            at=("src/main.py:7",),
            repaired={"config/config.yaml": "run: null\nhydra:\n  job:\n    chdir: false\n"},
        ),
        Example(
            {
                **_FILES,
                "src/main.py": _main(
                    launch="path = Path('config') / 'runs' / f'{cfg.run}.yaml'\n    print(open(path).read())"
                ).replace("import subprocess", "import subprocess\nfrom pathlib import Path"),
            },
            at=("src/main.py:8",),
            repaired={"src/main.py": _main(_MODERN)},
        ),
        Example(
            {
                **_FILES,
                "src/main.py": "import os\n" + _main(launch="subprocess.run(cmd, env=os.environ.copy(), check=True)"),
                "config/config.yaml": "hydra:\n  run:\n    dir: ${results_dir}/${now:%H-%M}\n",
            },
            at=("src/main.py:8",),
            repaired={"src/main.py": _main(_MODERN)},
        ),
        # setuptools finds the modules inside src, not a package of that name
        Example(
            {
                **_FILES,
                "src/main.py": _main(),
                "pyproject.toml": "[build-system]\nrequires = ['setuptools']\n\n[project]\nname = 'a'\nversion = '1'\n",
            },
            at=("src/main.py:7",),
            repaired={"src/main.py": _main(_MODERN)},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        entry = hydra_entry(project.role("main"))
        if entry is None or not entry.acts_as_1_1 or entry.function is None or not entry.certain:
            return
        if _MENDING.search(entry.file.text):
            return
        broken = list(_broken(project, entry, entry.function))
        stays = _stays(project)
        if not broken or stays:
            return
        if stays is None:
            yield Undecided("whether Hydra changes the working directory depends on values that are not followed")
            return
        call, what, follows = broken[0]
        yield self.finding(
            entry.file.path,
            entry.place,
            symbol=entry.function.name,
            detail=f"{what} ({entry.file.path}:{call.lineno})",
            frames=tuple(Frame(entry.file.path, item.lineno) for item, _, _ in broken[:5]),
            function=entry.function.name,
            what=what,
            follows=follows,
        )


def _stays(project: Project) -> bool | None:
    """Whether settings keep the working directory where it is; None where that cannot be told."""
    answer: bool | None = False
    for path, file in project.yaml.items():
        if "/hydra/" in path or "@package hydra" in file.text:
            answer = None
        if "chdir" not in file.text and "hydra" not in file.text:
            continue
        chdir = yaml_tree.find(file.root, "hydra", "job", "chdir")
        folder = yaml_tree.find(file.root, "hydra", "run", "dir")
        if isinstance(chdir, yaml_tree.Scalar) and chdir.resolve() is False:
            return True
        if isinstance(folder, yaml_tree.Scalar):
            text = folder.text.strip()
            if text in (".", "./", "${hydra:runtime.cwd}", "${hydra.runtime.cwd}", "${oc.env:PWD}"):
                return True
            # a name of a folder is in it somewhere, whatever the values are
            named = "${now:" in text or "job.name}" in text or re.sub(r"\$\{[^{}]*\}|[./]", "", text)
            if not named and text != "${results_dir}":
                answer = None
        elif "chdir" in file.text and not isinstance(chdir, yaml_tree.Scalar):
            answer = None
    return answer


def _broken(project: Project, entry: HydraEntry, function: FunctionNode) -> Iterator[tuple[ast.Call, str, str]]:
    """The places where main certainly needs the folder that it no longer is in: the call, what it is, what follows."""
    file = entry.file
    concerned = [(call, name) for call, name in file.calls if name in _LAUNCHES or name in _OPENING]
    for call, name in concerned[:_MAX_PLACES]:
        if not _certainly_runs(file, call, function):
            continue
        if name in _LAUNCHES and not _is_src_installed(project):
            module = _started(project, file, call)
            if (
                module
                and not any(item.arg in ("cwd", None) for item in call.keywords)
                and _same_environment(file, call)
            ):
                yield call, f"the child `{module}` is started there", "the child does not find the submission."
        elif name in _OPENING and call.args:
            path = _leading_text(file, call.args[0])
            caught = catches(file, call, frozenset({"FileNotFoundError", "OSError"}))
            if path.startswith("config/") and not caught and not _makes_folders(file):
                yield call, f"`{path}...` is opened there", "the file is not found."


def _makes_folders(file: PythonFile) -> bool:
    """Whether a file makes folders or moves files, perhaps those that it opens."""
    return any(
        name.rpartition(".")[2] in _MAKES or getattr(call.func, "attr", "") in _MAKES for call, name in file.calls
    )


def _certainly_runs(file: PythonFile, call: ast.Call, entry: FunctionNode) -> bool:
    """Whether the decorated function certainly comes to a call, by itself or through a function of its own."""
    node: ast.AST = call
    for _ in range(_MAX_HELPERS):
        function = file.function_of(node)
        if function is None or not is_unconditional(file, node, function):
            return False
        if function is entry:
            return True
        if function.decorator_list or file.function_of(function) is not None:
            return False
        callers = [
            other
            for other, _ in file.calls
            if isinstance(other.func, ast.Name) and other.func.id == function.name and other is not node
        ]
        inside = [other for other in callers if file.function_of(other) is entry]
        if not callers:
            return False
        node = inside[0] if inside else callers[0]
    return False


def _started(project: Project, file: PythonFile, call: ast.Call) -> str:
    """The module or script of the submission that a command starts by a relative name; empty where there is none."""
    command = call.args[0] if call.args else keyword(call, "args")
    words = list(_words(file, command, call)) if command is not None else []
    for number, word in enumerate(words):
        if word == "-m" and number + 1 < len(words):
            module = words[number + 1]
            return f"-m {module}" if _is_own(project, module) else ""
        if word.endswith(".py") and word in project.python:
            return word
    return ""


def _is_own(project: Project, module: str) -> bool:
    return any(other.module == module for other in project.python.values())


def _same_environment(file: PythonFile, call: ast.Call) -> bool:
    """Whether a child gets the environment of its parent as it is."""
    given = keyword(call, "env")
    if isinstance(given, ast.Name):
        function = file.function_of(call)
        uses = (
            [node for node in descend(function) if isinstance(node, ast.Name) and node.id == given.id]
            if function
            else []
        )
        if len(uses) != 2:
            return False
        given = _bound_once(file, call, given.id)
        if given is None:
            return False
    if isinstance(given, ast.Dict):
        return given.keys == [None] and file.qualified(given.values[0]) == "os.environ"
    if isinstance(given, ast.Call):
        called = file.qualified(given.func)
        copied = called == "dict" and len(given.args) == 1 and file.qualified(given.args[0]) == "os.environ"
        return not given.keywords and (called == "os.environ.copy" or copied)
    return (
        given is None
        or (isinstance(given, ast.Constant) and given.value is None)
        or (file.qualified(given) == "os.environ")
    )


def _bound_once(file: PythonFile, place: ast.AST, name: str) -> ast.expr | None:
    """The value of a name that the function around a place binds in exactly one assignment."""
    function = file.function_of(place)
    if function is None:
        return None
    bound = [node for node in descend(function) if isinstance(node, ast.Name) and node.id == name]
    stores = [node for node in bound if not isinstance(node.ctx, ast.Load)]
    # `cmd += [...]` adds to the end, and what comes first is what counts
    stores = [node for node in stores if not isinstance(file.parents.get(node), ast.AugAssign)]
    if len(stores) != 1 or any(item.arg == name for item in descend(function.args) if isinstance(item, ast.arg)):
        return None
    statement = file.parents.get(stores[0])
    if isinstance(statement, ast.Assign) and statement.targets == stores:
        return statement.value
    return statement.value if isinstance(statement, ast.AnnAssign) else None


def _words(file: PythonFile, command: ast.expr, call: ast.Call) -> Iterator[str]:
    """The words of a command as far as they are written out; an unknown one is empty."""
    if isinstance(command, ast.Name):
        value = _bound_once(file, call, command.id)
        if value is None:
            return
        command = value
    if isinstance(command, ast.BinOp) and isinstance(command.op, ast.Add):
        command = command.left
    if isinstance(command, ast.List | ast.Tuple):
        for item in command.elts:
            yield item.value if isinstance(item, ast.Constant) and isinstance(item.value, str) else ""
    elif isinstance(command, ast.Constant) and isinstance(command.value, str):
        yield from command.value.split()
    elif isinstance(command, ast.JoinedStr):
        text = "".join(str(part.value) if isinstance(part, ast.Constant) else "?" for part in command.values)
        yield from text.split()


def _leading_text(file: PythonFile, node: ast.expr) -> str:
    """The text that a path begins with; empty where it is unknown."""
    joined = False
    for _ in range(20):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            node, joined = node.left, True
        elif isinstance(node, ast.Name) and (value := _bound_once(file, node, node.id)) is not None:
            node = value
        elif isinstance(node, ast.Call) and file.qualified(node.func) in ("pathlib.Path", "str") and node.args:
            joined = joined or len(node.args) > 1
            node = node.args[0]
        elif isinstance(node, ast.JoinedStr) and node.values:
            node = node.values[0]
        else:
            break
    text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
    return f"{text.rstrip('/')}/" if text and joined else text


def _is_src_installed(project: Project) -> bool:
    """Whether the environment may hold the submission's `src` as an installed package."""
    pyproject = project.pyproject
    if pyproject is None:
        return False
    tool = pyproject.get("tool", "uv", "package")
    build = pyproject.get("build-system")
    if build is None and tool is not True:
        return False
    backend = pyproject.get("build-system", "build-backend")
    plain = backend is None or (isinstance(backend, str) and _SETUPTOOLS.fullmatch(backend) is not None)
    configured = pyproject.get("tool", "setuptools") is not None or any(
        path in project.submission for path in ("setup.py", "setup.cfg")
    )
    # setuptools takes a folder `src` for the root of packages: what is in it is installed, not the folder
    return not plain or configured
