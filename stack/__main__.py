"""`python -m stack`: the command line."""

import signal
import sys
from pathlib import Path


def main() -> None:
    """Run the command line; say what to do where the environment does not fit this Python."""
    patient = signal.getsignal(signal.SIGINT)
    if patient is signal.default_int_handler:  # Ctrl-C while all is imported ends it, without a traceback
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        import click  # noqa: F401 – is the environment there?
    except ModuleNotFoundError:
        environment = Path(sys.executable).parent.parent
        print(
            f"sitemedic: {environment} does not fit this Python (was it upgraded?). "
            f"Remove it (rm -r {environment}) and start again.",
            file=sys.stderr,
        )
        sys.exit(1)
    from core.output import make_sure
    from stack.cli import run

    make_sure()
    signal.signal(signal.SIGINT, patient)
    run()


if __name__ == "__main__":
    main()
