from __future__ import annotations

from tests.trial.inside.watched_run import Stage


def test_files_are_told_where_they_lie(stage: Stage) -> None:
    text = (
        "import os, shutil\nopen('../results/a.json', 'w').close()\nopen('b.txt', 'w').close()\nopen('b.txt').close()\n"
        "os.rename('b.txt', 'c.txt')\nos.remove('../results/a.json')\nos.makedirs('../results/d')\n"
        "shutil.rmtree('../results/d')\n"
    )
    stage.write({"a.py": text})
    seen = [(event["op"], event["path"], event["by"]) for event in stage.run("-m", "a").of("file")]
    assert seen[:4] == [
        ("write", "results:a.json", "own"),
        ("write", "work:b.txt", "own"),
        ("rename", "work:b.txt", "own"),
        ("delete", "results:a.json", "own"),
    ]
    assert ("rmtree", "results:d", "own") in seen


def test_a_figure_tells_its_texts(stage: Stage) -> None:
    text = (
        "import matplotlib\nmatplotlib.use('Agg')\nfrom matplotlib import pyplot\nfigure, axes = pyplot.subplots()\n"
        "axes.plot([1, 2], label='ours')\naxes.legend()\naxes.set_title('Loss')\n"
        "pyplot.savefig('../results/loss.png', bbox_inches='tight', dpi=20)\n"
    )
    stage.write({"a.py": text})
    (figure,) = stage.run("-m", "a").of("figure")
    assert (figure["path"], figure["legend"], figure["tight"]) == ("results:loss.png", True, True)
    assert {"Loss", "ours"} <= set(figure["texts"])
