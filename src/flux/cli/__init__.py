"""The command `flux`: one file a command. Errors of Flux are printed as what they say."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from flux.cli import predict, train
from flux.errors import FluxError

__all__ = ["main"]

COMMANDS = {"train": train, "predict": predict}
ABOUT = """\
Flux for Python: machine learning where a model is plain Python.

  flux train mlp                         train on the embedded digits, in some seconds
  flux predict runs/mlp/model.safetensors  read digits with the trained model
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line `arguments` (the program's own if not given); returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        return options.run(options)
    except FluxError as problem:
        print(f"flux {options.command}: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        sys.stderr.close()
        return 0


def parser() -> argparse.ArgumentParser:
    """The arguments of all commands."""
    top = argparse.ArgumentParser(
        prog="flux", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="command")
    for name, module in COMMANDS.items():
        about = (module.__doc__ or "").strip()
        one = commands.add_parser(name, help=about.splitlines()[0], description=about)
        module.add_arguments(one)
        one.set_defaults(run=module.run)
    return top
