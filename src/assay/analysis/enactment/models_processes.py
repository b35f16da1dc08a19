"""What the functions do that ask for the environment and start other processes."""

from __future__ import annotations

import shlex

from assay.analysis.enactment.models_methods import pairs_method
from assay.analysis.enactment.registry import Call, model
from assay.analysis.enactment.values import ANYTHING, External


@model("os.getenv", "os.environ.get")
def _getenv(call: Call) -> object:
    asked = Call(call.machine, call.positional, call.keywords, call.node, name="get")
    return pairs_method(asked, call.machine.environment)


@model(
    "subprocess.run", "subprocess.Popen", "subprocess.call", "subprocess.check_call", "subprocess.check_output",
    "os.system", open_too=True,
)  # fmt: skip
def _launch(call: Call) -> object:
    if call.is_open and call.name not in ("subprocess.run", "subprocess.Popen"):
        return NotImplemented
    machine = call.machine
    command = call.first(0, "args", ANYTHING)
    words: list[object] | None
    if isinstance(command, str):
        try:
            words = list(shlex.split(command))
        except ValueError:
            words = None
    else:
        words = machine.turns(command)
    shown = [machine.text_of(one) for one in words] if words is not None else None
    machine.emit(
        "launch", call.node, words=shown, cwd=machine.text_of(call.keywords["cwd"]) if "cwd" in call.keywords else None,
        has_cwd="cwd" in call.keywords, has_env="env" in call.keywords,
        environment={str(key): one for key, one in machine.environment.pairs.items() if isinstance(one, str)},
    )  # fmt: skip
    return External("subprocess.run()")
