"""What DAT014 blocks, what it warns of, and what it leaves alone."""

from __future__ import annotations

import pytest

from assay.rules import Example, all_rules
from tests.rules.test_examples import findings_of

IMPORTS = """\
from datasets import load_dataset
import torch
from torch.utils.data import Dataset, Subset, random_split
from torchvision import datasets, transforms

THREE = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)])


class Rows(Dataset):
    def __init__(self, base, tf=None):
        self.base = base
        self.tf = tf

    def __getitem__(self, i):
        row = self.base[int(i)]
        return self.tf(row["image"]), row["label"]


class Pairs(Dataset):
    def __init__(self, base, tf=None):
        self.base = base
        self.tf = tf

    def __getitem__(self, i):
        x, y = self.base[i]
        if self.tf:
            x = self.tf(x)
        return x, y


"""

BLOCKED = {
    "a dataset of torchvision": "d = datasets.MNIST('d', transform=THREE)",
    "handed on to a loader": "d = torch.utils.data.DataLoader(datasets.MNIST('d', transform=THREE), 2)",
    "every image of a part": "d = Pairs(random_split(datasets.MNIST('d'), [1, 2])[0], THREE)",
    "an old name of the Hub": "d = Rows(load_dataset('mnist', split='test'), THREE)",
    "a split of a dict": "d = Rows(load_dataset('zh-plus/tiny-imagenet')['train'], THREE)",
    "a lambda": "d = load_dataset('mnist', split='train').map(lambda row: {'x': THREE(row['image'])})",
    "a transform that takes the place of the image": (
        "def f(b):\n    b['image'] = [THREE(i) for i in b['image']]\n    return b\n\n\n"
        "d = load_dataset('mnist', split='train')\nd.set_transform(f)"
    ),
    "values by name": (
        "means = {'mnist': (0.1, 0.1, 0.1), 'other': (0.1,)}\n"
        "tf = transforms.Compose([transforms.ToTensor(), transforms.Normalize(means['mnist'], (1, 1, 1))])\n"
        "d = datasets.MNIST('d', transform=tf)"
    ),
}

WARNED = {
    "a branch": "if NAME == 'mnist':\n    d = datasets.MNIST('d', transform=THREE)",
    "caught": "try:\n    d = datasets.MNIST('d', transform=THREE)\nexcept RuntimeError:\n    d = None",
    "another transform later": "d = datasets.MNIST('d', transform=THREE)\nd.transform = other",
    "the tensors it holds": "d = datasets.MNIST('d', transform=THREE)\nx = d.data.float()",
    "some rows": "d = Rows(load_dataset('zh-plus/tiny-imagenet')['train'].select(range(10)), THREE)",
    "some rows later": "d = Subset(Rows(load_dataset('zh-plus/tiny-imagenet')['train'], THREE), range(10))",
    "a split that nobody speaks of": "d = Rows(load_dataset('zh-plus/tiny-imagenet')['valid'], THREE)",
    "perhaps not normalised": (
        "steps = [transforms.ToTensor()]\nif N:\n    steps.append(transforms.Normalize((0.5,) * 3, (0.5,) * 3))\n"
        "d = datasets.MNIST('d', transform=transforms.Compose(steps))"
    ),
    "perhaps not loaded": (
        "def f():\n    d = load_dataset('mnist', split='train')\n    if X:\n        return d\n"
        "    return Rows(d, THREE)\n\n\nf()"
    ),
    "nothing known": "d = Rows(load_dataset('someone/scenes', split='train'), THREE)",
}

LEFT_ALONE = {
    "a transform of its own": "d = Pairs(datasets.MNIST('d', transform=transforms.Grayscale(3)), THREE)",
    "the same by place": "d = Pairs(datasets.MNIST('d', True, transforms.Grayscale(3)), THREE)",
    "features": "d = Rows(load_dataset('mnist', features=F, split='train'), THREE)",
    "mapped": "d = Rows(load_dataset('mnist').map(rgb)['train'], THREE)",
    "mapped in place": (
        "ds = load_dataset('mnist')\nfor s in ds:\n    ds[s] = ds[s].map(rgb)\nd = Rows(ds['train'], THREE)"
    ),
    "set_transform": "ds = load_dataset('mnist')\nds.set_transform(rgb)\nd = Rows(ds['train'], THREE)",
    "one of two transforms": (
        "gray = transforms.Compose([transforms.Grayscale(3), transforms.ToTensor()])\n"
        "d = datasets.MNIST('d', transform=gray if GRAY else THREE)"
    ),
    "a step put first": (
        "steps = [transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)]\n"
        "steps.insert(0, transforms.Grayscale(3))\nd = datasets.MNIST('d', transform=transforms.Compose(steps))"
    ),
    "a list handed on": (
        "steps = [transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)]\nchange(steps)\n"
        "d = datasets.MNIST('d', transform=transforms.Compose(steps))"
    ),
    "a step replaced": (
        "steps = [transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)]\nsteps[0] = other\n"
        "d = datasets.MNIST('d', transform=transforms.Compose(steps))"
    ),
    "values by a name that is open": (
        "means = {'mnist': (0.1,), 'other': (0.1, 0.1, 0.1)}\n"
        "tf = transforms.Compose([transforms.ToTensor(), transforms.Normalize(means[NAME], (1, 1, 1))])\n"
        "d = datasets.MNIST('d', transform=tf)"
    ),
    "rows that are fixed": (
        "def f(b):\n    fix(b)\n    return {'x': [THREE(i) for i in b['image']]}\n\n\n"
        "d = load_dataset('mnist', split='train').with_transform(f)"
    ),
    "rows that are changed": (
        "def f(b):\n    b['image'] = [fix(i) for i in b['image']]\n    b['x'] = [THREE(i) for i in b['image']]\n"
        "    return b\n\n\nd = load_dataset('mnist', split='train').with_transform(f)"
    ),
    "another way to take a row": (
        "class Other(Rows):\n    def __getitem__(self, i):\n        return self.base[i]\n\n\n"
        "d = Other(load_dataset('mnist', split='test'), THREE)"
    ),
    "a copy of CIFAR": "d = Rows(load_dataset('someone/cifar10-copy', split='train'), THREE)",
}


def severities(code: str) -> list[str]:
    example = Example({"src/main.py": "import src.preprocess\n", "src/preprocess.py": f"{IMPORTS}{code}\n"})
    return [finding.severity.value for finding in findings_of(all_rules()["DAT014"], example)]


@pytest.mark.parametrize("code", BLOCKED.values(), ids=BLOCKED)
def test_dat014_blocks_what_certainly_raises(code):
    assert severities(code) == ["blocking"]


@pytest.mark.parametrize("code", WARNED.values(), ids=WARNED)
def test_dat014_warns_of_what_may_raise(code):
    assert severities(code) == ["warning"]


@pytest.mark.parametrize("code", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_dat014_leaves_alone_what_may_be_converted(code):
    assert severities(code) == []
