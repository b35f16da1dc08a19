"""Composing configuration with Hydra itself, and saying why where Hydra refuses. Runs inside the child.

Hydra may import what configuration names (`hydra.searchpath: [pkg://name]`) and read files anywhere (`../../name`).
Both are stopped where a name becomes a source of configuration, so that no spelling gets around it.
"""

from __future__ import annotations

import copy
import itertools
import pickle
import posixpath
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from hydra import compose, version
from hydra._internal import defaults_list
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository, IConfigRepository
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import ResultDefault
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    GrammarParseError,
    InterpolationResolutionError,
    OmegaConfBaseException,
)

from assay import yaml_tree
from assay.errors import InputError

from .interpolations import Broken, broken_interpolations

__all__ = ["Broken", "Composed", "Composer", "Kept", "Refusal"]

MAX_MESSAGE = 300
# Beyond these a file is not composed. A configuration of ten thousand keys has 200,000 characters.
MAX_FILE = 500_000
MAX_INTERPOLATIONS = 2_000
MAX_INTERPOLATION_DEPTH = 40
_OWN_PATHS = ("pkg://hydra.conf", "structured://")
_NO_CONFIG = "<none>"
_HYDRA_PART = "hydra/config"


@dataclass(frozen=True, slots=True)
class Composed:
    """A configuration as `@hydra.main` hands it to the function that it decorates.

    Args:
        config: The live configuration, in struct mode, nothing in it resolved.
    """

    config: DictConfig


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why Hydra composes nothing.

    Args:
        kind: `unknown-override`, `no-such-option`, `missing-default`, `no-such-config`, `hydra-schema`,
            `bad-defaults`, `interpolation`, `bad-override`, `yaml`, `foreign-search-path`, `plugin-absent` (what is
            missing here may be installed elsewhere) or `other`.
        message: What Hydra says, on one line.
        override: The override to blame, if one is.
        file: The submission's file to blame, if it is known.
        key: Dotted key or group that is meant, if it is known.
    """

    kind: str
    message: str
    override: str | None = None
    file: str | None = None
    key: str | None = None


class Composer:
    """Hydra over the configuration files of one submission.

    What compositions have in common (loaded files, merged defaults lists) is kept between them.

    Args:
        root: Folder that holds the files at their paths. Nothing outside it is read.
        resolvers: Names of the resolvers that the submission registers somewhere.
    """

    def __init__(self, root: Path, resolvers: frozenset[str] = frozenset()) -> None:
        self.root = root.resolve()
        self.resolvers = resolvers
        self._memory = _Memory(self.root)
        self._made: dict[tuple[object, ...], Kept | Refusal] = {}

    def compose(
        self, config_dir: str | None, config_name: str | None, overrides: Sequence[str], version_base: str | None
    ) -> Composed | Refusal:
        """What Hydra makes of a command line.

        Args:
            config_dir: Folder of the configuration, relative to the root; None for `config_path=None`.
            config_name: Name of the primary configuration; None where `@hydra.main` names none.
            overrides: The words of the command line.
            version_base: That of `@hydra.main`; `1.1` where it is left out, as Hydra then assumes.
        """
        key = (config_dir, config_name, tuple(overrides), version_base)
        if key not in self._made:
            self._made[key] = self._outcome(config_dir, config_name, overrides, version_base)
        made = self._made[key]
        # whoever asks may change it: main and its child often compose the same
        return made if isinstance(made, Refusal) else Composed(made.copy())

    def _outcome(
        self, config_dir: str | None, config_name: str | None, overrides: Sequence[str], version_base: str | None
    ) -> Kept | Refusal:
        blame = _Blame(self.root, config_dir, config_name, overrides)
        try:
            return Kept(self._compose(config_dir, config_name, list(overrides), version_base))
        except MemoryError:
            raise
        except Exception as error:
            return blame.refusal(error)
        finally:
            GlobalHydra.instance().clear()

    def unresolved(self, config: DictConfig) -> list[Broken]:
        """The interpolations of a configuration that certainly fail when they are read. Nothing is evaluated."""
        return broken_interpolations(config, self.resolvers)

    def warm_up(self) -> None:
        """Let Hydra find its plugins, load its own configuration and build its parsers, ahead of the first request."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.compose(None, None, ["+a.b=[1,'c']"], None)

    def _compose(
        self, config_dir: str | None, config_name: str | None, overrides: list[str], version_base: str | None
    ) -> DictConfig:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            version.setbase(version_base)
            folder = None
            if config_dir is not None:
                if "://" in config_dir:
                    raise _ForeignSearchPathError(config_dir)
                place = (self.root / config_dir).resolve()
                if not place.is_relative_to(self.root):
                    raise _ForeignSearchPathError(config_dir)
                folder = str(place)
            GlobalHydra.instance().clear()
            loader = _Loader(create_config_search_path(folder), self._memory)
            GlobalHydra.instance().initialize(Hydra(task_name="main", config_loader=loader))
            return compose(config_name=config_name, overrides=overrides, return_hydra_config=False)


