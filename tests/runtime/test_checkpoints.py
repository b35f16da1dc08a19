"""A killed run goes on from its checkpoint to the same bits, and a damaged checkpoint is never used in silence."""

import hashlib
import io
import json
import random
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from assay.runtime.best_weights import BestWeights  # noqa: E402
from assay.runtime.checkpoints import Checkpoints, Restored, _Hashed  # noqa: E402
from assay.runtime.errors import ExperimentError  # noqa: E402


def linear(number=0.0, inputs=2):
    module = torch.nn.Linear(inputs, 1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(number)
    return module


def saved(folder, steps, keep=2, say=print):
    """Checkpoints of a module whose weights are the step."""
    checkpoints = Checkpoints(folder, keep, say=say)
    for step in steps:
        checkpoints.save(step, {"model": linear(step)}, values={"rows": 10 * step})
    return checkpoints


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def restored(folder, parts=None, **others):
    """What is said, what comes back, and the weight."""
    lines: list[str] = []
    module = linear(-1)
    found = Checkpoints(folder, say=lines.append, **others).restore(parts or {"model": module})
    return lines, found, module.weight[0, 0].item()


def test_what_was_saved_comes_back_with_step_and_values(tmp_path):
    saved(tmp_path / "deep" / "folder", [1, 2])

    assert restored(tmp_path / "deep" / "folder") == ([], Restored(2, {"rows": 20}), 2.0)
    assert Checkpoints(tmp_path / "deep" / "folder").newest() == Restored(2, {"rows": 20})


@pytest.mark.parametrize("made", [True, False])
def test_without_a_checkpoint_training_starts_anew_in_silence(tmp_path, made):
    folder = tmp_path / "checkpoints"
    if made:
        folder.mkdir()

    assert restored(folder) == ([], None, -1.0)
    assert Checkpoints(folder).newest() is None
    Checkpoints(folder).keep_newest()
    assert folder.exists() == made


def test_steps_are_ordered_as_numbers(tmp_path):
    saved(tmp_path, [999_999, 1_000_000])

    assert restored(tmp_path)[1] == Restored(1_000_000, {"rows": 10_000_000})


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_only_the_newest_are_kept(tmp_path, keep):
    checkpoints = saved(tmp_path, range(1, 6), keep)

    assert names(tmp_path) == [f"{step:06d}" for step in range(6 - keep, 6)]
    checkpoints.keep_newest()
    assert names(tmp_path) == ["000005"]


def test_at_least_one_is_kept(tmp_path):
    with pytest.raises(ValueError, match="keep is 0"):
        Checkpoints(tmp_path, keep=0)


def test_a_checkpoint_is_two_files_that_plain_torch_reads(tmp_path):
    saved(tmp_path, [3])

    assert names(tmp_path / "000003") == ["digest.json", "state.pt"]
    state = torch.load(tmp_path / "000003" / "state.pt", weights_only=True)
    assert (state["step"], state["values"]) == (3, {"rows": 30})
    assert torch.equal(state["parts"]["model"]["weight"], torch.full((1, 2), 3.0))
    about = json.loads((tmp_path / "000003" / "digest.json").read_text())
    assert about["size"] == (tmp_path / "000003" / "state.pt").stat().st_size
    assert (about["step"], about["parts"], about["versions"]["torch"]) == (3, ["model"], str(torch.__version__))


def test_random_numbers_go_on_where_they_were(tmp_path):
    def drawn():
        return random.random(), np.random.normal(), torch.rand(1).item(), random.gauss(0, 1), np.random.random()

    np.random.normal()
    random.gauss(0, 1)
    saved(tmp_path, [1])
    expected = drawn()
    drawn()

    restored(tmp_path)

    assert drawn() == expected


def test_every_kind_of_part_comes_back(tmp_path):
    def parts(rate):
        model = torch.nn.Linear(2, 1)
        optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
        return {
            "model": model,
            "optimizer": optimizer,
            "scheduler": torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=9),
            "plateau": torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer),
            "scaler": torch.amp.GradScaler("cpu", init_scale=64.0),
            "best": BestWeights(model, "minimize"),
            "shuffling": torch.Generator().manual_seed(int(rate * 1000)),
        }

    before = parts(0.001)
    before["model"](torch.ones(1, 2)).sum().backward()
    before["optimizer"].step()
    before["scheduler"].step()
    before["plateau"].step(np.float64(0.5))
    before["best"].update(np.float32(0.5))
    Checkpoints(tmp_path).save(1, before, values={"seconds": np.float64(1.5), "name": "a", "list": [1, (2, None)]})
    after = parts(0.002)

    found = Checkpoints(tmp_path).restore(after)

    assert found == Restored(1, {"seconds": 1.5, "name": "a", "list": [1, (2, None)]})
    for name in ("model", "optimizer", "scheduler", "plateau", "scaler", "best"):
        assert str(after[name].state_dict()) == str(before[name].state_dict()), name
    assert torch.equal(after["shuffling"].get_state(), before["shuffling"].get_state())


