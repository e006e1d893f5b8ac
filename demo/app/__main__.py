"""`python -m demo.app --port N`: the application alone, until SIGTERM or Ctrl-C."""

import argparse
import os
import sys
from collections.abc import Sequence

from demo.app.serve import serve


def main(arguments: Sequence[str]) -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m demo.app", description="the demo's website")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args(arguments)
    return serve(options.host, options.port, os.environ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
