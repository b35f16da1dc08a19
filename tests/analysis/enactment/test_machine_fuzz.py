"""Programs that nobody would write: what the enactment is certain of happens in Python all the same."""

from __future__ import annotations

import os
import random

from tests.analysis.enactment.test_machine_against_python import complaints, really

PROGRAMS = int(os.environ.get("ASSAY_FUZZ_EXAMPLES", "60")) * 5
START = """import os
from omegaconf import OmegaConf
flag = os.environ.get("FLAG")
n = int(os.environ.get("N", "0"))
cfg = OmegaConf.create({"a": 1, "b": None, "c": {"x": 2, "y": "t"}, "l": [1, 2]})
d = {"a": 1, "b": [1]}
items = [1, 2]
a, b, c = 1, None, "t"
class Box:
    def __init__(self):
        self.a = 1
        self.b = None
box = Box()
def change(d, value=None):
    if flag:
        return "early"
    d["late"] = value
    return value
def count():
    global a
    a = (a or 0) + 1 if isinstance(a, int) else 0
    return a
"""
NAMES = ("a", "b", "c")
PLACES = ("a", "b", "c", "d['a']", "d['k']", "box.a", "box.b", "cfg.a", "cfg.c.x", "cfg.new", "items[0]")
VALUES = (
    "1", "2", "None", "'t'", "a", "b", "c", "flag", "n", "d.get('a')", "d.get('k', 5)", "cfg.get('new')", "cfg.a",
    "cfg.c.x",
    "box.a", "box.b", "len(items)", "items[-1] if items else 0", "count()", "change(d, 3)", "[1, 2]", "{'z': 1}",
    "dict(d)",
    "[x for x in items if x]", "a if flag else b", "a or b", "b and a", "not a", "bool(n)", "str(a)", "d['k']",
    "cfg.new",
    "int(c)", "OmegaConf.select(cfg, 'c.x')", "OmegaConf.to_container(cfg)", "sorted(d)", "list(items)", "'k' in d",
)  # fmt: skip
TESTS = (
    "flag", "n > 1", "a", "b is None", "a == 1", "c == 't'", "'k' in d", "'new' in cfg", "items", "d.get('k')",
    "box.b",
    "cfg.a == 1", "hasattr(box, 'q')", "len(items) > 2", "not flag", "isinstance(a, int)", "a is None or b",
    "change(d) == 'early'",
)  # fmt: skip
ACTIONS = (
    "items.append({v})", "items.pop() if items else None", "d.pop('k', None)", "d.setdefault('k', {v})",
    "d.update(k={v})",
    "cfg.pop('new', None)", "OmegaConf.update(cfg, 'c.x', {v})", "setattr(box, 'q', {v})", "change(d, {v})",
    "items.clear()",
    "OmegaConf.set_struct(cfg, bool({t}))", "cfg.update({{'new': {v}}})", "d[str({v})] = 1",
    "box.__dict__.update(a={v})",
    "cfg = OmegaConf.merge(cfg, {{'c': {{'x': {v}}}}})", "d = dict(d)", "items = items + [1]", "cfg = cfg.copy()",
    "del d['a']",
    "assert {t}", "a = a + 1", "b = c * 2", "items += [{v}]",
)  # fmt: skip
KINDS = ("KeyError", "(AttributeError, KeyError)", "Exception", "ValueError", "TypeError")


class Writer:
    """Writes a program, statement for statement."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lines = []
        self.left = self.random.randint(4, 18)

    def value(self):
        return self.random.choice(VALUES)

    def test(self):
        return self.random.choice(TESTS)

    def block(self, depth, in_loop, in_function):
        for _ in range(self.random.randint(1, 3)):
            self.statement(depth, in_loop, in_function)

    def add(self, depth, text):
        self.lines.append("    " * depth + text)

    def statement(self, depth, in_loop=False, in_function=False):
        self.left -= 1
        kind = self.random.random()
        if depth > 4 or self.left < 0 or kind < 0.4:
            if kind < 0.05 and in_loop:
                self.add(depth, self.random.choice(("break", "continue")))
            elif kind < 0.08 and in_function:
                self.add(depth, f"return {self.value()}")
            elif kind < 0.1:
                self.add(depth, f"raise {self.random.choice(('KeyError', 'ValueError'))}('x')")
            elif kind < 0.25:
                action = self.random.choice(ACTIONS)
                if not (in_function and " = " in action.partition("(")[0]):
                    action = action.format(v=self.value(), t=self.test())
                    self.add(depth, action)
                else:
                    self.add(depth, "pass")
            else:
                places = [one for one in PLACES if not (in_function and one in NAMES)]
                self.add(depth, f"{self.random.choice(places)} = {self.value()}")
        elif kind < 0.6:
            self.add(depth, f"if {self.test()}:")
            self.block(depth + 1, in_loop, in_function)
            if self.random.random() < 0.5:
                self.add(depth, "else:")
                self.block(depth + 1, in_loop, in_function)
        elif kind < 0.75:
            over = self.random.choice(("range(n)", "range(3)", "list(items)", "list(d)", "('a', 'k')"))
            self.add(depth, f"for i{depth} in {over}:")
            self.block(depth + 1, True, in_function)
            if self.random.random() < 0.3:
                self.add(depth, "else:")
                self.block(depth + 1, in_loop, in_function)
        elif kind < 0.9:
            self.add(depth, "try:")
            self.block(depth + 1, in_loop, in_function)
            final = self.random.random() < 0.2
            if not final or self.random.random() < 0.5:
                self.add(depth, f"except {self.random.choice(KINDS)}:")
                self.block(depth + 1, in_loop, in_function)
                if self.random.random() < 0.2:
                    self.add(depth, "else:")
                    self.block(depth + 1, in_loop, in_function)
            if final:
                self.add(depth, "finally:")
                self.add(depth + 1, f"box.b = {self.value()}")
        else:
            name = f"f{len(self.lines)}"
            self.add(depth, f"def {name}(d, cfg, items):")
            self.block(depth + 1, False, True)
            self.add(depth, f"got{depth} = {name}(d, cfg, items)")

    def text(self):
        while self.left > 0:
            self.statement(0)
        return START + "\n".join(self.lines) + "\n"


def test_what_is_certain_happens():
    texts = [Writer(seed).text() for seed in range(PROGRAMS)]
    for text in texts:
        compile(text, "main.py", "exec")
    found = [
        (text, wrong)
        for text, ends in zip(texts, really(texts), strict=True)
        if (wrong := complaints(text, ends, same_line=False))
    ]
    shown = "\n\n".join(f"{text.removeprefix(START)}\n{wrong}" for text, wrong in found[:3])
    assert not found, f"{len(found)} programs, the first:\n{shown}"
