"""Making a full run short from outside: the numbers of a configuration that say how long it takes.

Lines stay where they are, so that places in the shortened copy are places in the submission.
"""

from __future__ import annotations

import re

# Key, and the most that a shortened run needs of it. Steps stay more than any interval, so that whatever happens every
# so many steps happens at least once (a run of 36 steps with an evaluation every 100 would never enter it).
_LONGEST = (
    (re.compile(r"(?:num_|n_|max_|total_)?(?:train_|training_|search_)?epochs?"), 2),
    (re.compile(r"(?:num_|n_|max_|total_)?(?:train_|training_|optimi[sz]er_|search_)?(?:steps|iterations|iters)"), 24),
    (re.compile(r"\w+_(?:steps|interval|every|freq|frequency|period|iterations|iters)|\w*_?every_\w+"), 3),
    (re.compile(r"(?:n_|num_|max_)?(?:optuna_)?trials"), 2),
)
# these say how often an update happens, not how long the run takes, and must stay as they are
_LEFT = re.compile(
    r".*accum.*|.*momentum.*|.*diffusion.*|.*time_?steps.*|.*inference.*|.*inner_\w+|k_steps|unroll\w*|num_steps_per_update"
    r"|steps_per_\w+|ode_\w+|sde_\w+|.*lookahead.*|.*horizon.*|.*timeout.*|noise_steps"
    r"|.*(?:langevin|leapfrog|integrat|solver|euler|refine|sinkhorn|adaptation).*"
)
_LINE = re.compile(r"^(?P<head>\s*(?:-\s+)?(?P<key>[A-Za-z_]\w*)\s*:\s*)(?P<number>\d+)(?P<tail>\s*(?:#.*)?)$")


def shortened(text: str) -> str:
    """A YAML text in which epochs, steps, intervals and trials are few. Everything else stays, line for line."""
    return "\n".join(_shorter(line) for line in text.split("\n"))


def cut_numbers(text: str) -> list[tuple[str, int]]:
    """The numbers of a YAML text that `shortened` changes, each with its key, in order."""
    found = []
    for line in text.split("\n"):
        match = _LINE.match(line)
        if match is not None and _shorter(line) != line:
            found.append((match["key"], int(match["number"])))
    return found


def _shorter(line: str) -> str:
    match = _LINE.match(line)
    if match is None or _LEFT.fullmatch(match["key"].lower()):
        return line
    for pattern, most in _LONGEST:
        if pattern.fullmatch(match["key"].lower()):
            return f"{match['head']}{min(int(match['number']), most)}{match['tail']}"
    return line
