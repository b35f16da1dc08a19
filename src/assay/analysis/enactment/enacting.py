"""Enacting the programs of a submission: each run in both modes, the processes that they start, and evaluation."""

from __future__ import annotations

import ast
import re
import shlex
import sys
from pathlib import PurePosixPath
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException, UnsupportedInterpolationType

from assay.analysis.enactment.composing import Composed, Composer, Refusal
from assay.analysis.enactment.interpreter import Interpreter
from assay.analysis.enactment.machine import Machine
from assay.analysis.enactment.modelled import Modelled
from assay.analysis.enactment.models_runtime import RunningExperiment
from assay.analysis.enactment.operations import ROOT
from assay.analysis.enactment.values import ANYTHING, External, Function, Items, Node
from assay.analysis.own_library import CONFIG_FOLDER, CONFIG_NAME, EXPERIMENT, RUN, VERSION_BASE, run_words
from assay.analysis.python_source import PythonFile

MAX_RUNS = 24
MAX_CHILDREN = 6
MAX_DEPTH = 3
STEPS_IN_ALL = 1_500_000
# What the parent is told of.
HEARD = frozenset({"fault", "raise", "refused", "read", "write", "use", "escape", "suggest", "search", "launch",
                   "track", "tracked", "seeds", "epochs", "evaluate", "misused"})  # fmt: skip
RECURSION = 12_000


def enact(request: dict[str, Any], composer: Composer) -> dict[str, Any]:
    """Enact every program of a submission.

    Args:
        request: `files` (path to text), `commands` (name to command line, with `{run_id}`, `{results_dir}` and
            `{run_ids}`), `runs` (run ids, in order), `modes` (the commands that start a run), `otherwise` (why the
            files alone do not say what Hydra composes; empty where they do).
        composer: Hydra over the configuration files.

    Returns:
        `programs`: one entry a program: role, run, mode, whether it was enacted to its end, and its events.
    """
    sys.setrecursionlimit(RECURSION)
    texts: dict[str, str] = dict(request["files"])
    python = {path: PythonFile(path, text) for path, text in texts.items() if path.endswith(".py")}
    others = {path: text for path, text in texts.items() if not path.endswith(".py")}
    stage = _Stage(python, others, composer, otherwise=bool(request.get("otherwise")))
    stage.nested = _has_nested_runs(others, commands=request["commands"]) and not request["runs"]
    runs = list(request["runs"])[:MAX_RUNS] or [None]
    commands: dict[str, str] = request["commands"]
    per_run = any("{run_id}" in commands.get(mode, "") for mode in request["modes"])
    for mode in request["modes"]:
        for run in runs if per_run else [None]:
            stage.command(commands[mode], run, mode, runs)
    if "evaluate" in commands:
        stage.command(commands["evaluate"], None, "evaluate", runs)
    left_out = max(0, len(request["runs"]) - MAX_RUNS)
    return {"programs": stage.programs, "left_out": left_out}


def _has_nested_runs(texts: dict[str, str], commands: dict[str, str]) -> bool:
    """Whether there are configuration files in folders below the one that the run files belong in."""
    words = {word for command in commands.values() for word in command.split()}
    groups = {word.partition("=")[0].lstrip("+") for word in words if word.endswith("={run_id}")}
    return any(
        path.endswith((".yaml", ".yml")) and any(f"/{group}/" in path.rpartition("/")[0] for group in groups)
        for path in texts
    )


