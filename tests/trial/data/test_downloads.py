"""What is made where a library would download it."""

from __future__ import annotations

import pytest

from assay.trial.inside import downloads, torchvision_data


def test_newsgroups_have_the_categories_that_were_asked_for(monkeypatch):
    library = pytest.importorskip("sklearn.datasets")
    for name in [name for name in dir(library) if name.startswith("fetch_")]:
        monkeypatch.setattr(library, name, getattr(library, name))
    downloads.install(library)
    found = library.fetch_20newsgroups(subset="test", categories=["sci.med", "rec.autos"])
    assert found.target_names == ["rec.autos", "sci.med"]
    assert len(found.data) == len(found.target)
    data, target = library.fetch_california_housing(return_X_y=True)
    assert data.shape == (20640, 8)
    assert target.shape == (20640,)


def test_pictures_are_spread_over_the_labels():
    numpy = pytest.importorskip("numpy")
    pictures, labels = torchvision_data.many("any", 100, 10, 8, 8)
    assert pictures.shape == (100, 8, 8, 3)
    assert numpy.bincount(labels).tolist() == [10] * 10


def test_a_set_is_made_where_it_would_be_downloaded(tmp_path, monkeypatch):
    library = pytest.importorskip("torchvision")
    torchvision_data.install(library)
    made = library.datasets.CIFAR10(str(tmp_path), train=False, download=True)
    assert len(made) == 10000
    assert len(library.datasets.CIFAR10(str(tmp_path), train=False)) == 10000
