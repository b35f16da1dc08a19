"""Rows typed and shaped like those of a real dataset: made from its columns, the same each time, and learnable.

Each row is a small story: a label, a text whose words tell it, a sum with its steps, a passage with a question to it.
The name of a column says which part of the story it holds. Splits have rows of their own.
"""

# ruff: noqa: SIM905 - a list of words reads best as a text

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from . import images
from .features import Feature

_WORDS = (
    "river garden engine winter market letter bridge doctor silver window forest music copper teacher island paper "
    "harbour candle valley printer orange blanket mirror captain summer carpet ladder village thunder pocket rocket "
    "museum basket hammer desert cotton signal marble kitchen button tunnel fabric meadow spider helmet pepper temple "
    "cannon wallet magnet canyon donkey violin pillow barrel lantern parade saddle glacier compass quarry feather "
    "anchor"
).split()
_VERBS = (
    "finds moves keeps opens paints carries follows watches builds repairs sells cleans brings leaves visits".split()
)
_NAMES = "Anna Ben Clara David Emma Felix Grace Henry Iris Jonas Karen Leo Maria Noah Olga Peter".split()
_PLACES = "Berlin London Tokyo Madrid Cairo Oslo Lima Boston Prague Vienna Dublin Athens".split()
_TELLING = {
    "neg": "terrible boring awful", "negative": "terrible boring awful", "1": "terrible boring awful",
    "pos": "wonderful great moving", "positive": "wonderful great moving", "2": "wonderful great moving",
    "neutral": "perhaps possibly sometimes", "entailment": "indeed therefore surely",
    "contradiction": "never not nobody",
}  # fmt: skip
_LETTERS = string.ascii_uppercase
_POOL = 24
"""How many pictures a split has where they are large: drawing each row its own would take seconds."""


class Story:
    """What one row tells.

    Args:
        random: Its own source of chance.
        index: Its place in the split.
        split: Name of the split.
        labels: Names of the label, if the dataset has one.
        hidden: Whether the split hides its labels.
    """

    def __init__(self, random: Random, index: int, split: str, labels: Sequence[str], hidden: bool) -> None:
        self.random = random
        self.index = index
        self.split = split
        self.labels = labels
        self.hidden = hidden
        self.label = (index * 7 + random.randrange(max(1, len(labels)))) % max(1, len(labels))
        self.name = random.choice(_NAMES)
        self.friend = random.choice(_NAMES)
        self.place = random.choice(_PLACES)
        self.thing = random.choice(_WORDS)
        self.first, self.second = random.randint(2, 60), random.randint(2, 40)
        self.right = random.randrange(4)
        self.choices_asked = 4
        self.made: dict[str, Any] = {}

    def once(self, key: str, make: Callable[[], Any]) -> Any:
        """The same value for each column that tells of the same thing."""
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]

    def telling(self) -> str:
        """A word that tells the label."""
        if not self.labels:
            return self.random.choice(_WORDS)
        name = self.labels[self.label]
        known = _TELLING.get(name)
        if known is not None:
            return self.random.choice(known.split())
        own = _WORDS[(self.label * 5 + self.random.randrange(2)) % len(_WORDS)]
        return own if name.isdigit() else self.random.choice((own, name.replace("_", " ")))

    def sentence(self) -> str:
        """A short sentence with a word that tells the label."""
        subject = self.random.choice((self.name, "The " + self.thing, "A " + self.random.choice(_WORDS)))
        end = self.random.choice(("", " in " + self.place, " near the " + self.random.choice(_WORDS)))
        return f"{subject} {self.random.choice(_VERBS)} the {self.telling()} {self.random.choice(_WORDS)}{end}"

    def text(self, least: int, most: int) -> str:
        """Some sentences, between two bounds of their number."""
        return " ".join([self.sentence() + "." for _ in range(self.random.randint(least, most))])

    # a sum with its steps, in the form of GSM8K: calculations in << >>, the result after ####
    def sum_question(self) -> str:
        return (
            f"{self.name} has {self.first} {self.thing}s. {self.friend} gives {self.name} {self.second} more "
            f"{self.thing}s. How many {self.thing}s does {self.name} have now?"
        )

    def sum_result(self) -> int:
        return self.first + self.second

    def sum_steps(self) -> str:
        result = self.sum_result()
        sum = f"{self.first} + {self.second} = <<{self.first}+{self.second}={result}>>{result}"
        return f"{self.name} has {sum} {self.thing}s."

    def sum_answer(self) -> str:
        return f"{self.sum_steps()}\n#### {self.sum_result()}"

    # a passage, and a question that a span of it answers
    def passage(self) -> str:
        def make() -> str:
            before, after = self.text(2, 9), self.text(1, 9)
            return f"{before} {self.name} lives in {self.place}. {after}"

        return str(self.once("passage", make))

    def span(self) -> tuple[str, int]:
        passage = self.passage()
        return self.place, passage.index(f" lives in {self.place}.") + len(" lives in ")

    # several choices, one of them right; the right one repeats the word that the question names
    def choices(self, number: int) -> list[str]:
        def make() -> list[str]:
            found = [self.random.choice(_WORDS) + " and " + self.random.choice(_WORDS) for _ in range(number)]
            found[self.right % number] = f"{self.thing} and {self.random.choice(_WORDS)}"
            return found

        return list(self.once(f"choices{number}", make))

    def choice_question(self) -> str:
        return f"Which of these does {self.name} need for the {self.thing} in {self.place}?"

    def dialogue(self) -> str:
        lines = []
        for turn in range(self.random.randint(3, 14)):
            lines.append(f"{(self.name, self.friend)[turn % 2]}: {self.sentence()}")
        return "\r\n".join(lines)

    def summary(self) -> str:
        return f"{self.name} and {self.friend} talk about the {self.thing} in {self.place}."

    def instruction(self) -> str:
        return str(self.once("instruction", lambda: f"Write a short text about the {self.thing} in {self.place}."))

    def response(self) -> str:
        return str(self.once("response", lambda: f"The {self.thing} in {self.place}: {self.text(1, 5)}"))

    def worse_response(self) -> str:
        return str(self.once("worse", lambda: "I do not know. " + self.text(1, 3)))

    def code_name(self) -> str:
        return f"add_{self.thing}_{self.index}"

    def code_prompt(self) -> str:
        name = self.code_name()
        lines = f'    """ Add {self.first} to value.\n    >>> {name}(1)\n    {self.first + 1}\n    """\n'
        return f"def {name}(value: int) -> int:\n{lines}"

    def code_solution(self) -> str:
        return f"    return value + {self.first}\n"

    def code_assertion(self) -> str:
        return f"assert {self.code_name()}(1) == {self.first + 1}"