class _Stage:
    """Where the programs of one submission are enacted."""

    def __init__(
        self, python: dict[str, PythonFile], texts: dict[str, str], composer: Composer, *, otherwise: bool
    ) -> None:
        self.python = python
        self.texts = texts
        self.composer = composer
        self.otherwise = otherwise
        # whether the run files lie deeper than a run id says, so that what a run brings in is not known
        self.nested = False
        self.programs: list[dict[str, Any]] = []
        self.steps = 0
        self._freed: dict[str, Composer] = {}

    def without_hydra(self, folder: str, name: str) -> Composer | None:
        """Hydra over the same files, but without the settings for Hydra itself in the primary configuration."""
        path = f"{folder}/{name.removesuffix('.yaml')}.yaml"
        if path not in self._freed:
            text = self.texts.get(path)
            found = re.search(r"(?m)^hydra:.*\n(?:[ \t].*\n?|\s*\n|#.*\n?)*", text + "\n") if text is not None else None
            if text is None or found is None:
                return None
            root = self.composer.root / f".without-hydra-{len(self._freed)}"
            changed = (text + "\n")[: found.start()] + (text + "\n")[found.end() :]
            for other, content in {**self.texts, path: changed}.items():
                if other.endswith((".yaml", ".yml")) and ".." not in PurePosixPath(other).parts:
                    place = root.joinpath(*PurePosixPath(other).parts)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_text(content, encoding="utf-8", errors="replace")
            self._freed[path] = Composer(root, self.composer.resolvers)
        return self._freed[path]

    def command(self, command: str, run: str | None, mode: str, runs: list[str | None]) -> None:
        """Enact what a command line of the contract starts."""
        words = shlex.split(command)
        ids = "[" + ",".join(f'"{one}"' for one in runs if one) + "]"
        filled = [
            word.replace("{run_id}", run or "").replace("{results_dir}", "results").replace("{run_ids}", ids)
            for word in words
        ]
        started = module_of(filled)
        if started is None:
            return
        module, arguments = started
        path = module.replace(".", "/") + ".py"
        if path in self.python:
            self.program(path, list(arguments), run, mode, {}, {}, [], 0)

    def program(
        self,
        path: str,
        arguments: list[str | None],
        run: str | None,
        mode: str,
        disk: dict[str, object],
        environment: dict[str, object],
        parents: list[dict[str, Any]],
        depth: int,
    ) -> None:
        """Enact one process, then the processes that it starts."""
        if self.steps > STEPS_IN_ALL:
            self.programs.append(
                {
                    "path": path,
                    "run": run,
                    "mode": mode,
                    "complete": False,
                    "reason": "there are too many",
                    "events": [],
                }
            )
            return
        machine = Interpreter(self.python, self.texts, Modelled())
        machine.argv = Items([f"{ROOT}/{path}", *(ANYTHING if word is None else word for word in arguments)])
        machine.disk = disk
        machine.heard = HEARD
        machine.environment.pairs.update(environment)
        entry = _Entry(self, machine, path, arguments)
        machine.entry = entry
        machine.run(path)
        self.steps += machine.steps
        self.programs.append(
            {
                "path": path,
                "run": run,
                "mode": mode,
                "parents": parents,
                "complete": machine.complete,
                "reason": machine.reason,
                "composed": entry.composed,
                "keys": entry.keys,
                "entered": sorted(machine.entered),
                "events": machine.events,
            }
        )
        if depth >= MAX_DEPTH:
            return
        seen: set[tuple[object, ...]] = set()
        for event in [one for one in machine.events if one["kind"] == "launch"]:
            words = event["words"]
            if not isinstance(words, list):
                continue
            started = module_of([word if isinstance(word, str) else "" for word in words])
            if started is None:
                continue
            module, child_arguments = started
            child = module.replace(".", "/") + ".py"
            key = (child, tuple(child_arguments))
            if child not in self.python or key in seen or len(seen) >= MAX_CHILDREN:
                continue
            seen.add(key)
            place = {name: event[name] for name in ("file", "line", "certain", "cwd", "has_cwd", "has_env")}
            given = event["environment"]
            self.program(
                child,
                _unknown_again(words, child_arguments),
                run,
                mode,
                dict(machine.disk),
                dict(given) if isinstance(given, dict) else {},
                [*parents, place],
                depth + 1,
            )