class _ForeignSearchPathError(Exception):
    """Configuration is asked to come from outside the submission."""


class _UnsafeFileError(Exception):
    """A configuration file that would cost too much to load."""


class Kept:
    """A configuration that is handed out as copies. `copy.deepcopy` makes the same in six times the time."""

    def __init__(self, config: DictConfig | ListConfig) -> None:
        self._pickled = pickle.dumps(config, pickle.HIGHEST_PROTOCOL)

    def copy(self) -> DictConfig:
        return cast(DictConfig, pickle.loads(self._pickled))


class _Memory:
    """What compositions of one submission have in common: loaded files, and merged defaults lists.

    Both are pure functions of the files, the search path and `version_base`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.loaded: dict[tuple[object, ...], ConfigResult | None] = {}
        self.composed: dict[tuple[object, ...], Kept] = {}
        self.checked: set[str] = set()

    def check(self, path: Path) -> None:
        """Refuse a file that would cost OmegaConf's loader, which is written in Python, too much."""
        if str(path) in self.checked or not path.is_file():
            return
        text = path.read_text(encoding="utf-8", errors="replace")
        name = path.resolve().relative_to(self.root).as_posix()
        if len(text) > MAX_FILE or text.count("${") > MAX_INTERPOLATIONS or _depth(text) > MAX_INTERPOLATION_DEPTH:
            raise _UnsafeFileError(f"{name} is too large to compose")
        try:
            yaml_tree.parse(name, text)
        except InputError as error:
            raise _UnsafeFileError(str(error)) from None
        except yaml_tree.YamlSyntaxError:
            pass  # Hydra says it in its own words
        self.checked.add(str(path))


def _depth(text: str) -> int:
    """How deeply interpolations of a text nest in one another."""
    deepest = depth = 0
    for match in re.finditer(r"\$\{|\}|\n", text):
        if match.group() == "${":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth = max(depth - 1, 0) if match.group() == "}" else 0
    return deepest


class _Guarded(ConfigSource):
    """A source that gives only what lies in the submission, or in Hydra's own configuration.

    It stands before Hydra's source rather than deriving from its class: looking for plugins, Hydra executes the
    modules of its sources a second time, after which their classes are not those that were imported.
    """

    def __init__(self, source: ConfigSource, memory: _Memory) -> None:
        self.source = source
        super().__init__(provider=source.provider, path=f"{source.scheme()}://{source.path}")
        self.memory = memory
        self.is_folder = source.scheme() == "file"

    def __deepcopy__(self, memo: object) -> _Guarded:
        return self

    def scheme(self) -> str:  # type: ignore[override]
        return str(self.source.scheme())

    def load_config(self, config_path: str) -> ConfigResult:
        name = self._normalize_file_name(config_path)
        if not self._holds(name):
            raise _ForeignSearchPathError(config_path)
        if self.is_folder:
            self.memory.check(Path(self.path, name))
        return self.source.load_config(config_path)

    def available(self) -> bool:
        return self.source.available()

    def is_group(self, config_path: str) -> bool:
        return self._holds(config_path) and self.source.is_group(config_path)

    def is_config(self, config_path: str) -> bool:
        return self._holds(self._normalize_file_name(config_path)) and self.source.is_config(config_path)

    def list(self, config_path: str, results_filter: Any) -> list[str]:
        return self.source.list(config_path, results_filter) if self._holds(config_path) else []

    def _holds(self, config_path: str) -> bool:
        """Whether a path stays inside."""
        if self.is_folder:
            return Path(self.path, config_path).resolve().is_relative_to(self.memory.root)
        plain = posixpath.normpath(config_path.replace("\\", "/"))
        return plain != ".." and not plain.startswith(("../", "/"))


