"""`python -m grafana.build` writes the dashboards; with --check it only tells whether they are current."""

import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.build import containers, healing, itself, overview, site

DASHBOARDS = Path(__file__).resolve().parent.parent / "dashboards"
BOARDS = (overview.board, site.board, containers.board, healing.board, itself.board)


def rendered() -> dict[Path, str]:
    """Return the text of every dashboard by the file it belongs in."""
    encoder = JSONEncoder(sort_keys=True, indent=2)
    return {
        DASHBOARDS / f"{board.uid}.json": encoder.encode(board.build().build()) + "\n"
        for board in (make() for make in BOARDS)
    }


def main(arguments: list[str]) -> int:
    """Write the dashboards, or with --check compare them; 0 good, 1 out of date, 2 usage."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m grafana.build [--check]\n")
        return 2
    wanted = rendered()
    stale = [
        path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        if arguments:
            sys.stderr.write(f"{path.name}: out of date; run python -m grafana.build\n")
        else:
            path.write_text(wanted[path], encoding="utf-8")
    return 1 if stale and arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