class _Entry:
    """What calling a function under `@hydra.main` or `@experiment` does: it gets what Hydra composes."""

    def __init__(self, stage: _Stage, machine: Machine, path: str, arguments: list[str | None]) -> None:
        self.stage = stage
        self.composer = stage.composer
        self.machine = machine
        self.path = path
        self.arguments = arguments
        self.given = list(machine.argv.items) if isinstance(machine.argv, Items) else []
        self.composed: str = "no"
        self.keys: object = None
        self.name: str | None = None

    def __call__(self, function: Function, hydra: External) -> object:
        machine = self.machine
        if hydra.path == EXPERIMENT:
            return self._experiment(function)
        settings = dict(hydra.keys)
        config_path = settings.get("config_path", settings.get("0"))
        config_name = settings.get("config_name", settings.get("1"))
        version_base = settings.get("version_base", "1.1" if "version_base" not in settings else None)
        words = _hydra_words(self.arguments) if self._takes_its_words() else None
        if words is None:
            # flags that compose something else: what the function gets is not known
            return machine.call(function, [ANYTHING], {}, function.node)
        overrides, flags = words
        config_path, config_name = flags.get("path", config_path), flags.get("name", config_name)
        unknown = any(word is None for word in self.arguments)
        folder = _folder(function.scope.file.path, config_path)
        self.name = config_name if isinstance(config_name, str) else None
        config: object = ANYTHING
        if folder is not None or config_path is None:
            made = self._composition(function, folder, overrides, version_base)
            if made is not None:
                config = Node(made)
                self.keys = OmegaConf.to_container(made, resolve=False)
                if unknown or self.stage.otherwise or self.stage.nested:
                    machine.configurations.shake(made)
        machine.moved = _moves(version_base, self.stage.texts, folder, config_name)
        return machine.call(function, [config], {}, function.node)

    def _experiment(self, function: Function) -> object:
        """What calling a function under `@experiment` does: the steps are those of `assay.runtime.program`."""
        from assay.runtime.call import read_call
        from assay.runtime.errors import ExperimentError
        from assay.runtime.modes import apply_mode

        machine = self.machine
        file = function.scope.file
        folder = _folder(file.path, CONFIG_FOLDER)
        words = _hydra_words(self.arguments) if self._takes_its_words() else None
        known = [word for word in self.arguments if word is not None]
        unknown = len(known) < len(self.arguments)
        if folder is None or words is None or words[1] or self.stage.otherwise:
            return machine.call(function, [ANYTHING, External(RUN)], {}, function.node)
        try:
            call = read_call(known, self.composer.root / folder, file.module)
        except ExperimentError as fault:
            if not unknown:
                self._refuse(function, str(fault))
            return machine.call(function, [ANYTHING, External(RUN)], {}, function.node)
        self.name = CONFIG_NAME
        overrides = run_words(words[0], call.choice.removeprefix("+").partition("@")[0])
        config = self._composition(function, folder, overrides, VERSION_BASE)
        if config is None:
            return machine.call(function, [ANYTHING, External(RUN)], {}, function.node)
        run = next(word[4:] for word in known if word.startswith("run=")).strip("'\"")
        try:
            with open_dict(config):
                config.run = run
                named = config.get("run_id")
                config.run_id = run
            if named is not None and str(named) != run and not unknown:
                said = f"the run file {run}.yaml says run_id: {named}; a run file is named after its run"
                self._refuse(function, said, "run_id")
            apply_mode(config)
            mode, results = config.mode, config.results_dir
        except (OmegaConfBaseException, ValueError, TypeError, AttributeError):
            machine.configurations.shake(config)
            mode = results = None
        if not unknown:
            self._complete(function, config)
        if isinstance(mode, str) and isinstance(results, str):
            arguments = [word for word in self.arguments if word is None or not word.startswith(("-", "hydra"))]
            machine.running = RunningExperiment(Node(config), run, mode, results, arguments)
        self.keys = OmegaConf.to_container(config, resolve=False)
        if unknown:
            machine.configurations.shake(config)
        return machine.call(function, [Node(config), External(RUN)], {}, function.node)

    def _complete(self, function: Function, config: DictConfig) -> None:
        """Read every value once, as the library does before it calls the function."""
        try:
            OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        except UnsupportedInterpolationType:
            # a resolver may be registered where that is not seen
            self.machine.configurations.open(config)
        except OmegaConfBaseException as error:
            said = f"{str(error).splitlines()[0]} (key {error.full_key})"
            self._refuse(function, said, str(error.full_key or ""))

    def _refuse(self, function: Function, message: str, key: str | None = None) -> None:
        """Record that the library refuses to start the program."""
        said = message.replace(f"{self.composer.root}/", "")
        self.machine.emit(
            "refused", _decorator(function), cause="library", message=said, override=None, blamed=None, key=key,
            program=self.path,
        )  # fmt: skip

    def _composition(
        self, function: Function, folder: str | None, overrides: list[str], version_base: object
    ) -> DictConfig | None:
        """What Hydra composes, defects set aside where that can be done; None where it cannot."""
        base = version_base if isinstance(version_base, str) else None
        outcome = self.composer.compose(folder, self.name, overrides, base)
        self.composed = "yes"
        for _ in range(6):
            if isinstance(outcome, Composed):
                return outcome.config
            self.composed = "repaired"
            if outcome.kind != "plugin-absent" and not self.stage.otherwise:
                self.machine.emit(
                    "refused",
                    _decorator(function),
                    cause=outcome.kind,
                    message=outcome.message,
                    override=outcome.override,
                    blamed=outcome.file,
                    key=outcome.key,
                    program=self.path,
                )
            if outcome.kind == "foreign-search-path":
                break
            repaired = self._repaired(outcome, folder, overrides, version_base)
            if repaired is None:
                break
            outcome, overrides = repaired
        if isinstance(outcome, Composed):
            return outcome.config
        self.composed = "no"
        return None

    def _takes_its_words(self) -> bool:
        """Whether the command line is known still, after what the program has done to `sys.argv`."""
        argv = self.machine.argv
        if not isinstance(argv, Items) or argv.open or not argv.items:
            return False
        if argv.items == self.given:
            return True
        if not all(isinstance(one, str) for one in argv.items):
            return False
        self.arguments = [str(one) for one in argv.items[1:]]
        return True

    def _repaired(
        self,
        refusal: Refusal,
        folder: str | None,
        overrides: list[str],
        version_base: object,
    ) -> tuple[Composed | Refusal, list[str]] | None:
        """Compose again as if the defect were repaired, so that what comes after it is seen too."""
        base = version_base if isinstance(version_base, str) else None
        name = self.name
        if refusal.kind == "no-such-config" or (refusal.kind == "unknown-override" and name is None):
            if name is not None or folder is None or f"{folder}/config.yaml" not in self.stage.texts:
                return None
            self.name = "config"
            return self.composer.compose(folder, "config", overrides, base), overrides
        if refusal.kind in ("hydra-schema", "plugin-absent") and folder is not None and name is not None:
            composer = self.stage.without_hydra(folder, name)
            if composer is not None and composer is not self.composer:
                self.composer = composer
                return composer.compose(folder, name, overrides, base), overrides
        if refusal.kind == "unknown-override" and refusal.override in overrides:
            freed = [f"++{word}" if word == refusal.override else word for word in overrides]
            if freed != overrides and not refusal.override.startswith("+"):
                return self.composer.compose(folder, name, freed, base), freed
        return self._by_hand(folder, name, overrides)

    def _by_hand(self, folder: str | None, name: str | None, overrides: list[str]) -> tuple[Composed, list[str]] | None:
        """The primary configuration, with the run file where its package directive puts it, and the overrides."""
        if folder is None or name is None:
            return None
        text = self.stage.texts.get(f"{folder}/{name.removesuffix('.yaml')}.yaml")
        if text is None:
            return None
        try:
            config = OmegaConf.create(text)
        except Exception:
            return None
        if not isinstance(config, DictConfig):
            return None
        defaults = config.pop("defaults", [])
        config.pop("hydra", None)
        for word in overrides:
            key, equals, value = word.lstrip("+~").partition("=")
            if not equals:
                continue
            key, _, asked = key.partition("@")
            found = self._option(folder, key, value)
            try:
                if found is not None and (asked or key in str(defaults)):
                    place, content = found
                    package = asked or _listed_package(str(defaults), place) or _package(content, place)
                    package = "" if package == "_global_" else package
                    made = OmegaConf.create(content)
                    if package:
                        OmegaConf.update(config, package, made, force_add=True)
                    else:
                        config.merge_with(made)
                else:
                    OmegaConf.update(config, key, OmegaConf.create(f"x: {value}").x, force_add=True)
            except Exception:
                self.machine.configurations.open(config)
        if not isinstance(config, DictConfig):
            return None
        OmegaConf.set_struct(config, True)
        groups = {word.lstrip("+~").partition("=")[0] for word in overrides} | {"_self_"}
        if any(not groups.intersection(_groups(entry)) for entry in defaults):
            # what the other groups bring in is not known
            self.machine.configurations.open(config)
        return Composed(config), overrides

    def _option(self, folder: str, group: str, value: str) -> tuple[str, str] | None:
        """A file that a group and its option may mean, though the folder has another name: its group and text."""
        name = value.strip("'\"")
        for candidate in (group, f"{group}s", group.removesuffix("s")):
            text = self.stage.texts.get(f"{folder}/{candidate}/{name}.yaml")
            if text is not None:
                return group, text
        return None


