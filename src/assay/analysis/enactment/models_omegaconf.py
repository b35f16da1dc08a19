"""What the functions of OmegaConf do, and those of Hydra that a program calls itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from omegaconf import DictConfig, OmegaConf

from assay.analysis.enactment.composing import Kept
from assay.analysis.enactment.configurations import CONTAINERS, MARK, RaisedError, fault_of
from assay.analysis.enactment.describing import describe, json_text
from assay.analysis.enactment.models_files import file_text, file_value, keep
from assay.analysis.enactment.operations import MAX_TEXT, ROOT, join_path
from assay.analysis.enactment.registry import MODELS, Call, Model, model
from assay.analysis.enactment.syntax_questions import MAX_FILES
from assay.analysis.enactment.values import (
    ABSENT,
    ANYTHING,
    Choice,
    Items,
    Method,
    Node,
    Pairs,
    choice,
    is_constant,
    marks_of,
)


@model("omegaconf.OmegaConf.load")
def _load(call: Call) -> object:
    machine = call.machine
    given = call.first(0, "file_", ANYTHING)
    text = file_text(machine, given)
    if text is None:
        held = file_value(machine, given)
        return machine.configurations.created(held) if held is not None else ANYTHING
    kept = _read(text)
    return ANYTHING if kept is None else machine.configurations.made(kept.copy())


@lru_cache(MAX_FILES)
def _read(text: str) -> Kept | None:
    """The configuration that a file holds. Each program of each run loads the same few files."""
    try:
        made = OmegaConf.create(text)
    except Exception:
        return None
    return Kept(made) if isinstance(made, CONTAINERS) else None


@model("omegaconf.OmegaConf.merge", "omegaconf.OmegaConf.unsafe_merge")
def _merge(call: Call) -> object:
    values = [ANYTHING if isinstance(value, Choice) else value for value in call.positional]
    try:
        return call.machine.configurations.merge(values)
    except RaisedError as fault:
        return call.machine.fault(fault, call.node, recover=fault.merged, what="merge")


@model("omegaconf.OmegaConf.create", "omegaconf.DictConfig", "omegaconf.ListConfig", "omegaconf.OmegaConf.structured")
def _create(call: Call) -> object:
    made = call.machine.configurations.created(call.positional[0] if call.positional else Pairs({}))
    if call.keywords and isinstance(made, Node):
        call.machine.configurations.shake(made.config)
    return made


@model("omegaconf.OmegaConf.from_dotlist")
def _from_dotlist(call: Call) -> object:
    return _of_dotlist(call, call.first(0, "dotlist"))


@model("omegaconf.OmegaConf.from_cli")
def _from_cli(call: Call) -> object:
    argv = call.first(0, "args_list")
    if argv is ABSENT:
        own = call.machine.argv
        argv = Items(own.items[1:], open=own.open) if isinstance(own, Items) else ANYTHING
    return _of_dotlist(call, argv)


def _of_dotlist(call: Call, words: object) -> object:
    turns = call.machine.turns(words)
    if turns is None or not all(isinstance(one, str) and MARK not in one for one in turns):
        return ANYTHING
    try:
        return call.machine.configurations.made(OmegaConf.from_dotlist([str(one) for one in turns]))
    except Exception:
        return ANYTHING


@model("omegaconf.OmegaConf.update")
def _update(call: Call) -> object:
    machine, configurations = call.machine, call.machine.configurations
    config = call.first(0, "cfg", ANYTHING)
    key = call.first(1, "key", ANYTHING)
    value = call.first(2, "value", None)
    if not isinstance(config, Node):
        machine.havoc([config])
        return None
    keys = key.values if isinstance(key, Choice) else (key,)
    sure = len(keys) == 1 and machine.is_sure(config.config)
    for one in keys:
        marks = tuple(sorted(marks_of(value, one)))
        if not isinstance(one, str):
            configurations.shake(config.config)
            machine.emit("write", call.node, path=None, marks=marks)
            continue
        options = {name: flag for name in ("merge", "force_add") if isinstance(flag := call.keywords.get(name), bool)}
        base = configurations.path_of(config.config)
        new = value
        merges = options.get("merge", True) and isinstance(value, Node | Pairs)
        if not sure and not merges:
            try:
                new = machine.mixed(configurations.select(config.config, one, None), value)
            except RaisedError:
                new = ANYTHING
        try:
            configurations.update(config.config, one, new, **options)
        except RaisedError as fault:
            machine.fault(fault, call.node, what="update")
        if not sure:
            configurations.shake(config.config)
        machine.emit("write", call.node, path=f"{base}.{one}" if base else one, marks=marks)
    return None


@model("omegaconf.OmegaConf.select")
def _select(call: Call) -> object:
    machine = call.machine
    config = call.first(0, "cfg", ANYTHING)
    key = call.first(1, "key", ANYTHING)
    default = call.keywords.get("default", ABSENT)
    if not isinstance(config, Node) or not isinstance(key, str):
        return ANYTHING
    base = machine.configurations.path_of(config.config)
    try:
        value = machine.configurations.select(config.config, key, default)
    except RaisedError:
        value = ANYTHING
    shown = None if default is ABSENT else default
    machine.emit(
        "read", call.node, path=f"{base}.{key}" if base else key, by="select", found=value is not shown,
        default=describe(machine, shown, 1), marks=tuple(sorted(marks_of(value))),
    )  # fmt: skip
    return value


@model("omegaconf.OmegaConf.to_container", "omegaconf.OmegaConf.to_object")
def _to_container(call: Call) -> object:
    value = call.first(0, "cfg", ANYTHING)
    resolve = call.keywords.get("resolve", False) if call.name.endswith("to_container") else True
    if isinstance(value, Choice):
        return choice([_container(call, one, resolve) for one in value.values if not is_constant(one)] or [ANYTHING])
    return _container(call, value, resolve)


def _container(call: Call, value: object, resolve: object) -> object:
    machine = call.machine
    if not isinstance(value, Node):
        if is_constant(value):
            message = "OmegaConf.to_container takes a configuration, and this is none"
            return machine.fault(RaisedError(("ValueError", "Exception"), message), call.node, what="container")
        return ANYTHING
    config = value.config
    if resolve is True:
        _resolved(call, lambda: OmegaConf.to_container(config, resolve=True))
    path = machine.configurations.path_of(config)
    return machine.configurations.container(config, path, resolve=resolve is True)


@model("omegaconf.OmegaConf.to_yaml")
def _to_yaml(call: Call) -> object:
    value = call.first(0, "cfg", ANYTHING)
    if not isinstance(value, Node):
        return ANYTHING
    config, resolve = value.config, call.keywords.get("resolve") is True
    is_sorted = call.keywords.get("sort_keys", False)
    text = _resolved(call, lambda: OmegaConf.to_yaml(config, resolve=resolve, sort_keys=is_sorted is True))
    if not isinstance(is_sorted, bool) or not call.machine.configurations.is_sure_below(config):
        return ANYTHING
    return text if isinstance(text, str) and len(text) <= MAX_TEXT and MARK not in text else ANYTHING


def _resolved(call: Call, how: Callable[[], object]) -> object:
    """Something that resolves all interpolations of a configuration."""
    configurations = call.machine.configurations
    handed = configurations.handed
    try:
        return how()
    except Exception as error:
        # a resolver may have refused what is not known
        if configurations.handed != handed:
            return ANYTHING
        return call.machine.fault(fault_of(error, ""), call.node, what="resolve")


@model("omegaconf.OmegaConf.to_json")
def _to_json(call: Call) -> object:
    # there is no such function; go on with what it would have to give
    value = call.first(0, "cfg", ANYTHING)
    return json_text(call.machine.configurations.container(value.config)) if isinstance(value, Node) else ANYTHING


@model("omegaconf.OmegaConf.resolve")
def _resolve(call: Call) -> object:
    value = call.first(0, "cfg", ANYTHING)
    if not isinstance(value, Node):
        return None
    if not call.machine.is_sure(value.config):
        call.machine.configurations.shake(value.config)
        return None
    config = value.config
    _resolved(call, lambda: OmegaConf.resolve(config))  # type: ignore[arg-type]
    return None


@model("omegaconf.OmegaConf.masked_copy")
def _masked_copy(call: Call) -> object:
    value, keys = call.first(0, "conf", ANYTHING), call.first(1, "keys", ANYTHING)
    turns = [keys] if isinstance(keys, str) else call.machine.turns(keys)
    if not isinstance(value, Node) or turns is None or not all(isinstance(one, str) for one in turns):
        return ANYTHING
    config = value.config
    if not isinstance(config, DictConfig) or not call.machine.configurations.is_sure(config):
        return ANYTHING
    try:
        return call.machine.configurations.made(OmegaConf.masked_copy(config, [str(one) for one in turns]))
    except Exception:
        return ANYTHING


def _flag_named(flag: str) -> Model:
    def carry(call: Call) -> object:
        config = call.first(0, "conf", ANYTHING)
        value = call.first(1, "value", ANYTHING)
        configs = config.values if isinstance(config, Choice) else (config,)
        for one in configs:
            if not isinstance(one, Node) or not isinstance(one.config, CONTAINERS):
                continue
            if isinstance(value, bool | None) and len(configs) == 1 and call.machine.is_sure(one.config):
                one.config._set_flag(flag, value)
            else:
                one.config._set_flag(flag, False)
                call.machine.configurations.shake(one.config)
        return None

    return carry


MODELS["omegaconf.OmegaConf.set_struct"] = _flag_named("struct")
MODELS["omegaconf.OmegaConf.set_readonly"] = _flag_named("readonly")


@model("omegaconf.OmegaConf.is_struct", "omegaconf.OmegaConf.is_readonly")
def _is_flag(call: Call) -> object:
    value = call.first(0, "conf", ANYTHING)
    if not isinstance(value, Node) or call.machine.configurations.is_open(value.config):
        return ANYTHING
    overridden = call.machine.configurations.overridden
    if not isinstance(value.config, CONTAINERS) or any(
        isinstance(one, CONTAINERS) and one._get_root() is value.config._get_root() for one in overridden
    ):
        return ANYTHING
    struct = call.name.endswith("struct")
    return OmegaConf.is_struct(value.config) if struct else OmegaConf.is_readonly(value.config)


@model("omegaconf.open_dict", "omegaconf.read_write", "omegaconf.flag_override")
def _open_dict(call: Call) -> object:
    value = call.first(0, "config", ANYTHING)
    if isinstance(value, Node):
        if call.name.endswith("flag_override"):
            # which flags it sets is not looked at
            call.machine.configurations.overridden.append(value.config)
        return Method(value, call.name.rpartition(".")[2])
    call.machine.havoc([value])
    return value


def flags_lifted(node: Node, name: str) -> Callable[[], None] | None:
    """Enter `open_dict(config)` or one of its relatives; what leaves it again."""
    config = node.config
    if not isinstance(config, CONTAINERS):
        return None
    flags = {"open_dict": ("struct",), "read_write": ("readonly",)}.get(name, ("struct", "readonly"))
    before = [config._get_node_flag(flag) for flag in flags]
    for flag in flags:
        config._set_flag(flag, False)

    def close() -> None:
        for flag, value in zip(flags, before, strict=True):
            config._set_flag(flag, value)

    return close


@model("omegaconf.OmegaConf.is_config", "omegaconf.OmegaConf.is_dict", "omegaconf.OmegaConf.is_list")
def _is_config(call: Call) -> object:
    value = call.first(0, "obj", ANYTHING)
    if isinstance(value, Pairs | Items) or is_constant(value):
        return False
    if not isinstance(value, Node):
        return ANYTHING
    if call.name.endswith("is_config"):
        return True
    return isinstance(value.config, DictConfig) is call.name.endswith("is_dict")


@model("omegaconf.OmegaConf.is_missing")
def _is_missing(call: Call) -> object:
    value, key = call.first(0, "cfg", ANYTHING), call.first(1, "key", ANYTHING)
    if isinstance(value, Node) and isinstance(key, str) and call.machine.configurations.is_sure(value.config):
        try:
            return OmegaConf.is_missing(value.config, key)
        except Exception:
            return ANYTHING
    return ANYTHING


@model("omegaconf.OmegaConf.save")
def _save(call: Call) -> object:
    value = call.first(0, "config", ANYTHING)
    target = call.first(1, "f", ANYTHING)
    resolve = call.first(2, "resolve", False) is True
    saved = (
        call.machine.configurations.container(value.config, resolve=resolve) if isinstance(value, Node) else ANYTHING
    )
    keep(call.machine, target, saved)
    return None


@model("omegaconf.OmegaConf.register_new_resolver", "omegaconf.OmegaConf.register_resolver")
def _register(call: Call) -> object:
    name = call.first(0, "name", ANYTHING)
    call.machine.callbacks(call.values, call.node)
    if isinstance(name, str) and re.fullmatch(r"[A-Za-z_][\w.]*", name):
        OmegaConf.register_new_resolver(name, call.machine.configurations.unknown, replace=True)
        call.machine.resolvers.add(name)
    return None


@model("hydra.utils.get_original_cwd")
def _original(call: Call) -> object:
    return ROOT


@model("hydra.utils.to_absolute_path")
def _to_absolute(call: Call) -> object:
    text = call.machine.text_of(call.first(0, "path"))
    return ANYTHING if text is None else join_path(ROOT, text)