class _Repository(ConfigRepository):
    """Hydra's repository over guarded sources; each file is loaded once in the life of the child."""

    def __init__(self, search_path: ConfigSearchPath, memory: _Memory) -> None:
        self.memory = memory
        super().__init__(search_path)

    def __deepcopy__(self, memo: object) -> _Repository:
        # Hydra copies it so that it can give the copy other sources; the sources themselves never change
        twin = copy.copy(self)
        twin.sources = list(self.sources)
        return twin

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        entries = config_search_path.get_path()
        for entry in entries:
            if not self._is_allowed(entry.path or ""):
                raise _ForeignSearchPathError(entry.path)
        super().initialize_sources(config_search_path)
        self.sources = [self._guarded(source) for source in self.sources]

    def load_config(self, config_path: str) -> ConfigResult | None:
        key = (*((source.provider, source.path) for source in self.sources), version.getbase(), config_path)
        if key not in self.memory.loaded:
            source = self._find_object_source(config_path, ObjectType.CONFIG)
            file = key if source is None else (source.provider, source.path, version.getbase(), config_path)
            if file not in self.memory.loaded:
                self.memory.loaded[file] = super().load_config(config_path)
            self.memory.loaded[key] = self.memory.loaded[file]
        return self.memory.loaded[key]

    def _is_allowed(self, path: str) -> bool:
        if "://" in path and not path.startswith("file://"):
            return path in _OWN_PATHS
        return Path(path.removeprefix("file://")).resolve().is_relative_to(self.memory.root)

    def _guarded(self, source: ConfigSource) -> ConfigSource:
        return source if source.scheme() == "structured" else _Guarded(source, self.memory)