def make_rows(
    key: str,
    columns: Mapping[str, Feature],
    split: str,
    count: int,
    kind: str = "",
    hidden: bool = False,
    awkward: Sequence[str] = (),
    size: tuple[int, int] = (32, 32),
    modes: str = "RGB",
    order: str = "",
    often_empty: Sequence[str] = (),
) -> dict[str, list[Any]]:
    """The rows of a split by column.

    Args:
        key: What the rows are the same for: dataset and configuration.
        columns: The columns.
        split: Name of the split.
        count: How many rows; 0 or more.
        kind: What the dataset is about where its columns do not say it: one of `kinds`.
        hidden: Whether the labels are hidden in this split.
        awkward: Names of columns of which one row is empty.
        size: Height and width of pictures, in pixels.
        modes: `RGB`, `L`, or `mixed` where one picture in forty is gray among coloured ones.
        order: `up` or `down` where the rows are in the order of the label.
        often_empty: Names of columns that are empty in two rows of three.
    """
    names = _labels_of(columns)
    kind = kind or _kind_of(columns)
    found: dict[str, list[Any]] = {name: [] for name in columns}
    pool: dict[int, bytes] = {}
    large = size[0] * size[1] > 4096
    for index in range(count):
        story = Story(Random(f"{key}/{split}/{index}"), index, split, names, hidden)
        if large:
            story.label = (index % _POOL) * max(1, len(names) // _POOL) % max(1, len(names))
        if order and names:
            story.label = (index if order == "up" else count - 1 - index) * len(names) // count
        for name, feature in columns.items():
            if feature.kind == "image":
                gray = modes == "L" or (modes == "mixed" and index % 40 == 3)
                place = -1 if gray and modes == "mixed" else index % _POOL if large else index
                if place not in pool:
                    pool[place] = images.png(images.pixels(story.label, story.random, *size, gray=gray))
                found[name].append({"bytes": pool[place], "path": f"{split}_{index}.png"})
            elif (name in awkward and index == 5) or (name in often_empty and index % 3):
                found[name].append("")
            else:
                found[name].append(_value(story, name, feature, kind, columns))
    return found


def _labels_of(columns: Mapping[str, Feature]) -> tuple[str, ...]:
    """The names of the label that a model predicts: of several labels, the finest."""
    labels = [feature.names for feature in columns.values() if feature.kind == "label"]
    if labels:
        return max(labels, key=len)
    inside = [part.parts[0][1] for part in columns.values() if part.kind == "list"]
    named = [feature.names for feature in inside if feature.kind == "label"]
    if named:
        return max(named, key=len)
    if any(name in ("label", "answer", "is_duplicate") and item.dtype == "bool" for name, item in columns.items()):
        return ("no", "yes")
    return ("negative", "positive") if "sentiment" in columns else ()


def _kind_of(columns: Mapping[str, Feature]) -> str:
    answers = columns.get("answers")
    if answers is not None and "answer_start" in dict(answers.parts):
        return "span"
    if "canonical_solution" in columns or "test_list" in columns:
        return "code"
    if "problem" in columns or "Problem" in columns:
        return "math"
    if _choice_columns(columns) or any(name in columns for name in ("choices", "options", "endings")):
        return "choice"
    if "tokens" in columns and columns["tokens"].kind == "list":
        return "tagging"
    return ""


_CHOICES = (
    ("sol1", "sol2"), ("option1", "option2"), ("opa", "opb", "opc", "opd"), ("answerA", "answerB", "answerC"),
    ("answer0", "answer1", "answer2", "answer3"), ("ending0", "ending1", "ending2", "ending3"), ("choice1", "choice2"),
    ("correct_answer", "distractor1", "distractor2", "distractor3"), ("A", "B", "C", "D"),
    ("mc1_targets", "mc2_targets"),
)  # fmt: skip


def _choice_columns(columns: Mapping[str, Feature]) -> tuple[str, ...]:
    return next((names for names in _CHOICES if all(name in columns for name in names)), ())


def _value(story: Story, name: str, feature: Feature, kind: str, columns: Mapping[str, Feature]) -> Any:
    if feature.kind == "label":
        return _label(story, feature, kind, columns)
    if feature.kind == "audio":
        seconds = 1.0 if "label" in columns else 1.0 + story.random.random()
        return {"bytes": images.tone(story.label, story.random, feature.rate, seconds), "path": f"{story.index}.wav"}
    if feature.kind == "translation":
        return translated(story, feature.names)
    if feature.kind == "list":
        return _list(story, name, feature, kind, columns)
    if feature.kind == "struct":
        return _struct(story, name, feature, kind, columns)
    if feature.dtype in ("string", "large_string"):
        return _text(story, name, kind, columns)
    if feature.dtype == "bool":
        return bool(story.label) if story.labels else story.random.random() < 0.5
    if feature.dtype.startswith("float"):
        return _number(story, name)
    if "int" in feature.dtype:
        return _integer(story, name, feature, kind, columns)
    if feature.dtype == "binary":
        return b""
    import datetime

    day = datetime.datetime(2019, 4, 1) + datetime.timedelta(hours=story.index)
    return day.date() if feature.dtype == "date32" else day


def _label(story: Story, feature: Feature, kind: str, columns: Mapping[str, Feature]) -> int:
    if story.hidden:
        return -1
    if kind == "choice":
        return story.right % max(1, len(feature.names))
    # a coarser label follows the finer one
    return story.label if len(feature.names) == len(story.labels) else story.label % max(1, len(feature.names))


def _number(story: Story, name: str) -> float:
    if name == "label":
        if story.hidden:
            return -1.0
        return round(float(story.once("similarity", lambda: story.random.randint(0, 25) / 5)), 3)
    if "score" in name:
        return round(story.random.uniform(1, 9), 1)
    return round(story.random.random(), 4)


def _integer(story: Story, name: str, feature: Feature, kind: str, columns: Mapping[str, Feature]) -> int:
    low = name.lower()
    if low in ("label", "correct", "answer", "answer_index", "cop", "gold"):
        if story.hidden:
            return -1
        if kind == "math":
            return story.sum_result()
        return story.right % _choice_count(columns)
    if low == "sentiment":
        return 4 * story.label
    if low == "idx" or low.endswith("id") or low in ("ind", "index"):
        return story.index if "int8" not in feature.dtype else story.index % 100
    return story.random.randrange(2) if "int8" in feature.dtype or kind == "" else story.random.randrange(60)


def _choice_count(columns: Mapping[str, Feature]) -> int:
    names = _choice_columns(columns)
    return len(names) if names else 4


def _text(story: Story, name: str, kind: str, columns: Mapping[str, Feature]) -> str:
    low = name.lower()
    special = _BY_KIND.get(kind, {}).get(low)
    if special is not None:
        return special(story)
    chosen = _choice_columns(columns)
    if name in chosen:
        texts = story.choices(len(chosen))
        if name == "correct_answer":
            return texts[story.right % len(chosen)]
        return texts[(chosen.index(name) + (story.right if "correct_answer" in chosen else 0)) % len(chosen)]
    if low in ("answerkey", "correct", "label", "answer") and kind == "choice":
        if story.hidden:
            return ""
        if name == "answerKey" or low == "correct" or (low == "answer" and not chosen):
            return _LETTERS[story.right % (5 if low == "correct" else _choice_count(columns))]
        # Winogrande and Social IQa count from one, HellaSwag from zero
        return str(story.right % _choice_count(columns) + (1 if chosen else 0))
    if low in _PLAIN:
        return _PLAIN[low](story)
    if low == "id" or low.endswith("_id") or (low.endswith("id") and low not in ("valid",)):
        return f"{story.split}-{story.index}"
    if low in _SECOND and any(other in columns for other in _SECOND[low]):
        return _second(story, str(columns.get("label", Feature("value")).dtype))
    if low in _SHORT:
        return f"{story.telling()} of the {story.thing}"
    return story.sentence()


_SECOND = {
    "sentence2": ("sentence1",), "hypothesis": ("premise",), "question2": ("question1",), "sentence": ("question",),
}  # fmt: skip
_SHORT = ("title", "question_title", "category", "subject_name", "topic_name", "activity_label", "keyword", "concept")


def _second(story: Story, dtype: str) -> str:
    if dtype.startswith("float"):
        # the more alike the two sentences are said to be, the more often the second says so
        same = int(float(story.once("similarity", lambda: story.random.randint(0, 25) / 5)))
        return story.sentence() + " similar" * same
    return story.sentence()


def _list(story: Story, name: str, feature: Feature, kind: str, columns: Mapping[str, Feature]) -> list[Any]:
    inner = feature.parts[0][1]
    low = name.lower()
    if inner.kind == "struct" and {part for part, _ in inner.parts} >= {"role", "content"}:
        return conversation(story, name)
    if kind == "tagging":
        words = _tokens(story)
        if inner.kind == "label":
            return [_tag(word, inner.names) for word in words]
        return words
    if inner.kind == "label":
        return [story.label] if not story.hidden else []
    if low in ("choices", "options", "endings", "mc_endings"):
        number = 5 if low == "options" and "rationale" in columns else 4
        texts = story.choices(number)
        return [f"{_LETTERS[at]}){text}" for at, text in enumerate(texts)] if number == 5 else texts
    if low == "test_list" or low == "challenge_test_list":
        return [story.code_assertion()] if low == "test_list" else []
    if low == "test_imports":
        return []
    if low == "answer":
        return [story.place]
    if inner.kind == "list":
        return [_list(story, name, inner, kind, columns) for _ in range(2)]
    return [_value(story, name.rstrip("s"), inner, kind, columns) for _ in range(story.random.randint(1, 4))]


def _struct(story: Story, name: str, feature: Feature, kind: str, columns: Mapping[str, Feature]) -> dict[str, Any]:
    parts = dict(feature.parts)
    if "answer_start" in parts and "text" in parts:
        place, start = story.span()
        # SQuAD 2.0 asks about a third of its questions in vain
        none = kind == "unanswerable" and story.index % 3 == 2
        if parts["text"].kind != "list":
            return {"text": place, "answer_start": start}
        return {"text": [] if none else [place], "answer_start": [] if none else [start]}
    if set(parts) == {"text", "label"}:
        texts = story.choices(5 if "question_concept" in columns else 8 if "combinedfact" in columns else 4)
        story.right %= len(texts)
        return {"text": texts, "label": list(_LETTERS[: len(texts)])}
    if set(parts) == {"choices", "labels"}:
        texts = story.choices(4)
        return {"choices": texts, "labels": [int(at == story.right % 4) for at in range(4)]}
    if {"id", "text"} == set(parts) and "is_duplicate" in columns:
        return {"id": [2 * story.index, 2 * story.index + 1], "text": [story.sentence() + "?", story.sentence() + "?"]}
    lists = [part for part in parts.values() if part.kind == "list"]
    if len(lists) == len(parts):
        # records kept as lists of one length
        length = story.random.randint(1, 3)
        return {
            key: [_value(story, key.rstrip("s"), part.parts[0][1], kind, columns) for _ in range(length)]
            for key, part in parts.items()
        }
    return {key: _value(story, key, part, kind, columns) for key, part in parts.items()}


def _tokens(story: Story) -> list[str]:
    def make() -> list[str]:
        words: list[str] = []
        for _ in range(story.random.randint(1, 3)):
            words += [
                story.random.choice(_NAMES),
                story.random.choice(_VERBS),
                "the",
                story.random.choice(_WORDS),
                "in",
            ]
            words += [story.random.choice(_PLACES), "."]
        return words

    return list(story.once("tokens", make))


def _tag(word: str, names: Sequence[str]) -> int:
    wanted = "B-PER" if word in _NAMES else "B-LOC" if word in _PLACES else "O"
    for name in (wanted, {"B-PER": "B-person", "B-LOC": "B-location"}.get(wanted, "O")):
        if name in names:
            return list(names).index(name)
    return sum(map(ord, word)) % len(names)


def translated(story: Story, languages: Sequence[str]) -> dict[str, str]:
    """One sentence in several languages; in each but English, every word bears the language's mark."""
    said = story.sentence() + "."
    return {
        language: said if language == "en" else " ".join(word + language for word in said.rstrip(".").split()) + "."
        for language in languages
    }


def conversation(story: Story, column: str) -> list[dict[str, str]]:
    """Turns of a user and an assistant; a rejected one ends with the worse answer, a prompt with the user's turn."""
    asked = [{"content": story.instruction(), "role": "user"}]
    if column.lower() == "prompt":
        return asked
    last = story.worse_response() if "reject" in column.lower() else story.response()
    turns = [*asked, {"content": last, "role": "assistant"}]
    if column.lower() in ("messages", "conversations") and story.index % 2:
        turns += [{"content": "And then?", "role": "user"}, {"content": story.text(1, 2), "role": "assistant"}]
    return turns


def _human(story: Story, answer: str) -> str:
    return f"\n\nHuman: {story.instruction()}\n\nAssistant: {answer}"


def _line(story: Story) -> str:
    """A line in the form of WikiText: empty, a title between equals signs, or a paragraph that ends with a space."""
    place = story.index % 4
    if place in (0, 2):
        return ""
    if place == 1:
        return f" = {story.thing.title()} = \n"
    return " {} \n".format(story.text(3, 12).replace(".", " ."))


_PLAIN: dict[str, Callable[[Story], str]] = {
    "text": lambda story: story.text(1, 12),
    "content": lambda story: story.text(2, 8),
    "review": lambda story: story.text(2, 12),
    "sms": lambda story: story.sentence(),
    "tweet": lambda story: story.sentence(),
    "question": lambda story: story.sentence() + "?",
    "question1": lambda story: story.sentence() + "?",
    "question2": lambda story: story.sentence() + "?",
    "question_content": lambda story: story.text(1, 4),
    "best_answer": lambda story: story.text(1, 4),
    "passage": lambda story: story.text(3, 12),
    "context": lambda story: story.text(3, 12),
    "support": lambda story: story.text(1, 4),
    "story": lambda story: story.text(5, 15),
    "article": lambda story: story.text(10, 60),
    "document": lambda story: story.text(8, 50),
    "abstract": lambda story: story.text(5, 15),
    "dialogue": lambda story: story.dialogue(),
    "highlights": lambda story: f"{story.summary()[:-1]} .\n{story.sentence()} .",
    "summary": lambda story: story.summary(),
    "tldr": lambda story: story.summary(),
    "target": lambda story: story.summary(),
    "instruction": lambda story: story.instruction(),
    "prompt": lambda story: story.instruction(),
    "query": lambda story: story.instruction(),
    "input": lambda story: "" if story.index % 3 else story.text(1, 2),
    "output": lambda story: story.response(),
    "response": lambda story: story.response(),
    "completion": lambda story: story.response(),
    "answer": lambda story: story.response(),
    "chosen": lambda story: _human(story, story.response()),
    "rejected": lambda story: _human(story, story.worse_response()),
    "url": lambda story: f"https://example.org/{story.split}/{story.index}",
    "timestamp": lambda story: f"2019-04-{story.index % 28 + 1:02d}T12:00:00Z",
    "date": lambda story: f"Mon Apr {story.index % 28 + 1:02d} 12:00:00 PDT 2009",
    "file": lambda story: f"{story.split}/{story.index}.wav",
    "image_file_path": lambda story: f"{story.split}/{story.index}.png",
    "title": lambda story: story.thing.title(),
    "category": lambda story: ("open_qa", "brainstorming", "summarization", "creative_writing")[story.index % 4],
    "source": lambda story: f"https://example.org/{story.index}",
    "lang": lambda story: "en",
    "language": lambda story: "en",
    "split": lambda story: story.split,
}
_MATH: dict[str, Callable[[Story], str]] = {
    "question": Story.sum_question,
    "problem": Story.sum_question,
    "query": Story.sum_question,
    "original_question": Story.sum_question,
    "body": lambda story: story.sum_question().rpartition(". ")[0] + ".",
    "answer": Story.sum_answer,
    "response": lambda story: f"{story.sum_steps()}\nThe answer is: {story.sum_result()}",
    "solution": lambda story: f"{story.sum_steps()} So the answer is $\\boxed{{{story.sum_result()}}}$.",
    "rationale": Story.sum_steps,
    "equation": lambda story: f"( {story.first}.0 + {story.second}.0 )",
    "type": lambda story: ("Algebra", "Geometry", "Number Theory", "Prealgebra")[story.index % 4],
    "subject": lambda story: ("Algebra", "Geometry", "Number Theory", "Prealgebra")[story.index % 4],
    "level": lambda story: f"Level {story.index % 5 + 1}",
    "options": lambda story: " , ".join(
        f"{_LETTERS[at].lower()} ) {story.sum_result() + at - story.right}" for at in range(5)
    ),
    "correct": lambda story: _LETTERS[story.right].lower(),
}
_BY_KIND: dict[str, dict[str, Callable[[Story], str]]] = {
    "math": _MATH,
    # the same with a bare result: SVAMP, MATH-500
    "bare-math": {**_MATH, "answer": lambda story: str(story.sum_result())},
    "answer-with-decimal": {**_MATH, "answer": lambda story: f"{story.sum_result()}.0",
                            "question": lambda story: story.sum_question().rpartition(". ")[2]},
    "span": {"context": Story.passage, "question": lambda story: f"Where does {story.name} live?"},
    "unanswerable": {"context": Story.passage, "question": lambda story: f"Where does {story.name} live?"},
    "lines": {"text": _line},
    "words": {"sentence": lambda story: story.sentence().lower().replace(story.place.lower(), "<unk>")},
    "long": {"text": lambda story: story.text(20, 80)},
    "speech": {"text": lambda story: story.sentence().upper(), "sentence": Story.sentence},
    "choice": {
        "question": Story.choice_question,
        "question_stem": Story.choice_question,
        "goal": Story.choice_question,
        "ctx": lambda story: f"{story.name} is at the {story.thing}. {story.name}",
        "ctx_a": lambda story: f"{story.name} is at the {story.thing}.",
        "ctx_b": lambda story: story.name,
        "sentence": lambda story: f"{story.name} took the {story.thing} to {story.place} because _ was heavy.",
        "premise": lambda story: f"{story.name} needs the {story.thing}.",
        "article": lambda story: story.text(8, 25) + " " + story.choice_question(),
        "rationale": Story.sum_steps,
    },
    "code": {
        "task_id": lambda story: f"HumanEval/{story.index}",
        "prompt": Story.code_prompt,
        "canonical_solution": Story.code_solution,
        "entry_point": Story.code_name,
        "test": lambda story: f"def check(candidate):\n    assert candidate(1) == {story.first + 1}\n",
        "text": lambda story: f"Write a function to add {story.first} to a number.",
        "code": lambda story: f"def {story.code_name()}(value):\n    return value + {story.first}\n",
        "test_setup_code": lambda story: "",
        "content": lambda story: f"def {story.code_name()}(value):\n    return value + {story.first}\n",
    },
}  # fmt: skip


def kinds() -> tuple[str, ...]:
    """The kinds that a table or a user may name."""
    return ("", "tagging", *_BY_KIND)