class TestDamage:
    @staticmethod
    def truncated(path):
        (path / "state.pt").write_bytes((path / "state.pt").read_bytes()[:-1])

    @staticmethod
    def flipped(path):
        content = bytearray((path / "state.pt").read_bytes())
        content[len(content) // 2] ^= 1
        (path / "state.pt").write_bytes(content)

    @staticmethod
    def without_state(path):
        (path / "state.pt").unlink()

    @staticmethod
    def without_digest(path):
        (path / "digest.json").unlink()

    @staticmethod
    def torn_digest(path):
        (path / "digest.json").write_text("{")

    @staticmethod
    def other_digest(path):
        (path / "digest.json").write_text("[]")

    @staticmethod
    def other_step(path):
        about = json.loads((path / "digest.json").read_text())
        (path / "digest.json").write_text(json.dumps(about | {"step": 1}))

    DAMAGES = [
        (truncated, "bytes instead of"),
        (flipped, "content of state.pt has changed"),
        (without_state, "state.pt is missing"),
        (without_digest, "digest.json is missing"),
        (torn_digest, "digest.json cannot be understood"),
        (other_digest, "digest.json cannot be understood"),
        (other_step, "digest.json is of step 1"),
    ]

    @pytest.mark.parametrize(("damage", "words"), DAMAGES, ids=[words for _, words in DAMAGES])
    def test_the_one_before_is_used_and_the_damaged_one_set_aside(self, tmp_path, damage, words):
        saved(tmp_path, [1, 2])
        damage.__func__(tmp_path / "000002") if isinstance(damage, staticmethod) else damage(tmp_path / "000002")

        [line], found, weight = restored(tmp_path)

        assert (found, weight) == (Restored(1, {"rows": 10}), 1.0)
        assert words in line
        assert "set aside as 000002.corrupt; step 1 is looked at instead" in line
        assert names(tmp_path) == ["000001", "000002.corrupt"]

    def test_with_none_left_training_starts_anew_and_says_so(self, tmp_path):
        saved(tmp_path, [1, 2])
        self.truncated(tmp_path / "000001")
        self.flipped(tmp_path / "000002")

        lines, found, weight = restored(tmp_path)

        assert (found, weight) == (None, -1.0)
        assert len(lines) == 2
        assert "training starts anew" in lines[1]
        assert names(tmp_path) == ["000001.corrupt", "000002.corrupt"]

    def test_training_goes_on_after_damage_and_after_damage_of_the_same_step_again(self, tmp_path):
        saved(tmp_path, [1, 2])
        for _ in range(2):
            self.truncated(tmp_path / "000002")
            assert restored(tmp_path)[1].step == 1
            saved(tmp_path, [2])

        assert names(tmp_path) == ["000001", "000002", "000002.corrupt", "000002.corrupt-2"]
        assert restored(tmp_path)[1].step == 2

    def test_looking_at_the_newest_finds_damage_too(self, tmp_path):
        checkpoints = saved(tmp_path, [1, 2], say=lambda line: None)
        self.flipped(tmp_path / "000002")

        assert checkpoints.newest() == Restored(1, {"rows": 10})


class TestOtherParts:
    def test_other_names_are_named(self, tmp_path):
        saved(tmp_path, [1])

        with pytest.raises(ExperimentError, match="has the parts model, and this run has network, optimizer"):
            restored(tmp_path, {"network": linear(), "optimizer": linear()})

    def test_other_shapes_are_named_and_nothing_has_changed(self, tmp_path):
        Checkpoints(tmp_path).save(1, {"a": linear(1), "b": linear(1)})
        first, second = linear(5), linear(5, inputs=3)

        with pytest.raises(ExperimentError, match="does not fit b: weight was 1x2 and is 1x3") as caught:
            restored(tmp_path, {"a": first, "b": second})

        assert "to start anew" in str(caught.value)
        assert first.weight[0, 0] == 5

    def test_other_weights_are_named(self, tmp_path):
        saved(tmp_path, [1])

        with pytest.raises(ExperimentError, match=r"0\.weight is not in the checkpoint; .*; and 1 more"):
            restored(tmp_path, {"model": torch.nn.Sequential(linear())})

    def test_an_optimizer_of_other_parameters(self, tmp_path):
        Checkpoints(tmp_path).save(1, {"optimizer": torch.optim.SGD(linear().parameters())})

        with pytest.raises(ExperimentError, match="does not fit optimizer: loaded state dict"):
            restored(tmp_path, {"optimizer": torch.optim.SGD([linear().weight])})

    def test_a_part_without_a_state_is_refused_before_anything_is_written(self, tmp_path):
        with pytest.raises(ExperimentError, match="part epoch of a checkpoint is a int"):
            Checkpoints(tmp_path / "c").save(1, {"epoch": 3})

        assert not (tmp_path / "c").exists()

    def test_what_could_not_be_read_back_safely_is_refused_by_name(self, tmp_path):
        with pytest.raises(ExperimentError, match=r"cannot hold values\.inner\[1\], a function"):
            Checkpoints(tmp_path / "c").save(1, {}, values={"inner": [1, linear]})

        assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("step", [1, 2])
def test_a_step_that_is_not_new_is_refused(tmp_path, step):
    checkpoints = saved(tmp_path, [2])

    with pytest.raises(ExperimentError, match="has a checkpoint of step 2"):
        checkpoints.save(step, {"model": linear(9)})

    assert restored(tmp_path)[2] == 2.0


def test_random_numbers_of_another_number_of_gpus_are_said(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: [torch.zeros(16, dtype=torch.uint8)] * 3)
    saved(tmp_path, [1])
    monkeypatch.undo()

    lines, found, _ = restored(tmp_path)

    assert found.step == 1
    assert len(lines) == 1
    assert "saved with 3 GPUs" in lines[0]


def test_a_file_that_takes_less_than_it_is_given_gets_the_rest(tmp_path):
    # as Linux does above 2 GiB
    class Short(io.FileIO):
        def write(self, data):
            return super().write(bytes(data)[:3])

    with Short(tmp_path / "file", "wb") as file:
        hashed = _Hashed(file)
        hashed.write(b"0123456789")

    assert (tmp_path / "file").read_bytes() == b"0123456789"
    assert (hashed.size, hashed.digest.hexdigest()) == (10, hashlib.sha256(b"0123456789").hexdigest())


FULL_DISK = """
import resource, sys
from pathlib import Path
import torch
from assay.runtime.checkpoints import Checkpoints
from assay.runtime.errors import ExperimentError
torch.save({}, "/dev/null")
checkpoints = Checkpoints(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    checkpoints.save(3, {"model": torch.nn.Linear(200, 100)})
except ExperimentError as fault:
    print(fault)
"""


@pytest.mark.parametrize("room", [0, 100, 40_000])
def test_a_full_disk_is_a_line_and_leaves_what_was_there(tmp_path, room):
    folder = tmp_path / "checkpoints"
    saved(folder, [1, 2])

    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, folder, str(room)], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    [line] = done.stdout.splitlines()
    assert "checkpoint 3 cannot be written" in line
    assert "step 2 is unharmed" in line
    assert names(folder) == ["000001", "000002"]
    assert restored(folder)[1].step == 2


