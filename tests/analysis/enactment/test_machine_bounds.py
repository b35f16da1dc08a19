# ruff: noqa: E501 (the programs are easier to read as they are)
"""A program that wants to run long, grow large or reach Python's own objects gets nowhere."""

from __future__ import annotations

import builtins
import multiprocessing
import resource
import sys

import pytest

from assay.analysis.enactment.interpreter import Interpreter
from assay.analysis.enactment.machine import NOT_FOLLOWED
from assay.analysis.enactment.modelled import Modelled
from assay.analysis.python_source import PythonFile

# far more than any of the programs takes: at most 3 s of processor time, and 100 MiB
SECONDS = 30
BYTES = 4 * 2**30
CLASSES = "class C0:\n    def f(self): return 1\n" + "".join(
    f"class C{n}(C{n - 1}):\n    def f(self): return super().f() + 1\n" for n in range(1, 300)
)
PROGRAMS = {
    "a long text": 'x = "a" * 10**9\nn = len(x)\ny = "ab" * 5 * 1000000 * 1000000\n',
    "a text that doubles": 'x = "a"\nfor _ in range(100000):\n    x = x + x\ny = f"{x}{x}{x}"\nz = "".join([x, x])\n',
    "text that doubles, written out": 'x = "aaaaaaaa"\n' + "x = x + x\n" * 200 + "y = x.replace('a', x)\n",
    "a width in a format": (
        'a = "%999999999d" % 1\nb = "{:>999999999}".format(1)\nc = f"{1:>999999999}"\nd = "%*d" % (999999999, 1)\n'
        'e = f"{1:{999999999}}"\nf = "x".ljust(999999999)\ng = "x".zfill(10**9)\nh = "x".center(10**9)\n'
        'i = "\\t".expandtabs(10**9)\nj = format(1, ">999999999")\nk = "{0:{1}}".format(1, 10**9)\n'
    ),
    "powers": "a = 10**10**10\nb = 1 << 10**9\nc = pow(10, 10**9)\nd = 2**2**2**2**2**2\ne = a * a\n",
    "products": "x = 7\nfor _ in range(100000):\n    x = x * x\n" + "x = 7\n" + "x = x * x\n" * 300 + "y = str(x)\n",
    "numbers in other notations": "x = 0x"
    + "f" * 5000
    + "\ny = str(x)\nz = f'{x}'\nw = float(x)\nprint(x)\nx / 3\n-x\n",
    "many digits": 'x = int("9" * 5000)\ny = int("9" * 299)\nz = float("9" * 400)\nw = y * y * y * y\n',
    "lists that double": "x = [1]\n" + "x = x + x\n" * 60 + "x += x\n" * 60 + "y = [*x, *x]\n",
    "tuples that double": "x = (1,)\n" + "x = x + x\n" * 60,
    "dictionaries that grow": "d = {}\nfor i in range(10**9):\n    d[i] = {**d}\n" + "d = {'a': d, 'b': d}\n" * 300,
    "shared containers": "x = [1]\n"
    + "x = [x, x]\n" * 300
    + "import copy\ny = copy.deepcopy(x)\nz = x == y\nprint(x)\n",
    "shared containers in json": (
        "import json\nx = [1]\n" + "x = [x, x]\n" * 60 + "t = json.dumps(x)\n"
        "import wandb\nwandb.init(config=x)\nwandb.log({'a': x})\n"
    ),
    "shared containers in a configuration": (
        "from omegaconf import OmegaConf\nx = {'a': 1}\n"
        + "x = {'a': x, 'b': x}\n" * 40
        + "c = OmegaConf.create(x)\nd = OmegaConf.to_container(c)\nc.x = x\nOmegaConf.merge(c, x)\n"
    ),
    "a list in itself": "x = [1]\nx.append(x)\ny = x == x\nz = x + x\nimport copy, json\nw = copy.deepcopy(x)\njson.dumps(x)\n",
    "a dictionary in itself": (
        "from omegaconf import OmegaConf\nd = {}\nd['d'] = d\nc = OmegaConf.create(d)\nf'{d}'\nd == d\n"
        "import wandb\nwandb.log(d)\ng = d | d\nh = dict(d)\n"
    ),
    "a configuration in itself": (
        "from omegaconf import OmegaConf\nc = OmegaConf.create({'a': {}})\nc.a.c = c\nc.b = '${b}'\nx = c.b\n"
        "OmegaConf.to_container(c, resolve=True)\nc.p = '${q}'\nc.q = '${p}'\ny = c.p\nOmegaConf.resolve(c)\n"
    ),
    "configurations that double": (
        "from omegaconf import OmegaConf\nc = OmegaConf.create({'a': 1})\n"
        + "c = OmegaConf.create({'x': c, 'y': c})\n" * 24
    ),
    "recursion": "def f(n): return f(n + 1)\nf(0)\n",
    "recursion in a loop": "def f(n):\n    for i in range(10):\n        f(n - 1)\n        f(n - 2)\nf(100)\n",
    "mutual recursion": "def f(n): return g(n) + g(n)\ndef g(n): return h(n) + h(n)\ndef h(n): return f(n) + f(n)\nf(1)\n",
    "a tree of calls": "".join(f"def f{n}(): return f{n + 1}() + f{n + 1}()\n" for n in range(35))
    + "def f35(): return 1\nf0()\n",
    "a tree of branches": (
        "import os\n"
        + "".join(f"if os.environ.get('A{n}'):\n    x{n} = {n}\nelse:\n    x{n} = None\n" for n in range(400))
    ),
    "nested branches": "import os\n"
    + "".join("    " * n + f"if os.environ.get('A{n}'):\n" for n in range(90))
    + "    " * 90
    + "x = 1\n",
    "nested loops": "import os\nn = len(os.environ.get('N'))\nd = {}\n"
    + "".join("    " * n + f"for i{n} in range(n):\n" for n in range(15))
    + "    " * 15
    + "d[i0] = d.get(i1)\n    \n",
    "nested loops of known lists": "".join(
        "    " * n + f"for i{n} in list('abcdefghijklmnopqrst'):\n" for n in range(15)
    )
    + "    " * 15
    + "pass\n",
    "nested comprehensions": "x = [1 " + " ".join(f"for i{n} in 'abcdefghijklmnop'" for n in range(18)) + "]\n",
    "nested calls in branches": (
        "import os\n"
        + "".join(
            f"def f{n}(d):\n    if os.environ.get('A{n}'):\n        return f{n + 1}(d)\n    d[{n}] = f{n + 1}(d)\n    return d\n"
            for n in range(35)
        )
        + "def f35(d): return d\nf0({})\n"
    ),
    "nested tries": "".join("    " * n + "try:\n" for n in range(90))
    + "    " * 90
    + "x = {}['a']\n"
    + "".join("    " * n + "except ValueError:\n" + "    " * (n + 1) + "pass\n" for n in range(89, -1, -1)),
    "tries in loops": (
        "import os\ndef f(n):\n    while True:\n        try:\n            f(n)\n        except Exception:\n            f(n)\n"
        "        finally:\n            f(n)\nf(1)\n"
    ),
    "an endless loop": "while True:\n    pass\n",
    "an endless loop with a counter": "i = 0\nwhile i >= 0:\n    i += 1\n",
    "an endless generator": "def g():\n    while True:\n        yield 1\nx = list(g())\nfor y in g():\n    for z in g():\n        pass\n",
    "deep lists": "x = " + "[" * 80 + "]" * 80 + "\n",
    "deep expressions": "x = " + "(" * 80 + "1" + " + 1)" * 80 + "\n",
    "a long chain": "import torch\nx = torch" + ".a()" * 120 + "\n",
    "a long sum": "x = " + "+".join(["1"] * 250) + "\n",
    "classes that inherit for long": CLASSES + "x = C299().f()\n",
    "classes in a circle": (
        "class A: pass\nclass B(A): pass\nclass A(B): pass\nclass B(A): pass\nA().x\nB.y\nA.__mro__\n"
        "class C(A, B): pass\nclass D(B, A, C): pass\nD().z\nclass E(E): pass\nE().q\n"
    ),
    "many bases": "class Z: pass\n"
    + "".join(f"class A{n}({', '.join(f'A{m}' for m in range(max(0, n - 12), n)) or 'Z'}): pass\n" for n in range(60))
    + "x = A59().x\n",
    "dunders": (
        "x = ().__class__.__bases__[0].__subclasses__()\ny = ''.__class__.__mro__[-1]\nz = (1).__class__('5')\n"
        "f = lambda: 0\ng = f.__globals__\ng['x'] = 1\nf.__code__ = None\nh = f.__closure__\nprint.__self__.open('/etc/passwd')\n"
        "'{0.__class__.__mro__}'.format(1)\n'a'.format.__self__\n[].append.__self__\n{}.get.__func__\nx.__dict__['a'] = 1\n"
        "class A: pass\nA.__bases__ = (dict,)\nA().__class__ = dict\nA.__subclasses__()\nA.__init__.__globals__\n"
        "getattr(1, '__class__')\ngetattr('', '__doc__')\ngetattr(A(), '__reduce__')()\ntype('X', (A,), {'a': 1})().a\n"
    ),
    "dunders of configurations": (
        "from omegaconf import OmegaConf\nc = OmegaConf.create({'a': 1, '_content': 5, '__class__': 6, '_metadata': 7})\n"
        "c.__dict__['_content'] = 5\nc._metadata\nc._content\nc.__class__\nc._set_flag('struct', True)\nc.__setattr__('a', 2)\n"
        "setattr(c, '_content', 3)\nsetattr(c, '_metadata', 3)\nc._parent = c\nc['__class__'] = 5\ngetattr(c, '_get_root')()\n"
        "c.a = 3\nc._flags_cache = 1\nc.__init__({})\nc._val = 3\nx = c.a\n"
    ),
    "reading files": (
        "x = open('/etc/passwd').read()\nfrom pathlib import Path\ny = Path('/etc/passwd').read_text()\n"
        "from omegaconf import OmegaConf\nz = OmegaConf.load('/etc/passwd')\nimport yaml, json\n"
        "a = yaml.safe_load(open('/etc/hostname'))\nb = Path('~').expanduser()\nc = Path('/').glob('*')\n"
        "d = yaml.unsafe_load('!!python/object/apply:os.getpid []')\ne = yaml.load('!!python/name:os.system', Loader=yaml.Loader)\n"
        "f = json.loads('[' * 100000)\ng = yaml.safe_load('a: &a [1]\\n' + 'b: [*a, *a]\\n')\n"
        "h = OmegaConf.create('a: ${oc.env:HOME}').a\n"
    ),
    "running things": (
        "import os, subprocess, sys\nos.system('touch enacted')\nsubprocess.run(['touch', 'enacted'])\nexec('import os')\n"
        "eval('1')\n__import__('os').system('touch enacted')\ncompile('1', 'x', 'eval')\nopen('enacted', 'w').write('x')\n"
        "from pathlib import Path\nPath('enacted').touch()\nPath('enacted').write_text('x')\nos.makedirs('enacted')\n"
        "from omegaconf import OmegaConf\nOmegaConf.save(OmegaConf.create({}), 'enacted')\nimport shutil\n"
        "shutil.copy('/etc/passwd', 'enacted')\nimport hydra\nhydra.utils.instantiate({'_target_': 'os.system'})\n"
        "import pickle\npickle.loads(b'x')\nimport ctypes\nctypes.string_at(0)\n"
    ),
    "resolvers": (
        "from omegaconf import OmegaConf\nfor n in ('oc.env', 'oc.decode', 'now', 'hydra'):\n"
        "    OmegaConf.register_new_resolver(n, lambda *a: open('/etc/passwd'), replace=True)\n"
        "c = OmegaConf.create({'a': '${oc.decode:[1]}', 'b': '${nobody:1}'})\nx = c.a\nOmegaConf.clear_resolvers()\n"
    ),
    "metaclasses": (
        "class M(type):\n    def __new__(m, *a, **k): return M.__call__(m)\n    def __call__(c, *a): return c()\n"
        "    def __getattr__(c, n): return getattr(c, n)\n    def __iter__(c): return iter(c)\n"
        "class A(metaclass=M):\n    def __getattr__(self, n): return getattr(self, n)\n"
        "    def __getitem__(self, k): return self[k]\n    def __len__(self): return len(self)\n"
        "    def __call__(self, *a): return self(*a)\n    def __iter__(self): return iter(self)\n"
        "    @property\n    def p(self): return self.p\n    @p.setter\n    def p(self, v): self.p = v\n"
        "    def __setattr__(self, n, v): self.n = v\n    def __enter__(self):\n        with self as x: return x\n"
        "    def __exit__(self, *a):\n        with self: pass\n"
        "a = A()\na.x\na[0]\nlen(a)\na()\nlist(a)\na.p\na.p = 1\na.q = 2\nwith a: pass\nA.x\nfor b in A: pass\n"
    ),
    "decorators": (
        "def d(f): return d(f)\n@d\n@d\ndef f(): return f()\nf()\ndef e(f): return e\n@e\nclass A: pass\nA()\n"
        "from contextlib import contextmanager\n@contextmanager\ndef g():\n    with g() as x:\n        yield x\nwith g() as y:\n    pass\n"
        "@contextmanager\ndef h():\n    while True:\n        yield 1\nwith h():\n    with h():\n        with h():\n            pass\n"
    ),
    "odd assignments": (
        "a, (b, *c), *d = [1, [2, 3], 4]\n[x.y[0].z, q] = 1, 2\nfor f.g[1] in [1, 2]: pass\nimport os\n"
        "with os as (a, b): pass\n(a) = b = c = a\ndel a, b\nx: int\nfor x in x: x = x\nlambda: (yield)\nprint(*a, **a)\n"
        "del os.environ['A'], unknown, unknown.a, [1][0]\nnonexistent += 1\n{}[1:2] = 3\n[1, 2][::2] = 1\n"
    ),
    "odd calls": (
        "len()\nint()\nrange()\nrange(1, 2, 0)\nrange(10**30)\nisinstance(1)\ngetattr()\nsetattr(1, 2)\nsuper()\nsuper().x\nzip()\n"
        "map()\nfilter(None)\nsorted()\nmax()\nmin([])\nsum()\nsum(['a'])\nnext()\niter()\nopen()\nstr(1, 2, 3)\nabs('x')\nround(1, 2)\n"
        "dict(1)\ndict([1])\nlist(1)\ntuple(None)\nset([[]])\nenumerate()\nvars()\ntype()\nint('1', 2)\nint('١')\nfloat('nan')\n"
        "import json, copy, os, shlex, functools, argparse, pathlib\njson.dumps()\njson.loads()\njson.load()\ncopy.copy()\nshlex.split('\"')\n"
        "functools.partial()\nos.path.join()\nos.path.dirname()\nos.getenv()\nargparse.ArgumentParser().add_argument()\n"
        "pathlib.Path().with_suffix('x/y')\npathlib.Path('a').joinpath(1)\npathlib.Path(1)\npathlib.Path('\\0').exists()\n"
        "from omegaconf import OmegaConf, open_dict\nOmegaConf.create()\nOmegaConf.merge()\nOmegaConf.update()\nOmegaConf.select()\n"
        "OmegaConf.load()\nOmegaConf.save()\nOmegaConf.to_container()\nOmegaConf.set_struct()\nOmegaConf.register_new_resolver()\n"
        "OmegaConf.from_dotlist()\nOmegaConf.from_dotlist(['a', '=', 'a.b.c', '[0]=1'])\nOmegaConf.create('[')\nOmegaConf.create('a')\n"
        "OmegaConf.create({'a b': 1, '': 2, 'x.y': 3})['a b']\nOmegaConf.select(OmegaConf.create({}), '[[')\n"
        "OmegaConf.masked_copy(OmegaConf.create({}), 5)\nwith open_dict(): pass\nOmegaConf.update(OmegaConf.create({}), '', 1)\n"
        "OmegaConf.create({'a': 1}).merge_with([1])\nOmegaConf.create([1]).update({'a': 1})\nOmegaConf.create({'a': 1}).pop()\n"
        "OmegaConf.create({None: 1})\nOmegaConf.create({'a': {1, 2}})\nOmegaConf.merge([1], {'a': 1})\nOmegaConf.merge(1, 2)\n"
    ),
    "odd keys": (
        "d = {}\nd[[]] = 1\nd[{}]\nd[None] = d[1.5] = d[b'x'] = d[()] = 1\nd[float('nan')]\n{[]: 1}\n{1, []}\n'x'['y']\n'x'[5]\n[1][5]\n"
        "(1)[0]\nNone[0]\nd[...]\nd[1:2]\n'x'[::0]\n[1][::0]\n'x'[1:10**30]\n[1]['a']\n[1][True]\n[1][10**30]\n'abc'[True]\n"
    ),
    "surrogates": "x = '\\ud800'\ny = f'{x}'\nz = {x: x}\nraise ValueError(x)\n",
    "matching": (
        "match [1, [2, {'a': 3}]]:\n    case [x, [y, {'a': z, **r}]] if x: pass\n    case {**q}: pass\n    case int(n) | str(n): pass\n"
        "    case A.B: pass\n    case (1 | 2) as m: pass\n    case -1 | 1+2j: pass\n    case None: pass\n    case _: pass\n"
    ),
    "many events": "import torch\n" + "".join(f"torch.a{n}({{'x': [1, 2, 3]}}, {n})\n" for n in range(6000)),
    "many names": "".join(f"n{n} = {n}\n" for n in range(5000))
    + "import os\n"
    + "if os.environ.get('A'):\n    pass\n" * 200,
    "large displays": "x = ["
    + "1," * 50_000
    + "]\ny = [a for a in x]\nz = sorted(x)\nfor a in x: pass\nw = x + x + x\nv = sum(x)\n",
    "large literals": "x = '" + "a" * 300_000 + "'\n" + "y = x.upper().lower().split('a')\n" * 20,
}


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """Whether a real file is opened, or a process started, while a program is enacted."""
    touched = []
    active = [True]

    def hook(event, arguments):
        if active[0] and event in ("open", "os.system", "subprocess.Popen", "os.exec", "os.mkdir", "os.rename", "exec"):
            touched.append((event, str(arguments)[:100]))

    monkeypatch.chdir(tmp_path)
    sys.addaudithook(hook)
    yield touched
    active[0] = False
    assert list(tmp_path.iterdir()) == []