def _decorator(function: Function) -> ast.AST:
    return next(iter(getattr(function.node, "decorator_list", [])), function.node)


_FLAGS = {"--config-name": "name", "-cn": "name", "--config-path": "path", "-cp": "path"}


def _hydra_words(arguments: list[str | None]) -> tuple[list[str], dict[str, str]] | None:
    """The overrides of a command line, and what Hydra's own flags set; None where there are other flags."""
    overrides: list[str] = []
    flags: dict[str, str] = {}
    pending = list(arguments)
    while pending:
        word = pending.pop(0)
        if word is None:
            continue
        name, equals, value = word.partition("=")
        if name in _FLAGS and (equals or pending):
            given = value if equals else pending.pop(0)
            if given is None:
                return None
            flags[_FLAGS[name]] = given
        elif word.startswith("-"):
            return None
        else:
            overrides.append(word)
    return overrides, flags


def _groups(entry: object) -> set[str]:
    """The groups that an entry of a defaults list may be meant by: `runs@run` may be `runs` or `run`."""
    names = [str(one) for one in entry] if isinstance(entry, DictConfig) else [str(entry)]
    return {part for name in names for part in name.replace("override ", "").split("@")}


def module_of(words: list[str]) -> tuple[str, list[str]] | None:
    """The module that a command line starts with `-m`, or the script, and the arguments after it."""
    for place, word in enumerate(words):
        if word == "-m" and place + 1 < len(words):
            return words[place + 1], words[place + 2 :]
        if word.endswith(".py") and place > 0:
            script = word.removeprefix(f"{ROOT}/")
            return script.removesuffix(".py").replace("/", "."), words[place + 1 :]
    return None


