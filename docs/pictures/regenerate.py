"""Draw docs/pictures/review.svg: what `assay review examples/gsm8k-lora` really prints on a terminal.

python docs/pictures/regenerate.py [PATH] [--output FILE]
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).parents[2]
WIDTH = 100

# dark ground, and colours that stay apart for most people who see colours otherwise
THEME = TerminalTheme(
    (24, 26, 31),
    (220, 223, 228),
    [
        (24, 26, 31),
        (240, 113, 120),
        (152, 195, 121),
        (229, 192, 123),
        (97, 145, 215),
        (198, 120, 221),
        (86, 182, 194),
        (220, 223, 228),
    ],
)

# Rich's own frame loads a font from the network; this one takes what the reader's machine has
FRAME = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" xml:space="preserve">
  <style>
    .{unique_id}-matrix {{
      font-family: "Fira Code", "JetBrains Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace;
      font-size: {char_height}px;
      line-height: {line_height}px;
      font-variant-ligatures: none;
      white-space: pre;
    }}
    {styles}
  </style>
  <defs>
    <clipPath id="{unique_id}-clip-terminal">
      <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
    </clipPath>
    {lines}
  </defs>
  <rect fill="#181a1f" x="1" y="1" width="{width}" height="{height}" rx="10" />
  <g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
    {backgrounds}
    <g class="{unique_id}-matrix">
    {matrix}
    </g>
  </g>
</svg>
"""


def draw(path: str) -> str:
    """The picture of a review, as SVG."""
    command = [sys.executable, "-m", "assay", "review", path]
    environment = {**os.environ, "FORCE_COLOR": "1", "NO_COLOR": "", "GITHUB_ACTIONS": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode > 1:
        sys.exit(done.stderr)
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="standard")
    console.print(Text.from_ansi(f"\x1b[2m$\x1b[0m \x1b[1massay review {path}\x1b[0m\n\n{done.stdout.rstrip()}"))
    svg = console.export_svg(title="", theme=THEME, code_format=FRAME, unique_id="assay")
    return "\n".join(line.rstrip() for line in svg.splitlines() if line.strip()) + "\n"


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", nargs="?", default="examples/gsm8k-lora")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("review.svg"))
    arguments = parser.parse_args()
    arguments.output.write_text(draw(arguments.path), encoding="utf-8")


if __name__ == "__main__":
    main()
