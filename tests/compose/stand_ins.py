"""Images that stand in for the public ones, under the same names, made of Debian's packages."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from stack.programs import find_program
from tests.docker_engine import DockerEngine

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_SHELL = ("sh", "cat", "grep", "id", "kill", "ls", "ps", "sleep", "test", "touch", "wget")
_USERS = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n"
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")


def import_python(engine: DockerEngine, name: str, folder: Path) -> None:
    """Import a Debian with Python and pip, which trusts the authorities that this machine trusts.

    `folder` takes the file system while it is made.
    """
    tree = folder / "python.tar"
    hooks = (
        f"upload {CERTIFICATES} {CERTIFICATES}",
        'ln -s /usr/bin/python3 "$1/usr/local/bin/python"',
        'rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',  # pip may install for all, as in the public image
    )
    done = subprocess.run(
        (
            *("mmdebstrap", "--mode=root", "--variant=apt", "--include=python3,python3-pip,usr-is-merged"),
            "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
            *("--dpkgopt=force-unsafe-io", *(f"--dpkgopt=path-exclude={path}" for path in _LEFT_OUT)),
            # What is tested is Sitemedic: packages may be as old as the mirror's.
            *('--aptopt=Acquire::Check-Valid-Until "false"', '--aptopt=Acquire::Languages "none"'),
            *(f"--customize-hook={hook}" for hook in hooks),
            *("bookworm", str(tree)),
        ),
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    if done.returncode != 0 and "CI" not in os.environ:
        pytest.skip(f"no image to build on, Debian's packages cannot be had: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr[-3000:]
    engine.docker("import", "--change", 'CMD ["python3"]', str(tree), name, seconds=120)
    tree.unlink()


def import_program(engine: DockerEngine, name: str, program: str, more: Path | None = None) -> None:
    """Import what docker-compose.yml relies on of prom/…: /bin/<program>, wget, the user nobody.

    `more` is a folder that the program reads, taken along.
    """
    found = find_program(program)
    assert found is not None, f"{program} is not installed"
    with tempfile.TemporaryDirectory(dir=engine.folder) as tree:
        root = Path(tree)
        for wanted in ("bin", "etc", "tmp", program):
            (root / wanted).mkdir()
        (root / "tmp").chmod(0o1777)
        (root / "etc/passwd").write_text(_USERS)
        shutil.copy(found, root / "bin" / program)
        for library in _libraries(found):
            _take(library, root)
        busybox = shutil.which("busybox")
        assert busybox is not None
        shutil.copy(busybox, root / "bin/busybox")
        for applet in _SHELL:
            (root / "bin" / applet).symlink_to("busybox")
        if more is not None and more.is_dir():
            shutil.copytree(more, root / more.relative_to("/"))
        tar = subprocess.run(("tar", "-c", "-C", tree, "."), capture_output=True, check=True).stdout
    changes = (f"ENTRYPOINT {json.dumps([f'/bin/{program}'])}", "USER nobody", f"WORKDIR /{program}")
    options = [word for change in changes for word in ("--change", change)]
    engine.docker("import", *options, "-", name, stdin=tar)


def base_image(dockerfile: Path) -> str:
    """Return the name of the public image that a Dockerfile builds on."""
    (name,) = re.findall(r"^FROM (\S+:\S+)", dockerfile.read_text("utf-8"), re.MULTILINE)
    assert isinstance(name, str)
    return name


def _libraries(program: Path) -> list[Path]:
    listed = subprocess.run(("ldd", str(program)), capture_output=True, text=True, check=False).stdout
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", listed)]  # none where it is static


def _take(file: Path, root: Path) -> None:
    """Copy a file to the same place below `root`, itself where it is a link."""
    target = root / file.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(file.resolve(), target)
