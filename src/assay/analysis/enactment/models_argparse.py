"""What a parser of command lines does (https://docs.python.org/3/library/argparse.html)."""

from __future__ import annotations

from assay.analysis.enactment.registry import Call, model
from assay.analysis.enactment.values import ANYTHING, External, FilePath, Items, Pairs, Parser, choice

# Options of a parser that change nothing about the values that it finds.
_HARMLESS = frozenset({"prog", "usage", "description", "epilog", "formatter_class", "add_help", "exit_on_error"})


@model("argparse.ArgumentParser", open_too=True)
def _parser(call: Call) -> object:
    return Parser(vague=call.is_open or bool(call.keywords.keys() - _HARMLESS))


def parser_method(call: Call, parser: Parser) -> object:
    """A method of a parser, or of a group of its arguments."""
    name = call.name
    if name == "add_argument":
        flags = [one for one in call.positional if isinstance(one, str)]
        if call.is_open or len(flags) < len(call.positional) or not flags or call.machine.certainty() != "yes":
            parser.open = parser.vague = True
        if flags:
            parser.options.append({"flags": flags, **call.keywords})
        return None
    if name in ("add_mutually_exclusive_group", "add_argument_group"):
        return parser
    if name in ("parse_args", "parse_known_args"):
        made = _parsed(call, parser)
        known = name == "parse_args"
        return made if known else Items([made, Items([], open=True, hollow=True)], "tuple", region=call.machine.region)
    if name in ("print_help", "print_usage", "format_help", "format_usage", "get_default"):
        return ANYTHING
    if name in ("error", "exit"):
        status = 2 if name == "error" else call.first(0, "status", 0)
        return call.machine.exit(status, call.node)
    parser.open = parser.vague = True
    return ANYTHING


def _parsed(call: Call, parser: Parser) -> Pairs:
    """The namespace that the command line of the program gives."""
    machine = call.machine
    given = call.first(0, "args", None)
    if given is not None:
        argv = machine.turns(given)
    else:
        argv = machine.turns(machine.argv)
        argv = argv[1:] if argv is not None else None
    vague = parser.vague or call.is_open or "namespace" in call.keywords or len(call.positional) > 1
    words = [one if isinstance(one, str) else None for one in argv] if argv is not None and not vague else None
    made = Pairs({}, open=parser.open, region=machine.region, attributes=True)
    every = {flag for option in parser.options for flag in _flags(option)}
    for option in parser.options:
        key = _destination(option)
        action = option.get("action")
        default = option.get("default", {"store_true": False, "store_false": True}.get(str(action)))
        if default == External("argparse.SUPPRESS"):
            made.open = True
            made.doubtful.add(key)
        if words is None or not isinstance(action, str | None) or "?" in option:
            value: object = choice([default, ANYTHING]) if option["flags"] and _is_optional(option) else ANYTHING
        else:
            value = _value(words, every, option, action, default)
        # of several options for one attribute the first one's default holds
        made.pairs[key] = choice([made.pairs[key], value, ANYTHING]) if key in made.pairs else value
    return made


def _flags(option: dict[str, object]) -> list[str]:
    flags = option["flags"]
    return [one for one in flags if isinstance(one, str)] if isinstance(flags, list) else []


def _is_optional(option: dict[str, object]) -> bool:
    return all(flag.startswith("-") for flag in _flags(option))


def _destination(option: dict[str, object]) -> str:
    dest = option.get("dest")
    if isinstance(dest, str):
        return dest
    flags = _flags(option)
    long = next((one for one in flags if one.startswith("--")), flags[0])
    return long.lstrip("-").replace("-", "_")


def _value(
    words: list[str | None], every: set[str], option: dict[str, object], action: object, default: object
) -> object:
    """What the command line gives an option."""
    if not _is_optional(option):
        return ANYTHING
    flags = _flags(option)
    found: object = _converted(default, option) if isinstance(default, str) else default
    place = 0
    while place < len(words):
        word = words[place]
        place += 1
        if word == "--":
            break
        if word is None:
            # it may be any option
            found = choice([found, ANYTHING])
            continue
        name, equals, value = word.partition("=")
        if name not in every:
            if _may_mean(word, name, flags):
                return ANYTHING
            continue
        if name not in flags:
            continue
        if action in ("store_true", "store_false"):
            found = action == "store_true"
            continue
        if action not in (None, "store") or "nargs" in option:
            return ANYTHING
        given: str | None = value if equals else None
        if not equals and place < len(words):
            given = words[place]
            place += 1
        found = ANYTHING if given is None else _converted(given, option)
    return found


def _may_mean(word: str, name: str, flags: list[str]) -> bool:
    """Whether a word may be short for an option: `--lear 0.1`, `-n5`, `-xvf`."""
    if word.startswith("--"):
        return any(flag.startswith(name) for flag in flags)
    return word.startswith("-") and any(not flag.startswith("--") for flag in flags)


def _converted(given: str, option: dict[str, object]) -> object:
    kind = option.get("type")
    if kind is None or (isinstance(kind, External) and kind.path == "str"):
        return given
    if isinstance(kind, External) and kind.path in ("int", "float") and len(given) < 100:
        try:
            return int(given) if kind.path == "int" else float(given)
        except ValueError:
            return ANYTHING
    if isinstance(kind, External) and kind.path == "pathlib.Path":
        return FilePath(given)
    return ANYTHING
