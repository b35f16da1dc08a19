"""DAT014: images that are not RGB, or may not be, and a transform that needs three channels."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.dataset_knowledge import is_caught
from assay.analysis.image_flow import (
    Application,
    Images,
    goes_around_transform,
    image_applications,
    is_certain,
    takes_parts,
)
from assay.analysis.project import Project
from assay.finding import Consequence, Frame, Severity
from assay.rules.rule import Example, Outcome, Rule

_SOME = "Some images of {dataset} are grayscale, and Normalize gets three values"
_ONE = "The images of {dataset} have one channel, and Normalize gets three values"
_MAYBE = "Nothing converts the images of {dataset} to RGB before Normalize gets three values"
_CERTAIN = "Normalize raises RuntimeError at the first image that has not three channels."
_OPEN = "An image that has not three channels (grayscale, RGBA, CMYK) ends the run with a RuntimeError in Normalize."
_CONVERT = "Convert each image before the transform: image.convert('RGB')."
_GRAYSCALE = "Put Grayscale(num_output_channels=3) before ToTensor, or give Normalize one value."
_LAMBDA = "Put Lambda(lambda image: image.convert('RGB')) first in the transform."

_TF = (
    "tf = transforms.Compose([transforms.Resize(224), transforms.ToTensor(), "
    "transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])\n"
)
_WRAPPER = (
    "class Images(Dataset):\n    def __init__(self, data, transform):\n        self.data = data\n"
    "        self.transform = transform\n\n    def __getitem__(self, index):\n        row = self.data[index]\n"
    "        image = row['image']\n        if self.transform is not None:\n"
    "            image = self.transform(image)\n        return image, row['label']\n\n\n"
)
_APPLY = (
    "def apply(rows):\n    rows['pixels'] = [tf(image) for image in rows['image']]\n    return rows\n\n\n"
    "data = load_dataset('zh-plus/tiny-imagenet', split='train').with_transform(apply)\n"
)
_CONVERTED = "self.transform(image.convert('RGB'))"


def _preprocess(text: str) -> dict[str, str]:
    imports = (
        "from datasets import load_dataset\nfrom torch.utils.data import Dataset\n"
        "from torchvision import datasets, transforms\n\n\n"
    )
    return {"src/main.py": "import src.preprocess\n", "src/preprocess.py": imports + text}


def _wrapped(name: str, wrapper: str = _WRAPPER, tf: str = _TF, load: str = "split='train'") -> dict[str, str]:
    return _preprocess(wrapper + tf + f"train = Images(load_dataset('{name}', {load}), tf)\n")


class ImagesNotRgb(Rule):
    """Some datasets of colour images hold a few grayscale or CMYK images (ImageNet, Tiny ImageNet), and the `datasets`
    library gives each image in the mode of its file. `ToTensor` makes one channel of a grayscale image, and
    `transforms.Normalize` with three values then raises `RuntimeError: output with shape [1, ...] doesn't match the
    broadcast shape [3, ...]`, often after hours. On MNIST, whose images all have one channel, it does so at once.

    The rule follows images from `load_dataset` through dataset classes of the submission, `map`, `set_transform` and
    `with_transform`, and from classes of torchvision, to a `Compose` of transforms none of which changes the number of
    channels. It blocks where a table knows that the dataset holds such images; where it knows nothing of a dataset, it
    warns. Datasets that are RGB throughout, code that converts or asks for the mode, and `transforms.v2.Normalize`, which
    makes three channels of one, are left alone.
    """

    code = "DAT014"
    name = "images-not-rgb"
    requirements = ("E3.1", "D3.1")
    consequence = Consequence.CRASHES
    message = _SOME
    explanation = _CERTAIN
    repair = _CONVERT

    VALID = (
        Example(_wrapped("zh-plus/tiny-imagenet", _WRAPPER.replace("self.transform(image)", _CONVERTED))),
        Example(
            _wrapped(
                "zh-plus/tiny-imagenet",
                tf=_TF.replace(
                    "transforms.Resize(224)", "transforms.Lambda(lambda x: x.convert('RGB')), transforms.Resize(224)"
                ),
            )
        ),
        Example(_wrapped("ylecun/mnist", tf=_TF.replace("transforms.Resize(224)", "transforms.Grayscale(3)"))),
        Example(_wrapped("ylecun/mnist", tf=_TF.replace("[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]", "(0.5,), (0.5,)"))),
        Example(_wrapped("uoft-cs/cifar10")),
        # converted by the library
        Example(
            _preprocess(
                "from datasets import Image\n\n\n" + _WRAPPER + _TF + "data = load_dataset('zh-plus/tiny-imagenet')\n"
                "data = data.cast_column('image', Image(mode='RGB'))\ntrain = Images(data['train'], tf)\n"
            )
        ),
        # converted for one mode only
        Example(
            _wrapped(
                "zh-plus/tiny-imagenet",
                _WRAPPER.replace(
                    "        if self",
                    "        if image.mode != 'RGB':\n            image = image.convert('RGB')\n        if self",
                ),
            )
        ),
        # this one makes three channels of one
        Example(
            {
                "src/preprocess.py": _wrapped("zh-plus/tiny-imagenet")["src/preprocess.py"].replace(
                    "from torchvision import datasets, transforms",
                    "from torchvision import datasets\nfrom torchvision.transforms import v2 as transforms",
                )
            }
        ),
        # files are opened as RGB
        Example(_preprocess(_TF + "data = datasets.ImageFolder('images', transform=tf)\n")),
        Example(_preprocess(_TF + "data = datasets.CIFAR10('data', train=True, transform=tf)\n")),
        Example(_preprocess(_TF + "data = datasets.OxfordIIITPet('data', transform=tf)\n")),
        # grayscale images are widened where they are
        Example(
            _preprocess(
                "steps = [transforms.ToTensor()]\nif WIDE:\n    steps.append(transforms.Lambda(lambda x: x.repeat(3, 1, 1)))\n"
                "steps.append(transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)))\n"
                "data = datasets.MNIST('data', transform=transforms.Compose(steps))\n"
            )
        ),
        # one transform for each dataset
        Example(
            _preprocess(
                "def transform_of(name):\n    mean = (0.5,) if name == 'mnist' else (0.5, 0.5, 0.5)\n"
                "    return transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, mean)])\n\n\n"
                "data = datasets.MNIST('data', transform=transform_of('mnist'))\n"
            )
        ),
        Example(_preprocess(_TF + _APPLY.replace("tf(image)", "tf(image.convert('RGB'))"))),
        Example(_preprocess(_TF + "def rgb(row):\n    return {'image': row['image'].convert('RGB')}\n\n\n" + _WRAPPER
                            + "data = load_dataset('zh-plus/tiny-imagenet', split='train').map(rgb)\n"
                            "train = Images(data, tf)\n")),
    )  # fmt: skip
    INVALID = (
        Example(
            _wrapped("zh-plus/tiny-imagenet"),
            at=("src/preprocess.py:15",),
            repaired=_wrapped("zh-plus/tiny-imagenet", _WRAPPER.replace("self.transform(image)", _CONVERTED)),
        ),
        Example(
            _preprocess(_TF + _APPLY),
            at=("src/preprocess.py:8",),
            repaired=_preprocess(_TF + _APPLY.replace("tf(image)", "tf(image.convert('RGB'))")),
        ),
        Example(
            _preprocess(
                "def build(size):\n    mean = std = [0.5, 0.5, 0.5]\n    steps = [transforms.Resize(size)]\n"
                "    steps += [transforms.ToTensor(), transforms.Normalize(mean, std)]\n"
                "    return transforms.Compose(steps)\n\n\n"
                "def load(root):\n    tf = build(32)\n    return datasets.MNIST(root, True, tf)\n\n\nload('data')\n"
            ),
            at=("src/preprocess.py:15",),
            repaired=_preprocess(
                "def build(size):\n    mean = std = [0.5, 0.5, 0.5]\n    steps = [transforms.Grayscale(3)]\n"
                "    steps += [transforms.ToTensor(), transforms.Normalize(mean, std)]\n"
                "    return transforms.Compose(steps)\n\n\n"
                "def load(root):\n    tf = build(32)\n    return datasets.MNIST(root, True, tf)\n\n\nload('data')\n"
            ),
        ),
        # nothing is known of its images: a warning
        Example(_wrapped("someone/scenes"), at=("src/preprocess.py:15",)),
        # perhaps none of these rows: a warning
        Example(_wrapped("zh-plus/tiny-imagenet", load="split='train[:200]'"), at=("src/preprocess.py:15",)),
        Example(_preprocess(_TF + "data = datasets.Caltech101('data', transform=tf)\n"), at=("src/preprocess.py:7",)),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        seen: set[tuple[str, int, str]] = set()
        for application in image_applications(project):
            wanted = [images for images in application.images if images.modes != "RGB"]
            known = [images for images in wanted if _is_known(project, application, images)]
            blocking = len(known) == len(application.images)
            if not wanted:
                continue
            images = (known or wanted)[0]
            names = ", ".join(dict.fromkeys(one.name for one in wanted))
            file, place = application.file, application.place
            if (file.path, place.lineno, names) in seen:
                continue
            seen.add((file.path, place.lineno, names))
            normalize_file, normalize = application.normalize
            yield self.finding(
                file.path,
                place,
                severity=None if blocking else Severity.WARNING,
                message={"L": _ONE, "mixed": _SOME}.get(images.modes, _MAYBE) if len(wanted) == 1 else _MAYBE,
                explanation=_CERTAIN if blocking else _OPEN,
                repair=_CONVERT if application.own else _GRAYSCALE if images.modes == "L" else _LAMBDA,
                symbol=images.name,
                run=images.called.runs[0] if images.called.runs else None,
                detail=images.source,
                frames=(
                    Frame(images.called.file, _line(images.called.place)),
                    Frame(normalize_file.path, normalize.lineno),
                ),
                dataset=names,
            )


def _is_known(project: Project, application: Application, images: Images) -> bool:
    """Whether the dataset certainly gives an image that Normalize refuses, and nothing goes on after that."""
    if not application.sure or is_caught(application.file, application.place) or project.shared(goes_around_transform):
        return False
    if not is_certain(project, application, images):
        return False
    return images.modes == "L" or (images.modes == "mixed" and not images.part and not project.shared(takes_parts))


def _line(place: ast.Call | int) -> int:
    return place if isinstance(place, int) else place.lineno
