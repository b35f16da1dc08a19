"""Whether code runs when its file is imported, or whenever its function does, and what a `try` around it catches."""

from __future__ import annotations

import ast

import pytest

from assay.analysis.import_time import When, catches, is_fallback, is_main_guard, is_unconditional, when
from assay.analysis.python_source import PythonFile


def marked(text):
    """A file and its call of `mark`."""
    file = PythonFile("src/a.py", text)
    return file, next(call for call, name in file.calls if name == "mark")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("mark()\n", When.ON_IMPORT),
        ("with a():\n    mark()\n", When.ON_IMPORT),
        ("try:\n    mark()\nfinally:\n    pass\n", When.ON_IMPORT),
        ("class A(mark()):\n    pass\n", When.ON_IMPORT),
        ("class A:\n    b = mark()\n", When.ON_IMPORT),
        ("@mark()\ndef f():\n    pass\n", When.ON_IMPORT),
        ("def f(a=mark()):\n    pass\n", When.ON_IMPORT),
        ("f = lambda a=mark(): a\n", When.ON_IMPORT),
        ("if mark():\n    pass\n", When.ON_IMPORT),
        ("for a in mark():\n    pass\n", When.ON_IMPORT),
        ("x = mark() and b\n", When.ON_IMPORT),
        ("x = b and mark()\n", When.PERHAPS),
        ("x = mark() if b else c\n", When.PERHAPS),
        ("if b:\n    mark()\n", When.PERHAPS),
        ("for a in b:\n    mark()\n", When.PERHAPS),
        ("while b:\n    mark()\n", When.PERHAPS),
        ("try:\n    a()\nexcept E:\n    mark()\n", When.PERHAPS),
        ("x = [mark() for a in b]\n", When.PERHAPS),
        ("match b:\n    case 1:\n        mark()\n", When.PERHAPS),
        ("def f():\n    mark()\n", When.IN_FUNCTION),
        ("f = lambda: mark()\n", When.IN_FUNCTION),
        ("if b:\n    def f():\n        mark()\n", When.IN_FUNCTION),
        ("if __name__ == '__main__':\n    mark()\n", When.IN_FUNCTION),
        ("if __name__ == '__main__':\n    pass\nelse:\n    mark()\n", When.PERHAPS),
        ("if __name__ != '__main__':\n    mark()\n", When.PERHAPS),
    ],
)
def test_when_code_runs(text, answer):
    assert when(*marked(text)) is answer


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ("mark()", True),
        ("with a():\n        mark()", True),
        ("for a in b:\n        mark()", True),
        ("try:\n        mark()\n    finally:\n        a()", True),
        ("try:\n        a()\n    except E:\n        pass\n    finally:\n        mark()", True),
        ("try:\n        mark()\n    except E:\n        pass", False),
        ("try:\n        a()\n    except E:\n        pass\n    else:\n        mark()", False),
        ("try:\n        a()\n    except E:\n        mark()", False),
        ("if b:\n        mark()", False),
        ("return a or mark()", False),
        ("return lambda: mark()", False),
        ("return (lambda x=mark(): x)", True),
        ("return [mark() for a in b]", False),
        ("return {mark() for a in range(b)}", False),
        ("return {a: mark() for a in b}", False),
        ("return [mark() for a in (1, 2)]", True),
        ("return [mark() for a in range(3)]", True),
        ("return [mark() for a in (*b,)]", False),
        ("return [mark() for a in range(3) for c in b]", False),
        ("return [mark() for a in range(3) if a]", False),
        ("return [a for a in mark()]", True),
        ("return [a for c in b for a in mark()]", False),
        ("return (mark() for a in range(3))", False),
        ("return (a for a in mark())", True),
        ("return all(mark() for a in range(3))", False),
        ("return [a for a in b if mark()]", False),
        ("return mark() or a", True),
        ("with suppress(OSError):\n        mark()", False),
        ("with contextlib.suppress(OSError):\n        mark()", False),
        ("with a() as x, contextlib.suppress(OSError):\n        if True:\n            pass\n        mark()", False),
        ("with contextlib.suppress(mark()):\n        a()", True),
        ("with contextlib.suppress(OSError):\n        a()\n    mark()", True),
    ],
)
def test_whether_code_runs_whenever_its_function_does(body, answer):
    file, call = marked(f"def f(a, b):\n    {body}\n")
    assert is_unconditional(file, call, file.function_of(call)) is answer


@pytest.mark.parametrize(
    ("manager", "answer"),
    [
        ("@contextmanager\ndef quiet():\n    yield\n", True),
        ("@contextmanager\ndef quiet():\n    try:\n        yield\n    finally:\n        pass\n", True),
        ("@contextmanager\ndef quiet():\n    try:\n        yield\n    except OSError:\n        pass\n", False),
        ("class quiet:\n    def __exit__(self, *a):\n        pass\n", True),
        ("class quiet:\n    def __exit__(self, *a):\n        return False\n", True),
        ("class quiet:\n    def __exit__(self, *a):\n        return True\n", False),
        ("class quiet(Other):\n    pass\n", False),
    ],
)
def test_a_manager_of_the_file_may_catch(manager, answer):
    file, call = marked(f"{manager}def f():\n    with quiet():\n        mark()\n")
    assert is_unconditional(file, call, file.function_of(call)) is answer


def test_the_main_guard_is_passed_only_in_a_program():
    file, call = marked("if __name__ == '__main__':\n    mark()\n")
    assert is_unconditional(file, call, None, program=True)
    assert not is_unconditional(file, call, None)
    file, call = marked("if __name__ == '__main__':\n    pass\nelse:\n    mark()\n")
    assert not is_unconditional(file, call, None, program=True)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("__name__ == '__main__'", True),
        ("'__main__' == __name__", True),
        ("__name__ != '__main__'", False),
        ("name == '__main__'", False),
        ("__name__ == 'src.main'", False),
        ("__name__ == '__main__' == a", False),
        ("__name__", False),
    ],
)
def test_the_main_guard(text, answer):
    assert is_main_guard(ast.parse(text, mode="eval").body) is answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("try:\n    mark()\nexcept OSError:\n    pass\n", True),
        ("try:\n    mark()\nexcept (KeyError, OSError):\n    pass\n", True),
        ("try:\n    mark()\nexcept:\n    pass\n", True),
        ("import x\ntry:\n    mark()\nexcept x.OSError:\n    pass\n", True),
        ("try:\n    if a:\n        mark()\nexcept OSError:\n    pass\n", True),
        ("try:\n    mark()\nexcept KeyError:\n    pass\n", False),
        ("with contextlib.suppress(OSError):\n    mark()\n", True),
        ("with contextlib.suppress(KeyError, OSError):\n    mark()\n", True),
        ("with contextlib.suppress(KeyError):\n    mark()\n", False),
        ("try:\n    pass\nexcept OSError:\n    mark()\n", False),
        ("try:\n    pass\nexcept OSError:\n    pass\nelse:\n    mark()\n", False),
        ("try:\n    mark()\nfinally:\n    pass\n", False),
        # what a function raises is caught where it is called, not where it is defined
        ("try:\n    def f():\n        mark()\nexcept OSError:\n    pass\n", False),
    ],
)
def test_what_a_try_catches(text, answer):
    file, call = marked(text)
    assert catches(file, call, frozenset({"OSError"})) is answer


def test_a_fallback_stands_in_a_handler():
    assert is_fallback(*marked("try:\n    a()\nexcept E:\n    if b:\n        mark()\n"))
    assert not is_fallback(*marked("try:\n    mark()\nexcept E:\n    a()\n"))
