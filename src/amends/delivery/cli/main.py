"""The entry of the console script `amends`: how the process begins and ends.

Rules
- No traceback for what a user does: Ctrl-C ends with 130, a reader that went away with 141, both without a word.
- It begins with the standard library alone, so that the bare library can say in one line which extra is missing.
- Output never fails for want of a character: what the terminal's encoding lacks is escaped.
It does not: know the verbs (`app.py`).
"""

import contextlib
import os
import sys

UNUSABLE = 2
INTERRUPTED = 130
UNREAD = 141
EXTRA = 'amends: the command line is an extra of the library: pip install "amends[server]"'


def main() -> int:
    """Run `sys.argv` and return the exit code."""
    _have_standard_streams()
    try:
        code = _run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        _let_go_of_output()
        return UNREAD
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _run(arguments: list[str]) -> int:
    try:
        from amends.delivery.cli.app import run
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in {"typer", "rich"}:
            raise
        print(EXTRA, file=sys.stderr)
        return UNUSABLE
    return run(arguments)


def _have_standard_streams() -> None:
    """Open what the caller closed, so that no other file takes its number; make text output forgiving."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: PTH123, SIM115  a stream for the life of the process
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115
    if forgive := getattr(sys.stdout, "reconfigure", None):
        forgive(errors="backslashreplace")


def _let_go_of_output() -> None:
    """Nobody reads on: let what is still buffered go nowhere instead of failing again at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