# Forks every training from one process that has torch loaded. A training dies at the given occurrence of an audit event
# of Python's: a rename, a removal, an open.
TRAINING = """
import json, os, signal, sys
from pathlib import Path

import numpy as np, torch
import torch.utils.data, torch._dynamo
from assay.runtime.best_weights import BestWeights
from assay.runtime.checkpoints import Checkpoints
from assay.runtime.seeding import set_seed

torch.set_num_threads(1)
ROOT = Path(sys.argv[1])


def train(folder):
    set_seed(7)
    inputs = torch.randn(24, 6)
    data = torch.utils.data.TensorDataset(inputs, inputs.sum(1, keepdim=True))
    layers = [torch.nn.Linear(6, 8), torch.nn.Dropout(0.3), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 1)]
    model = torch.nn.Sequential(*layers)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5)
    best = BestWeights(model, "minimize")
    loader = torch.utils.data.DataLoader(data, batch_size=8, shuffle=True)
    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "best": best}
    checkpoints = Checkpoints(folder / "checkpoints")
    found = checkpoints.restore(parts)
    losses = list(found.values["losses"]) if found else []
    for epoch in range(found.step if found else 0, 5):
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(x + 0.1 * float(np.random.normal())), y)
            loss.backward()
            optimizer.step()
        sys.audit("epoch.ends")
        scheduler.step()
        losses.append(loss.item())
        best.update(abs(losses[-1] - 5))
        checkpoints.save(epoch + 1, parts, {"losses": losses})
    states = {**{f"model {k}": v for k, v in model.state_dict().items()}, "rng": torch.get_rng_state()}
    best.restore()
    states |= {f"best {k}": v for k, v in model.state_dict().items()}
    states = {k: v.tolist() for k, v in states.items()}
    (folder / "end.json").write_text(json.dumps([states, losses, np.random.random()]))


def child(folder, event=None, words="", count=0):
    folder.mkdir(exist_ok=True)
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    seen = iter(range(1, 10_000))

    def hook(name, arguments):
        if name == event and words in str(arguments) and next(seen) == count:
            os.kill(os.getpid(), signal.SIGKILL)

    code = 1
    try:
        if event:
            sys.addaudithook(hook)
        train(folder)
        code = 0
    finally:
        os._exit(code)


whole = child(ROOT / "whole")
MOMENTS = [
    ("epoch.ends", "", 1), ("epoch.ends", "", 4),
    ("os.mkdir", ".000001.new", 1), ("open", "state.pt", 1), ("open", "state.pt", 3), ("open", "digest.json", 2),
    ("os.rename", ".new", 1), ("os.rename", ".new", 4), ("os.rename", ".old", 1), ("shutil.rmtree", ".old", 2),
    ("os.remove", "", 2), ("os.rmdir", "", 1),
]
runs = []
for number, moment in enumerate(MOMENTS):
    folder = ROOT / f"cut{number}"
    runs.append([moment, child(folder, *moment), child(folder), (folder / "end.json").read_text(),
                 sorted(path.name for path in (folder / "checkpoints").iterdir())])
print(json.dumps([whole, (ROOT / "whole" / "end.json").read_text(), runs]))
"""


def test_a_training_killed_at_any_moment_ends_with_the_same_bits(tmp_path):
    done = subprocess.run([sys.executable, "-c", TRAINING, tmp_path], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    whole, expected, runs = json.loads(done.stdout)
    assert whole == 0
    assert len(json.loads(expected)[1]) == 5
    for moment, killed, second, end, left in runs:
        assert (killed, second) == (-9, 0), moment
        assert end == expected, moment
        assert left == ["000004", "000005"], moment