def _unknown_again(words: list[object], arguments: list[str]) -> list[str | None]:
    """The arguments, with None for those that are not known."""
    last = words[len(words) - len(arguments) :] if arguments else []
    return [word if isinstance(word, str) else None for word in last]


def _folder(path: str, config_path: object) -> str | None:
    """The configuration folder relative to the root."""
    if not isinstance(config_path, str):
        return None
    if config_path.startswith(ROOT):
        return config_path[len(ROOT) :].strip("/")
    if "://" in config_path:
        return config_path
    parts: list[str] = list(PurePosixPath(path).parts[:-1])
    for part in PurePosixPath(config_path).parts:
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in (".", "/"):
            parts.append(part)
    return "/".join(parts)


def _moves(version_base: object, texts: dict[str, str], folder: str | None, config_name: object) -> bool:
    """Whether Hydra changes the working directory before it calls the function."""
    text = texts.get(f"{folder}/{str(config_name).removesuffix('.yaml')}.yaml", "")
    if re.search(r"^\s*chdir:\s*(true|True)\s*$", text, re.M):
        return True
    return version_base == "1.1" and not re.search(r"^\s*chdir:\s*(false|False)\s*$", text, re.M)


def _listed_package(defaults: str, group: str) -> str:
    """Where the defaults list puts a group, as in `group@package`; empty where it says nothing."""
    found = re.search(rf"(?<![\w/@]){re.escape(group)}@([\w.]+)", defaults)
    if found is None:
        return ""
    # the defaults list is that of the primary configuration, whose own package is the root
    return "_global_" if found.group(1) in ("_global_", "_here_") else found.group(1).replace("_group_", group)


def _package(text: str, group: str) -> str:
    """Where Hydra puts a file of a group: its package directive, or the group."""
    for line in text.split("\n"):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            break
        found = re.match(r"#\s*@package\s+(\S+)", stripped)
        if found:
            return "" if found.group(1) == "_global_" else found.group(1).replace("_group_", group)
    return group.replace("/", ".")
