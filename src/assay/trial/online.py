"""What the Hub says of models and datasets that no table has: configurations and schemas, never data and never weights.

This is asked before a rehearsal and outside of its sandbox, and only where the caller wants it. The Hub's answers are
taken for what they are, texts of a stranger: small, shallow, and either understood or left out with a note.
"""

from __future__ import annotations

import json
import os
import queue
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from pydantic import ValidationError

from assay import yaml_tree
from assay.analysis.dataset_knowledge import requests
from assay.analysis.model_knowledge import families, id_problem, is_address, may_be_local, model_uses
from assay.analysis.project import Project
from assay.errors import InputError
from assay.trial.catalogue import catalogue, check_model
from assay.trial.inside.hub import features, models
from assay.trial.schemas import Schema, UserSchemas, described

ENDPOINT = "https://huggingface.co"
MOST_IDS = 20
MOST_BYTES = 1_000_000
SECONDS = 10.0
"""How long one request may take, redirects and all."""

_DEEPEST = 20
_MOST_TOKENS = 5_000
_LARGEST_TOKEN = 2_000_000
_ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
# what a card says of columns besides plain values, in the keys of `dtype`
_MARKED = frozenset({"class_label", "audio", "image", "translation"})
# where the card does not tell the number of rows
_ROWS = {"train": 10_000}
_OTHER_ROWS = 1_000


@dataclass(frozen=True)
class Online:
    """What was learned.

    Args:
        models: Entries for `catalogue.catalogue`.
        datasets: Schemas by id, as `schemas.described` gives them.
        notes: What was asked, and what could not be.
    """

    models: tuple[Mapping[str, Any], ...] = ()
    datasets: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()


class _Unknown(Exception):  # noqa: N818 - an answer, not an error
    """Why nothing is known of a repository; its text is for people."""


def entries(project: Project, user: UserSchemas | None = None, environment: Mapping[str, str] | None = None) -> Online:
    """Ask the Hub for what the submission loads by name and the catalogue does not hold.

    Args:
        project: The submission.
        user: What a user says of datasets and models; that is not asked.
        environment: Variables of the caller (`HF_ENDPOINT`, `HF_TOKEN`, proxies): those of this process where None.
    """
    variables = os.environ if environment is None else environment
    known = catalogue(user, as_of=project.as_of)
    wanted, notes = _wanted(project, known)
    if not wanted:
        return Online(notes=tuple(notes))
    try:
        hub = _Hub(variables.get("HF_ENDPOINT") or ENDPOINT, variables.get("HF_TOKEN") or "")
    except _Unknown as error:
        return Online(notes=(*notes, str(error)))
    found: list[Mapping[str, Any]] = []
    schemas: dict[str, Any] = {}
    told = []
    for kind, id in wanted[:MOST_IDS]:
        try:
            if kind == "model":
                found.append(_model(id, hub, known))
            else:
                schemas[id] = _dataset(id, hub)
            told.append(id)
        except _Unknown as error:
            notes.append(f"{kind} {id} could not be asked: {error}")
    if len(wanted) > MOST_IDS:
        notes.append(f"{len(wanted) - MOST_IDS} further ids were not asked of the Hub, which is asked for {MOST_IDS}")
    if told:
        notes.append(f"{hub.host} was asked for the form of {', '.join(told)}")
    return Online(tuple(found), schemas, tuple(notes))


def _wanted(project: Project, known: Mapping[str, Any]) -> tuple[list[tuple[str, str]], list[str]]:
    """The ids that the catalogue does not hold, as kind and id, in the order of the code."""
    named: dict[tuple[str, str], None] = {}
    notes = []
    try:
        for kind, id in _named(project):
            named[kind, id] = None
    except Exception as error:  # code may be written so that reading it fails; the rehearsal goes on
        notes.append(f"which models and datasets it names could not be read ({type(error).__name__})")
    return [(kind, id) for kind, id in named if not _is_held(kind, id, known)], notes


def _named(project: Project) -> Iterator[tuple[str, str]]:
    for use in model_uses(project):
        if _is_id(project, use.name):
            yield "model", use.name
    for request in requests(project):
        if not id_problem(request.name):
            yield "dataset", request.name
    for path in sorted(project.yaml):
        for kind in ("model", "dataset"):
            node = yaml_tree.find(project.yaml[path].root, kind, "name")
            if isinstance(node, yaml_tree.Scalar) and _is_id(project, node.text):
                yield kind, node.text


