"""OmegaConf's own containers as the enactment holds them: real reads, writes and merges, with unknown values in them.

A value that is not known stands in a configuration as a marker, a text that no submission writes. Reading it gives the
value back.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import PurePath

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.base import Node as OmegaNode
from omegaconf.errors import OmegaConfBaseException

from assay.analysis.enactment.values import (
    ABSENT,
    ANYTHING,
    CONSTANTS,
    Choice,
    External,
    FilePath,
    Items,
    Node,
    Pairs,
    choice,
    is_constant,
)

MARK = "\u2060assay\u2060"
MAX_SIZE = 3_000
MAX_DEPTH = 40

CONTAINERS = (DictConfig, ListConfig)
# What a name after the dot means for a configuration, whatever keys it has.
DICT_METHODS = frozenset(name for name in dir(DictConfig) if not name.startswith("_"))
LIST_METHODS = frozenset(name for name in dir(ListConfig) if not name.startswith("_"))


class RaisedError(Exception):
    """An operation of the submission that certainly raises.

    Args:
        names: Names of the exception's class and of its bases.
        message: What it says, on one line.
        key: Dotted key that it is about, if it is.
    """

    def __init__(self, names: tuple[str, ...], message: str, key: str = "", merged: object = None) -> None:
        super().__init__(message)
        self.names = names
        self.message = message
        self.key = key
        self.merged = merged


class Configurations:
    """The configurations of one enactment.

    Args:
        region: The region that is being enacted.
    """

    def __init__(self, region: Callable[[], int] = lambda: 0) -> None:
        self.held: dict[str, object] = {}
        self.handed = 0
        # configurations whose flags `flag_override` has set for a while
        self.overridden: list[object] = []
        self._region = region
        self._open: dict[int, object] = {}
        self._shaken: set[int] = set()
        self._doubtful: dict[tuple[int, object], object] = {}
        self._made: dict[int, tuple[int, object]] = {}

    def hold(self, value: object) -> str:
        """A marker for a value that a configuration cannot hold."""
        mark = f"{MARK}{len(self.held)}{MARK}"
        self.held[mark] = value
        return mark

    def unknown(self, *_: object) -> str:
        """What a resolver gives whose result is not known."""
        self.handed += 1
        return self.hold(ANYTHING)

    def abstract(self, value: object) -> object:
        """A value that was read from a configuration, as the enactment holds it."""
        if isinstance(value, CONTAINERS):
            return Node(value)
        if isinstance(value, str):
            if MARK not in value:
                return value
            return self.held.get(value, ANYTHING)
        if isinstance(value, PurePath):
            return FilePath(str(value))
        return value if isinstance(value, CONSTANTS) else ANYTHING

    def plain(self, value: object, budget: list[int] | None = None, depth: int = MAX_DEPTH) -> object:
        """A value of the enactment as a configuration can hold it."""
        budget = budget if budget is not None else [MAX_SIZE]
        budget[0] -= 1
        if budget[0] < 0 or depth < 0:
            return self.hold(ANYTHING)
        if is_constant(value):
            return value
        if isinstance(value, Node):
            budget[0] -= _size(value.config)
            return value.config if budget[0] >= 0 else self.hold(ANYTHING)
        if isinstance(value, Choice):
            # what is written into a configuration becomes one
            return self.hold(choice([self._as_read(one) for one in value.values]))
        if isinstance(value, Items) and not value.open and value.kind != "set":
            return [self.plain(item, budget, depth - 1) for item in value.items]
        if isinstance(value, Pairs) and not value.attributes:
            pairs = {
                key: self.plain(one, budget, depth - 1)
                for key, one in value.pairs.items()
                if isinstance(key, str | int)
            }
            if value.open or value.doubtful:
                created = OmegaConf.create(pairs)
                if value.open:
                    self.shake(created)
                for key in value.doubtful:
                    self.doubt(created, key)
                return created
            return pairs
        return self.hold(value)

    def _as_read(self, value: object) -> object:
        return self.created(value) if isinstance(value, Items | Pairs) else value

    def made(self, config: object) -> Node:
        """A configuration that is made here."""
        root = _root(config)
        if root is config:
            self._made[id(config)] = (self._region(), config)
        return Node(config)

    def region_of(self, config: object) -> int:
        """The region in which a configuration was made."""
        found = self._made.get(id(_root(config)))
        return found[0] if found is not None else 0

    def doubt(self, config: object, key: object) -> None:
        """Remember that an entry may not be there."""
        self._doubtful[id(config), key] = config

    def settle(self, config: object, key: object) -> None:
        """Remember that an entry is there."""
        self._doubtful.pop((id(config), key), None)

    def is_sure(self, config: object) -> bool:
        """Whether the entries of a configuration are known to the last."""
        return not self.is_open(config) and not any(number == id(config) for number, _ in self._doubtful)

    def is_sure_below(self, config: object) -> bool:
        """Whether the entries of a configuration and of all the nodes in it are known to the last."""
        root = _root(config)
        return not self.is_open(config) and not any(_root(one) is root for one in self._doubtful.values())

    def remove(self, config: object, key: object) -> None:
        """Take an entry out of a configuration, in whatever mode it is."""
        if not isinstance(config, CONTAINERS):
            return
        kept = {name: config._get_node_flag(name) for name in ("struct", "readonly")}
        try:
            for name in kept:
                config._set_flag(name, False)
            if key in config:
                del config[key]  # type: ignore[arg-type]
        except Exception:
            self.open(config)
        finally:
            for name, value in kept.items():
                config._set_flag(name, value)

    def append(self, config: object, value: object) -> None:
        """`config.append(value)`."""
        try:
            config.append(self.plain(value))  # type: ignore[attr-defined]
        except Exception:
            self.open(config)

    def open(self, config: object) -> None:
        """Remember that a configuration may hold more than is known."""
        root = _root(config)
        self._open[id(root)] = root

    def shake(self, config: object) -> None:
        """Remember that a configuration may hold more than is known, and other values."""
        self.open(config)
        self._shaken.add(id(_root(config)))

    def is_open(self, config: object) -> bool:
        """Whether a configuration may hold more than is known."""
        return id(_root(config)) in self._open

    def container(
        self,
        value: object,
        path: str | None = None,
        budget: list[int] | None = None,
        *,
        resolve: bool = True,
        deep: bool = True,
    ) -> object:
        """A configuration as lists and dictionaries.

        Args:
            value: The configuration.
            path: Its dotted key.
            budget: How many entries may still be made.
            resolve: Whether interpolations are replaced by what they stand for.
            deep: Whether configurations inside it become lists and dictionaries, too.
        """
        budget = budget if budget is not None else [MAX_SIZE]
        budget[0] -= 1
        if budget[0] < 0:
            return ANYTHING
        if not isinstance(value, CONTAINERS):
            held = self.abstract(value)
            if not isinstance(held, Choice):
                return held
            return choice([self._deep(one, budget) for one in held.values])
        is_open = self.is_open(value)
        region = self._region()
        empty = value._is_none() or value._is_missing()

        def entry(key: object) -> object:
            raw = self._raw(value, key, resolve)
            if not deep:
                return self.abstract(raw)
            return self.container(raw, _joined(path, key), budget, resolve=resolve)

        if isinstance(value, ListConfig):
            items = [] if empty else [entry(index) for index in range(len(value))]
            return Items(items, open=is_open, hollow=is_open, path=path, region=region)
        names = [] if empty else list(value.keys())
        doubtful: set[object] = {name for name in names if (id(value), name) in self._doubtful}
        return Pairs({name: entry(name) for name in names}, is_open, region, path, doubtful=doubtful)

    def _deep(self, value: object, budget: list[int]) -> object:
        return self.container(value.config, None, budget) if isinstance(value, Node) else value

    def _raw(self, config: DictConfig | ListConfig, key: object, resolve: bool) -> object:
        try:
            if not resolve:
                node = config._get_node(key)  # type: ignore[arg-type]
                if isinstance(node, OmegaNode) and (node._is_interpolation() or node._is_missing()):
                    return node._value()
            return _entry(config, key)
        except Exception:
            return self.hold(ANYTHING)

    def attribute(self, config: object, name: str) -> object:
        """`config.name`."""
        if name.startswith("__") or not isinstance(config, CONTAINERS):
            return ANYTHING
        if not isinstance(config, DictConfig):
            raise RaisedError(
                ("ConfigAttributeError", "AttributeError", "Exception"), f"a list has no attribute `{name}`"
            )
        return self.read(config, lambda: config.__getattr__(name), name)

    def item(self, config: object, key: object) -> object:
        """`config[key]`."""
        return self.read(config, lambda: _entry(config, key), key)

    def get(self, config: object, key: object, default: object) -> object:
        """`config.get(key, default)`."""
        absent = object()
        value = self.read(config, lambda: config.get(key, absent), key)  # type: ignore[attr-defined]
        if value is absent:
            return default
        if (id(config), key) in self._doubtful and not isinstance(value, Node):
            return choice([value, default])
        return value

    def select(self, config: object, key: str, default: object) -> object:
        """`OmegaConf.select(config, key, default=default)`; it is `ABSENT` where none is given."""
        absent = object()
        how = lambda: OmegaConf.select(config, key, default=absent)  # type: ignore[arg-type]  # noqa: E731
        value = self.read(config, how, key)
        if value is absent:
            return ANYTHING if self.is_open(config) else (None if default is ABSENT else default)
        return ANYTHING if self._doubtful and not isinstance(value, Node) else value

    def has(self, config: object, key: object) -> bool | None:
        """`key in config`; None where it cannot be told."""
        try:
            found = key in config  # type: ignore[operator]
        except Exception:
            return None
        if (id(config), key) in self._doubtful or id(_root(config)) in self._shaken:
            return None
        return True if found else (None if self.is_open(config) else False)

    def read(self, config: object, how: Callable[[], object], key: object) -> object:
        """What a read gives.

        Raises:
            RaisedError: where it certainly raises.
        """
        if not is_constant(key):
            return ANYTHING
        handed = self.handed
        try:
            value = how()
        except (OmegaConfBaseException, KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            # a resolver may have refused what is not known
            if self.is_open(config) or self.handed != handed:
                return ANYTHING
            raise fault_of(error, self.key_of(config, key)) from None
        if type(value) is object:
            return ANYTHING if self.is_open(config) else value
        read = self.abstract(value)
        if self._shaken and id(_root(config)) in self._shaken and not isinstance(read, Node | External):
            return choice([read, ANYTHING])
        return read

    def write(self, config: object, key: object, value: object, *, attribute: bool = False) -> None:
        """`config[key] = value`.

        Raises:
            RaisedError: where it certainly raises.
        """
        if not isinstance(key, str | int) or not isinstance(config, CONTAINERS):
            self.shake(config)
            return
        plain = self.plain(value)
        try:
            if attribute and isinstance(key, str) and isinstance(config, DictConfig):
                config.__setattr__(key, plain)
            else:
                config[key] = plain  # type: ignore[index]
        except OmegaConfBaseException as error:
            fault = fault_of(error, self.key_of(config, key))
            self.force(config, key, plain)
            if self.is_open(config) and "not in struct" not in fault.message and "read-only" not in fault.message:
                return
            raise fault from None
        except (TypeError, ValueError, IndexError, AttributeError) as error:
            if self.is_open(config):
                return
            raise fault_of(error, self.key_of(config, key)) from None

    def force(self, config: object, key: object, plain: object) -> None:
        """Write in spite of struct mode and read-only flags, to go on as if the fault were repaired."""
        if not isinstance(config, CONTAINERS):
            return
        kept = {name: config._get_node_flag(name) for name in ("struct", "readonly")}
        try:
            for name in kept:
                config._set_flag(name, False)
            config[key] = plain  # type: ignore[index]
        except Exception:
            self.open(config)
        finally:
            for name, value in kept.items():
                config._set_flag(name, value)

    def update(self, config: object, key: str, value: object, **options: bool) -> None:
        """`OmegaConf.update(config, key, value)`.

        Raises:
            RaisedError: where it certainly raises.
        """
        if not isinstance(config, CONTAINERS):
            return
        plain = self.plain(value)
        try:
            OmegaConf.update(config, key, plain, **options)
        except (OmegaConfBaseException, TypeError, ValueError, AttributeError) as error:
            fault = fault_of(error, key)
            try:
                OmegaConf.update(config, key, plain, force_add=True)
            except Exception:
                self.open(config)
            raise fault from None

    def merge(self, values: list[object]) -> object:
        """`OmegaConf.merge(*values)`.

        Raises:
            RaisedError: where it certainly raises; `merged` is what it would have given without struct mode.
        """
        plains: list[object] = []
        roots = {id(_root(config)) for config in self._doubtful.values()}
        is_open = is_shaken = False
        for value in values:
            if isinstance(value, Node):
                root = _root(value.config)
                is_open = is_open or self.is_open(root)
                is_shaken = is_shaken or id(root) in self._shaken or id(root) in roots
                plains.append(value.config)
            elif isinstance(value, Pairs | Items) and not value.open:
                plains.append(self.plain(value))
            else:
                is_shaken = True
                if isinstance(value, Pairs):
                    plains.append(self.plain(value))
        if not plains:
            return ANYTHING
        try:
            merged = OmegaConf.merge(*plains)
        except (OmegaConfBaseException, ValueError, TypeError) as error:
            fault = fault_of(error, "")
            try:
                free = copy.deepcopy(plains[0])
                if isinstance(free, CONTAINERS):
                    _loosen(free)
                merged = OmegaConf.merge(free, *plains[1:])
                if isinstance(plains[0], CONTAINERS):
                    OmegaConf.set_struct(merged, OmegaConf.is_struct(plains[0]))
            except Exception:
                merged = OmegaConf.create({})
                is_shaken = True
            self._mark(merged, is_open, is_shaken)
            fault.merged = self.made(merged)
            raise fault from None
        self._mark(merged, is_open, is_shaken)
        return self.made(merged)

    def _mark(self, config: object, is_open: bool, is_shaken: bool) -> None:
        if is_shaken:
            self.shake(config)
        elif is_open:
            self.open(config)

    def merge_with(self, config: object, values: list[object]) -> None:
        """`config.merge_with(*values)`.

        Raises:
            RaisedError: where it certainly raises.
        """
        if not isinstance(config, CONTAINERS):
            return
        plains = [self.plain(value) for value in values if isinstance(value, Node | Pairs | Items)]
        if len(plains) < len(values):
            self.shake(config)
        try:
            config.merge_with(*plains)
        except (OmegaConfBaseException, ValueError, TypeError) as error:
            fault = fault_of(error, "")
            struct = config._get_node_flag("struct")
            try:
                OmegaConf.set_struct(config, False)
                config.merge_with(*plains)
            except Exception:
                self.open(config)
            config._set_flag("struct", struct)
            raise fault from None

    def copied(self, value: Node, *, deep: bool = True) -> Node:
        """`copy.deepcopy(config)`, or `copy.copy(config)`."""
        if _size(value.config) > MAX_SIZE:
            self.shake(value.config)
            return value
        made = copy.deepcopy(value.config) if deep else copy.copy(value.config)
        if self.is_open(value.config):
            self.open(made)
            if id(_root(value.config)) in self._shaken:
                self.shake(made)
        pending: list[tuple[object, object]] = [(value.config, made)] if self._doubtful else []
        while pending:
            old, new = pending.pop()
            for number, key in list(self._doubtful):
                if number == id(old):
                    self.doubt(new, key)
            if isinstance(old, DictConfig) and isinstance(new, DictConfig) and not old._is_none():
                pending += [(one, new._get_node(key)) for key, one in old.items_ex(resolve=False)]
        return self.made(made)

    def created(self, value: object) -> object:
        """`OmegaConf.create(value)`."""
        if isinstance(value, Node):
            return self.copied(value)
        if isinstance(value, Pairs | Items) or (isinstance(value, str) and MARK not in value):
            plain = self.plain(value)
            if isinstance(plain, str) and MARK in plain:
                return ANYTHING
            try:
                made = OmegaConf.create(plain)  # type: ignore[call-overload]
            except Exception:
                return ANYTHING
            if isinstance(value, Pairs | Items) and value.open:
                self.shake(made)
            return self.made(made) if isinstance(made, CONTAINERS) else ANYTHING
        return ANYTHING

    def key_of(self, config: object, key: object) -> str:
        """The dotted key of an entry."""
        return _joined(self.path_of(config), key)

    def path_of(self, config: object) -> str:
        """The dotted key of a node from its root."""
        path = ""
        node = config
        while isinstance(node, CONTAINERS) and (key := node._key()) is not None:
            node = node._get_parent()
            path = f".{key}{path}"
        return path.removeprefix(".")


def _entry(config: object, key: object) -> object:
    return config[key]  # type: ignore[index]


def fault_of(error: Exception, key: str) -> RaisedError:
    """An exception of OmegaConf or Python as a fault."""
    names = tuple(one.__name__ for one in type(error).__mro__ if one not in (object, BaseException))
    lines = [line.strip() for line in str(error).split("\n") if line.strip()]
    message = (lines[0] if lines else type(error).__name__)[:300]
    full = next((line.removeprefix("full_key:").strip() for line in lines if line.startswith("full_key:")), "")
    shown = "a value that is not known" if MARK in message else message
    return RaisedError(names, shown, full or key)


def _joined(path: str | None, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _root(config: object) -> object:
    return config._get_root() if isinstance(config, CONTAINERS) else config


def _size(config: object) -> int:
    """How many values a configuration holds, counted up to one more than it may."""
    count = 0
    pending = [config]
    while pending and count <= MAX_SIZE:
        one = pending.pop()
        count += 1
        content = one.__dict__.get("_content") if isinstance(one, CONTAINERS) else None
        if isinstance(content, dict):
            pending += content.values()
        elif isinstance(content, list):
            pending += content
    return count


def _loosen(config: DictConfig | ListConfig) -> None:
    OmegaConf.set_struct(config, False)
    OmegaConf.set_readonly(config, False)