def enacted(text):
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(12_000)
    try:
        machine = Interpreter({"main.py": PythonFile("main.py", text)}, {}, Modelled())
        machine.run("main.py")
    finally:
        sys.setrecursionlimit(limit)
    return machine


def reason(text):
    """Why a program was not enacted to its end, by a process of its own, which the kernel stops if it grows or stays."""
    context = multiprocessing.get_context("fork")
    reading, writing = context.Pipe(duplex=False)

    def enact():
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
        writing.send(enacted(text).reason)

    process = context.Process(target=enact)
    process.start()
    process.join()
    assert process.exitcode == 0
    return reading.recv()


@pytest.mark.parametrize("title", PROGRAMS)
def test_it_ends(title):
    said = reason(PROGRAMS[title])
    assert NOT_FOLLOWED not in said
    assert said != "main.py could not be read"


@pytest.mark.parametrize(
    "title", ["dunders", "dunders of configurations", "reading files", "running things", "resolvers"]
)
def test_nothing_is_touched(title, watched):
    enacted(PROGRAMS[title])
    del watched[:]
    machine = enacted(PROGRAMS[title])
    assert [one for one in watched if "pycache" not in one[1]] == []
    held = repr(machine.events)
    assert "root:" not in held
    real = [value for name, value in vars(builtins).items() if not name.startswith("_") and callable(value)]
    for scope in (module.scope for module in machine.modules.values()):
        for value in scope.names.values():
            assert type(value).__module__ in (
                "builtins",
                "assay.analysis.enactment.values",
                "assay.analysis.enactment.machine",
            )
            assert not any(value is one for one in real)
