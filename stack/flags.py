"""The flags that several commands of a stack have."""

from pathlib import Path

import click

from core.flags import Decorator


def folder_option(
    use: str = "Folder with .env and sites.yml.", *, shown: str = "the current one"
) -> Decorator:
    """Make `--dir`, handed on as `folder`; `use` says what lies there, `shown` what the default is."""
    return click.option(
        "--dir",
        "folder",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        default=".",
        help=f"{use}  [default: {shown}]",
    )