class _Loader(ConfigLoaderImpl):
    """Hydra's loader, without what it writes down about the run itself; merged defaults lists are computed once."""

    def __init__(self, search_path: ConfigSearchPath, memory: _Memory) -> None:
        self.config_search_path = search_path
        self.memory = memory
        self.repository = _Repository(search_path, memory)

    def _load_configuration_impl(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        # the same steps as Hydra's; it then fills in `hydra.runtime` and `hydra.job`, which no program is handed
        self.ensure_main_config_source_available()
        parsed, repo = self._parse_overrides_and_create_caching_repo(config_name, overrides)
        self.validate_sweep_overrides_legal(overrides=parsed, run_mode=run_mode, from_shell=from_shell)
        made = defaults_list.create_defaults_list(
            repo=repo, config_name=config_name, overrides_list=parsed, prepend_hydra=True, skip_missing=False
        )
        config = self._compose_config_from_defaults_list(made.defaults, repo)
        OmegaConf.set_struct(config, True)
        OmegaConf.set_readonly(config.hydra, False)
        ConfigLoaderImpl._apply_overrides_to_config(made.config_overrides, config)
        return config

    def _compose_config_from_defaults_list(self, defaults: list[ResultDefault], repo: IConfigRepository) -> DictConfig:
        key = (version.getbase(), *(_identity(item, repo) for item in defaults))
        kept = self.memory.composed.get(key)
        if kept is None:
            own = list(itertools.takewhile(lambda item: (item.config_path or "").startswith("hydra/"), defaults))
            copies = _Copies(repo)
            if own and len(own) < len(defaults):
                # Hydra's own part comes first and is mostly the same: merged, it stands in for what it is made of
                copies.hydra_part = self._compose_config_from_defaults_list(own, repo)
                defaults = [ResultDefault(config_path=_HYDRA_PART, package=""), *defaults[len(own) :]]
            kept = Kept(super()._compose_config_from_defaults_list(defaults, copies))
            self.memory.composed[key] = kept
        return kept.copy()


def _identity(item: ResultDefault, repo: IConfigRepository) -> tuple[object, ...]:
    """All that decides what an item of a defaults list adds."""
    loaded = repo.load_config(item.config_path) if item.config_path is not None else None
    place = (loaded.provider, loaded.path) if loaded is not None else None
    return (item.config_path, item.package, item.is_self, item.primary, place)


class _Copies(IConfigRepository):
    """A repository that gives copies away: merging takes the nodes of what it merges.

    As in Hydra, a file that one composition merges twice gives the same nodes twice.
    """

    def __init__(self, repo: IConfigRepository) -> None:
        self.repo = repo
        self.hydra_part: DictConfig | None = None
        self.given: dict[str, ConfigResult | None] = {}

    def load_config(self, config_path: str) -> ConfigResult | None:
        if config_path == _HYDRA_PART and self.hydra_part is not None:
            return ConfigResult("hydra", "", self.hydra_part, {"package": ""}, is_schema_source=True)
        if config_path not in self.given:
            loaded = self.repo.load_config(config_path)
            if loaded is not None:
                loaded = copy.copy(loaded)
                loaded.config = copy.deepcopy(loaded.config)
            self.given[config_path] = loaded
        return self.given[config_path]

    def get_schema_source(self) -> ConfigSource:
        return self.repo.get_schema_source()

    def group_exists(self, config_path: str) -> bool:
        return self.repo.group_exists(config_path)

    def config_exists(self, config_path: str) -> bool:
        return self.repo.config_exists(config_path)

    def get_group_options(self, group_name: str, results_filter: ObjectType | None = ObjectType.CONFIG) -> list[str]:
        return self.repo.get_group_options(group_name, results_filter)

    def get_sources(self) -> list[ConfigSource]:
        return self.repo.get_sources()

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        self.repo.initialize_sources(config_search_path)


def _create_interpolation_map(overrides: Any, entries: list[Any], self_added: bool) -> Any:
    """Hydra's function, which is called for each file and matters only to defaults that hold an interpolation."""
    if any(item.is_interpolation() for item in entries):
        return _hydra_interpolation_map(overrides, entries, self_added)
    return None


_hydra_interpolation_map = defaults_list._create_interpolation_map
defaults_list._create_interpolation_map = _create_interpolation_map  # type: ignore[assignment]


_KEY_LINE = re.compile(r"^\s*(full_key|object_type|reference_type)\b", re.MULTILINE)
_IN_CONFIG = re.compile(r"^In '([^'\n]*)'")
_MUST_SPECIFY = re.compile(r"You must specify '([^']*)'")
_COULD_NOT = re.compile(r"Could not (?:override|delete|append)[^'\n]*'([^'\n]*)'")


class _Blame:
    """Turns what Hydra raises into a refusal."""

    def __init__(self, root: Path, config_dir: str | None, config_name: str | None, overrides: Sequence[str]) -> None:
        self.root = root
        self.config_dir = config_dir
        self.config_name = config_name
        self.overrides = overrides

    def refusal(self, error: Exception) -> Refusal:
        said = self._said(error)
        if isinstance(error, _ForeignSearchPathError):
            path = str(error)[:100]
            message = f"configuration is taken from outside the submission: {path}"
            override = next((item for item in self.overrides if "searchpath" in item), None)
            return Refusal("foreign-search-path", message, override, key="hydra.searchpath")
        if isinstance(error, _UnsafeFileError):
            return Refusal("other", said)
        if isinstance(error, OverrideParseException):
            return Refusal("bad-override", said, override=error.override)
        if isinstance(error, MissingConfigException):
            return self._missing(error, said)
        if isinstance(error, yaml.YAMLError):
            return Refusal("yaml", said)
        if isinstance(error, GrammarParseError):
            return Refusal("interpolation", said)
        if isinstance(error, ConfigCompositionException):
            return self._not_composed(error, said)
        if isinstance(error, ValueError) and "default" in said.lower():
            return Refusal("bad-defaults", said, file=self._file_named(str(error)), key="defaults")
        if isinstance(error, UnicodeDecodeError):
            return Refusal("yaml", said)
        return Refusal("other", f"{type(error).__name__}: {said}" if said else type(error).__name__)

    def _missing(self, error: MissingConfigException, said: str) -> Refusal:
        name = error.missing_cfg_file
        if name is None or name == self.config_name:
            return Refusal("no-such-config", said, key=self.config_name)
        if name.startswith("hydra/"):
            return Refusal("plugin-absent", said, override=self._choosing(name), key=name.rpartition("/")[0])
        group = name.rpartition("/")[0] or name
        return Refusal("no-such-option", said, self._choosing(name), self._file_named(str(error)), group)

    def _not_composed(self, error: ConfigCompositionException, said: str) -> Refusal:
        text = str(error)
        below = error.__cause__ or error.__context__
        full_key = str(getattr(below, "full_key", None) or "") or None
        if full_key == "_dummy_":  # Hydra's own name for an entry of a defaults list
            full_key = None
        file = self._file_named(text)
        if match := _MUST_SPECIFY.search(text):
            return Refusal("missing-default", said, None, self._asking(match.group(1)), match.group(1))
        if text.startswith(("Ambiguous value", "Sweep parameters", "Sweeping over")):
            return Refusal("bad-override", said, self._quoted(text))
        key = full_key or (match.group(1) if (match := _COULD_NOT.search(text)) else None)
        override = self._of_key(key) if file is None else None
        if isinstance(below, InterpolationResolutionError | GrammarParseError) or "resolving interpolation" in text:
            return Refusal("interpolation", said, override, file, key)
        if override is not None and isinstance(below, ConfigAttributeError | ConfigKeyError | type(None)):
            kind = "hydra-schema" if (key or "").split(".")[0] == "hydra" and "." in (key or "") else "unknown-override"
            return Refusal(kind, said, override, file, key)
        if isinstance(below, OmegaConfBaseException) and (full_key or "").split(".")[0] == "hydra":
            return Refusal("hydra-schema", said, override, file, full_key)
        if override is not None:
            return Refusal("unknown-override", said, override, file, key)
        if below is None:
            return Refusal("bad-defaults", said, None, file, key or "defaults")
        return Refusal("other", said, None, file, key)

    def _said(self, error: BaseException) -> str:
        """What an exception and its cause say, on one line, without paths of this machine."""
        parts = [str(error)]
        below = error.__cause__ or (error.__context__ if isinstance(error, ConfigCompositionException) else None)
        if isinstance(below, OmegaConfBaseException) and str(below) not in parts[0]:
            parts.append(str(below))
        lines: list[str] = []
        for part in parts:
            part = re.split(r"\n\s*(?:Config search path|Search path):", part)[0]
            lines += [line.strip() for line in part.splitlines() if line.strip() and not _KEY_LINE.match(line)]
        line = " ".join(dict.fromkeys(lines))
        line = line.replace(f"{self.root}/", "").replace(str(self.root), "the submission")
        line = re.sub(r"(?<![\w.])/(?:[\w.+-]+/)+", "", line)
        return line if len(line) <= MAX_MESSAGE else line[: MAX_MESSAGE - 3] + "..."

    def _file_named(self, text: str) -> str | None:
        """The submission's file that Hydra's `In 'name': ...` means."""
        match = _IN_CONFIG.match(text) or re.search(
            r"[Ii]nvalid defaults list in '([^'\n]*)'|\b[Ii]n ([\w./-]+):", text
        )
        return self._path_of(next(filter(None, match.groups()), "")) if match else None

    def _path_of(self, config: str) -> str | None:
        if self.config_dir is None:
            return None
        for ending in ("", ".yaml", ".yml"):
            path = (self.root / self.config_dir / f"{config}{ending}").resolve()
            if path.is_relative_to(self.root) and path.is_file():
                return path.relative_to(self.root).as_posix()
        return None

    def _choosing(self, name: str) -> str | None:
        """The override that chooses a configuration such as `run/a`."""
        for override in self.overrides:
            group, _, value = override.partition("=")
            if f"{group.lstrip('+~').partition('@')[0]}/{value.strip(chr(39) + chr(34))}" == name:
                return override
        return None

    def _of_key(self, key: str | None) -> str | None:
        """The override that sets a key, or one below it."""
        if key is None:
            return None
        named = [(item.lstrip("+~").partition("=")[0], item) for item in self.overrides]
        exact = next((item for name, item in named if name == key), None)
        near = (item for name, item in named if f"{name}.".startswith(f"{key}.") or f"{key}.".startswith(f"{name}."))
        return exact or next(near, None)

    def _quoted(self, text: str) -> str | None:
        return next((item for item in self.overrides if f"'{item}'" in text), None)

    def _asking(self, group: str) -> str | None:
        """The file whose defaults list asks for a group without choosing; the primary one before others."""
        if self.config_dir is None:
            return None
        folder = self.root / self.config_dir
        primary = self._path_of(self.config_name or _NO_CONFIG)
        plain = group.partition("@")[0].rpartition("/")[2]
        pattern = re.compile(rf"(?m)^\s*-\s*(?:override\s+|optional\s+)*/?[\w/]*{re.escape(plain)}\b[^:\n]*:\s*\?\?\?")
        others = (path.relative_to(self.root).as_posix() for path in _yaml_files(folder))
        for path in dict.fromkeys([*([primary] if primary else []), *others]):
            if pattern.search((self.root / path).read_text(encoding="utf-8", errors="replace")):
                return path
        return primary


def _yaml_files(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.rglob("*") if path.suffix in (".yaml", ".yml") and path.is_file())