def _is_id(project: Project, name: str) -> bool:
    """Whether a text is an id with its owner; the models and data sets without one are in the tables."""
    return "/" in name and not (id_problem(name) or is_address(name) or may_be_local(project, name))


def _is_held(kind: str, id: str, known: Mapping[str, Any]) -> bool:
    if kind == "dataset":
        return id in known["datasets"]["schemas"] or id in known["datasets"]["aliases"]
    id = models.present_name(id, known) or id
    facts = models.facts_of(id, known)
    # what is assumed, or known by its family alone, is worth asking
    return bool(models.timm_architecture(id, known)) or (
        facts is not None and facts.basis != "assumed" and not facts.note
    )


class _SameHost(HTTPRedirectHandler):
    """Follows redirects within one host: to another one, neither a token nor a question of this caller is sent."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if (before.scheme, before.netloc) != (after.scheme, after.netloc):
            raise _Unknown(f"it leads to another host, {_plain(after.netloc or newurl)}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Hub:
    """The Hub, asked for one small file at a time.

    Args:
        endpoint: Its address.
        token: Of the caller; empty for none.

    Raises:
        _Unknown: The address is none of the web.
    """

    def __init__(self, endpoint: str, token: str) -> None:
        try:
            parts = urlsplit(endpoint)
            host = parts.hostname or ""
        except ValueError:
            parts, host = urlsplit(""), ""
        if parts.scheme not in ("http", "https") or not host:
            raise _Unknown("the Hub could not be asked: HF_ENDPOINT is no address that begins with http:// or https://")
        self.host = host
        self._endpoint = endpoint.rstrip("/")
        self._headers = {"User-Agent": "assay", "Accept-Encoding": "identity"}
        if token and token.isascii() and token.isprintable():
            self._headers["Authorization"] = f"Bearer {token}"
        self._opener = build_opener(_SameHost)
        self._silent = ""

    def file(self, kind: str, id: str, name: str) -> str | None:
        """The text of a file of a repository; None where it has no such file.

        Raises:
            _Unknown: No text came, for the reason that it says.
        """
        if self._silent:
            # the next question would wait as long for nothing
            raise _Unknown(self._silent)
        folder = "datasets/" if kind == "dataset" else ""
        url = f"{self._endpoint}/{folder}{quote(id)}/resolve/main/{name}"
        answers: queue.SimpleQueue[bytes | Exception | None] = queue.SimpleQueue()
        # a thread, because the limit of a socket is one of each read, and an answer may come byte by byte
        threading.Thread(target=self._ask, args=(url, answers), daemon=True).start()
        try:
            answer = answers.get(timeout=SECONDS)
        except queue.Empty:
            answer = TimeoutError()
        if isinstance(answer, TimeoutError):
            self._silent = f"{self.host} did not answer within {SECONDS:g} seconds"
            raise _Unknown(self._silent)
        if isinstance(answer, URLError | OSError) and not isinstance(answer, HTTPError):
            self._silent = f"{self.host} cannot be reached ({_plain(getattr(answer, 'reason', None) or answer)})"
            raise _Unknown(self._silent)
        if isinstance(answer, _Unknown):
            raise answer
        if isinstance(answer, Exception):
            raise _Unknown(f"{type(answer).__name__}: {_plain(answer)}")
        if answer is None:
            return None
        try:
            return answer.decode("utf-8")
        except UnicodeDecodeError:
            raise _Unknown(f"its {name} is no UTF-8 text") from None

    def _ask(self, url: str, answers: queue.SimpleQueue[bytes | Exception | None]) -> None:
        end = time.monotonic() + SECONDS
        try:
            with self._opener.open(Request(url, headers=self._headers), timeout=SECONDS) as answer:
                found = b""
                while block := answer.read1(65_536):
                    found += block
                    if len(found) > MOST_BYTES:
                        raise _Unknown(f"its {url.rpartition('/')[2]} is larger than {MOST_BYTES:,} bytes")
                    if time.monotonic() > end:
                        raise TimeoutError
            answers.put(found)
        except HTTPError as error:
            with error:
                answers.put(_refusal(error))
        except URLError as error:
            answers.put(TimeoutError() if isinstance(error.reason, TimeoutError) else error)
        except (OSError, HTTPException, ValueError, _Unknown) as error:
            answers.put(error)


def _refusal(error: HTTPError) -> Exception | None:
    code = error.headers.get("X-Error-Code", "")
    if error.code == 404 and code != "RepoNotFound":
        return None
    if code == "RepoNotFound" or (error.code == 401 and code != "GatedRepo"):
        return _Unknown("the Hub has no such repository, or a private one")
    if code == "GatedRepo" or error.code == 403:
        return _Unknown("the Hub gives it only to accounts with access")
    return _Unknown(f"status {error.code}")


def _plain(said: object) -> str:
    return " ".join(str(said).split())[:200]


def _model(id: str, hub: _Hub, known: Mapping[str, Any]) -> Mapping[str, Any]:
    """An entry for a model, from its config.json and the files that say how it generates and cuts texts.

    Raises:
        _Unknown: Nothing can be made of them.
    """
    config = _json(hub, id, "config.json")
    if config is None:
        raise _Unknown("it has no config.json")
    family = config.get("model_type")
    if not isinstance(family, str) or not re.fullmatch(r"[\w\-]{1,60}", family):
        raise _Unknown("its config.json names no model_type")
    if any(words > _LARGEST_TOKEN for words in _vocabularies(config)):
        raise _Unknown("its vocabulary is larger than any")
    if "quantization_config" in config:
        raise _Unknown("its weights are quantized, and stand-ins are not")
    like = models.facts_of(family, known)
    if config.pop("auto_map", None) is not None and family not in families():
        raise _Unknown("it needs code of its own, which is not fetched")
    entry: dict[str, Any] = {"id": id, "basis": "online", "config": config}
    generation = _json(hub, id, "generation_config.json")
    if generation:
        entry["generation"] = generation
    told = _json(hub, id, "tokenizer_config.json")
    if told is not None or like is not None:
        tokenizer, same = _tokenizer(told or {}, config, like, known)
        entry["tokenizer"] = tokenizer
        if not same:
            entry["basis"] = "assumed"
    if like is not None:
        entry["other"] = {key: value for key, value in like.other.items() if key not in ("formerly", "labels")}
    try:
        check_model(entry, known)
    except InputError as error:
        raise _Unknown(f"no stand-in can be made of what it says: {_plain(error)}") from None
    return entry


def _json(hub: _Hub, id: str, name: str) -> dict[str, Any] | None:
    text = hub.file("model", id, name)
    if text is None:
        return None
    try:
        found = json.loads(text)
        deep = _is_deep(found, _DEEPEST)
    except (ValueError, RecursionError):
        raise _Unknown(f"its {name} is not readable as JSON") from None
    if deep or not isinstance(found, dict):
        raise _Unknown(f"its {name} is nested too deeply" if deep else f"its {name} is no mapping")
    return found


def _is_deep(data: Any, left: int) -> bool:
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return left < 0 or any(_is_deep(item, left - 1) for item in inner if isinstance(item, dict | list))


def _vocabularies(config: Mapping[str, Any]) -> Iterator[int]:
    """Numbers of tokens that a model knows: of its part for text, and of all."""
    for part in (config.get("text_config"), config):
        words = part.get("vocab_size") if isinstance(part, dict) else None
        if isinstance(words, int):
            yield words


def _tokenizer(
    told: Mapping[str, Any], config: Mapping[str, Any], like: models.Facts | None, known: Mapping[str, Any]
) -> tuple[dict[str, Any], bool]:
    """A tokenizer as the table describes one, and whether it is of the kind that the Hub says.

    Which pieces it cuts a text into stands in files that are not fetched; it cuts like its family's, with the special
    tokens that the Hub tells.
    """
    name = told.get("tokenizer_class")
    name = name if isinstance(name, str) and re.fullmatch(r"\w{1,60}", name) else ""
    base, same = _of_class(name, like, known)
    facts = json.loads(json.dumps(base))
    specials, extras = _added(told)
    if specials:
        facts["specials"], facts["extras"] = specials, extras
        if facts.get("outside"):
            facts["outside"] = [*specials, *extras]
    specials, extras = facts.get("specials", {}), facts.get("extras", {})
    roles = {}
    for role in _ROLES:
        token = told.get(role, facts.get("roles", {}).get(role))
        token = token.get("content") if isinstance(token, dict) else token
        number = config.get(role + "_id")
        if role in told and isinstance(token, str) and token not in {**specials, **extras}:
            if not 0 < len(token) <= 200 or type(number) is not int or not 0 <= number <= _LARGEST_TOKEN:
                continue
            specials[token] = number
        if token is None or token in specials or token in extras:
            roles[role] = token
    facts["roles"] = {
        role: token for role, token in roles.items() if token is not None or role in ("pad_token", "bos_token")
    }
    longest = told.get("model_max_length")
    if type(longest) is int and longest > 0:
        facts["max"] = longest
    if told.get("chat_template"):
        facts.setdefault("chat", "chatml")
    words = next(_vocabularies(config), 0)
    if words > 0:
        last = max([*specials.values(), *extras.values()], default=0) + 1
        # special tokens stand either at the beginning, or behind all others
        facts["length"] = last if words / 2 < last <= words else words
    return facts, same


def _of_class(name: str, like: models.Facts | None, known: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """The tokenizer of the family, or of a row of the table whose class it is; and whether that is the named class."""
    if like is not None and like.tokenizer and name.removesuffix("Fast") in ("", like.tokenizer.get("class")):
        return like.tokenizer, True
    family = like.config.get("model_type") if like is not None else None
    rows = [facts for row in known["rows"] if (facts := models.facts_of(row, known)) is not None and facts.tokenizer]
    for facts in sorted(rows, key=lambda facts: facts.config.get("model_type") != family):
        of_family = facts.config.get("model_type") == family
        class_name = str(facts.tokenizer.get("class", "")).removesuffix("Fast")
        # PreTrainedTokenizerFast may be anything
        if class_name == name.removesuffix("Fast") and (of_family or name != "PreTrainedTokenizerFast"):
            return facts.tokenizer, like is not None
    if like is not None and like.tokenizer:
        return like.tokenizer, False
    gpt2 = models.facts_of("gpt2", known)
    return (gpt2.tokenizer if gpt2 is not None else {}), False


def _added(told: Mapping[str, Any]) -> tuple[dict[str, int], dict[str, int]]:
    """The special tokens and the others that were added, to their ids."""
    held = told.get("added_tokens_decoder")
    special: dict[str, int] = {}
    other: dict[str, int] = {}
    for number, token in list(held.items())[:_MOST_TOKENS] if isinstance(held, dict) else ():
        content = token.get("content") if isinstance(token, dict) else None
        if not isinstance(content, str) or not 0 < len(content) <= 200 or not re.fullmatch(r"[0-9]{1,7}", number):
            continue
        if int(number) <= _LARGEST_TOKEN:
            (special if token.get("special") is True else other)[content] = int(number)
    return special, other


def _dataset(id: str, hub: _Hub) -> dict[str, Any]:
    """The schema of a dataset, from the head of its card.

    Raises:
        _Unknown: Its card does not tell it.
    """
    card = hub.file("dataset", id, "README.md")
    head = _head(card) if card is not None else None
    if head is None:
        raise _Unknown("it has no card that describes it")
    try:
        documents = yaml_tree.parse("README.md", head)
        told = yaml_tree.to_python(documents[0]) if documents else None
    except (yaml_tree.YamlSyntaxError, InputError, ValueError, RecursionError) as error:
        raise _Unknown(f"the head of its card is not readable as YAML ({_plain(error)})") from None
    if not isinstance(told, dict):
        raise _Unknown("the head of its card is no mapping")
    described_parts = [part for part in _listed(told.get("dataset_info")) if isinstance(part, dict)]
    configured = {
        str(part.get("config_name", "default")): part for part in _listed(told.get("configs")) if isinstance(part, dict)
    }
    configurations: dict[str, Any] = {}
    for part in described_parts:
        name = str(part.get("config_name") or (next(iter(configured)) if len(configured) == 1 else "default"))
        if not isinstance(part.get("features"), list):
            continue
        configurations[name] = {"columns": _columns(part["features"]), "splits": _splits(part, configured.get(name))}
    configurations = {name: part for name, part in configurations.items() if part["splits"]}
    if not configurations:
        raise _Unknown("its card lists no columns and splits")
    default = next((name for name, part in configured.items() if part.get("default") is True), "")
    default = default or ("default" if "default" in configurations else "")
    try:
        schema = Schema.model_validate(
            {"configurations": configurations, "default": default if default in configurations else ""}
        )
    except ValidationError as error:
        raise _Unknown(f"its card cannot be used: {_plain(error.errors()[0]['msg'])}") from None
    found = described(schema, "online")
    found["complete"] = set(configured) <= set(configurations)
    found["gated"] = any(str(key).startswith("extra_gated") for key in told)
    return found


def _head(card: str) -> str | None:
    """The YAML between the lines of dashes with which a card begins; None where it has none."""
    match = re.match(r"\ufeff?\s*---[ \t]*\r?\n", card)
    end = re.compile(r"^---[ \t]*\r?$", re.MULTILINE).search(card, match.end()) if match else None
    return card[match.end() : end.start()] if match and end else None


def _listed(held: Any) -> list[Any]:
    return held if isinstance(held, list) else [held]


def _splits(part: Mapping[str, Any], configured: Mapping[str, Any] | None) -> dict[str, int]:
    """Number of rows by split; where the card gives names alone, a number that is made up."""
    found: dict[str, int] = {}
    for split in _listed(part.get("splits")):
        if isinstance(split, dict) and isinstance(split.get("name"), str):
            rows = split.get("num_examples")
            told = rows if isinstance(rows, int) and not isinstance(rows, bool) and rows >= 0 else None
            found[split["name"]] = _ROWS.get(split["name"], _OTHER_ROWS) if told is None else told
    for split in _listed((configured or {}).get("data_files")) if not found else ():
        if isinstance(split, dict) and isinstance(split.get("split"), str):
            found[split["split"]] = _ROWS.get(split["split"], _OTHER_ROWS)
    return {name: rows for name, rows in found.items() if re.fullmatch(r"\w+(\.\w+)*", name)}


def _columns(held: list[Any]) -> dict[str, str]:
    """Features by column in the grammar of `dataset_features.tsv`.

    Raises:
        _Unknown: One of them is of a kind that no stand-in has.
    """
    found = dict(_field(entry) for entry in held)
    try:
        features.parse_columns("; ".join(f"{name}: {text}" for name, text in found.items()))
    except features.FeatureError as error:
        raise _Unknown(f"its columns have a form that no stand-in has: {_plain(error)}") from None
    return found


def _field(entry: Any) -> tuple[str, str]:
    name = entry.get("name") if isinstance(entry, dict) else None
    if not isinstance(name, str) or not re.fullmatch(r"[^:;{}<>,\s]+(?: +[^:;{}<>,\s]+)*", name):
        raise _Unknown(f"a column has a name that no stand-in can have: {_plain(name)}")
    return name, _feature(entry)


def _feature(entry: Mapping[str, Any]) -> str:
    """A feature as a card writes it (https://huggingface.co/docs/datasets/v4.4.0/about_dataset_features)."""
    if isinstance(entry.get("struct"), list):
        return _struct(dict(map(_field, entry["struct"])))
    if "list" in entry:
        held = entry["list"]
        return f"list<{_struct(dict(map(_field, held))) if isinstance(held, list) else _inner(held)}>"
    if "sequence" in entry:
        held = entry["sequence"]
        if isinstance(held, list):
            # a sequence of records is read as a record of lists
            return _struct({name: f"list<{text}>" for name, text in map(_field, held)})
        return f"list<{_inner(held)}>"
    return _inner(entry.get("dtype"))


def _struct(parts: Mapping[str, str]) -> str:
    return "struct{" + ", ".join(f"{name}: {text}" for name, text in parts.items()) + "}"


def _inner(held: Any) -> str:
    if isinstance(held, str):
        if held == "audio":
            return "audio(16000)"
        if held == "image" or held in features.VALUES:
            return held
    elif isinstance(held, dict):
        if not _MARKED & set(held):
            return _feature(held)
        if "image" in held:
            return "image"
        told = next(iter(held.values()))
        if "audio" in held:
            rate = told.get("sampling_rate") if isinstance(told, dict) else None
            return f"audio({rate})" if type(rate) is int and 0 < rate < 1_000_000 else "audio(16000)"
        if "translation" in held and isinstance(told, dict) and isinstance(told.get("languages"), list):
            return f"translation({'|'.join(map(_escaped, told['languages']))})"
        if "class_label" in held and isinstance(told, dict):
            return f"label({_labels(told)})"
    raise _Unknown(f"a column has a type that no stand-in has: {_plain(held)[:60]}")


def _labels(told: Mapping[str, Any]) -> str:
    names = told.get("names")
    if isinstance(names, dict) and all(str(number).isdecimal() for number in names):
        names = [names[number] for number in sorted(names, key=lambda number: int(str(number)))]
    if isinstance(names, list) and names:
        return "|".join(map(_escaped, names))
    number = told.get("num_classes")
    if type(number) is int and 0 < number <= 100_000:
        return str(number)
    raise _Unknown("a column of labels has no names")


def _escaped(name: object) -> str:
    return re.sub(r"([\\|()])", r"\\\1", str(name))
