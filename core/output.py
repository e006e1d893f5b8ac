"""What a command prints, where it is closed, full, read by nobody, or no Unicode is known."""

import io
import os
import sys
from pathlib import Path


def make_sure() -> None:
    """Let no descriptor of a program be its output by chance, and no character that is printed an error.

    Where standard input, output or error is closed, the next file or connection would be opened in its place,
    and get what is printed, or what a child prints.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    nowhere = Path(os.devnull)
    sys.stdin = sys.stdin or nowhere.open(encoding="utf-8")
    sys.stdout = sys.stdout or nowhere.open("w", encoding="utf-8")
    sys.stderr = sys.stderr or nowhere.open("w", encoding="utf-8")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def given_up(by: str = "") -> bool:
    """Say, by printing it, whether nothing more can be printed; what was not printed yet is dropped then."""
    try:
        sys.stdout.write(by)
        sys.stdout.flush()
    except OSError:
        # Python flushes once more at its end, and would tell of it in its own words.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return True
    return False
