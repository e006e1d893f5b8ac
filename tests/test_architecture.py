"""What the house promises about itself: who may import whom, how long a module is, what is not committed."""

import ast
import graphlib
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ARROWS = {
    "core": set(),
    "exporter": {"core"},
    "remediator": {"core"},
    "demo": {"core"},
    "stack": {"core", "exporter", "remediator", "demo"},
}
LONGEST = 300  # lines of a module
# Split, so that this file may be committed too.
HOSTS = [
    "".join(pieces)
    for pieces in (
        ("pypi", ".org"),
        ("files.python", "hosted.org"),
        ("registry.", "npmjs"),
        ("deb.", "debian.org"),
        ("security.", "debian.org"),
        ("docker", ".io"),
        ("gh", "cr.io"),
        ("qu", "ay.io"),
    )
]


def modules(package):
    return sorted((ROOT / package).rglob("*.py"))


def imported(path):
    """Return every module that a file imports, also inside its functions, with the line."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield ("." * node.level + (node.module or ""), node.lineno)


def committed():
    listed = subprocess.run(("git", "ls-files", "-z"), cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a clone: no list of committed files")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("package", ARROWS)
def test_a_package_imports_only_what_its_arrows_allow(package):
    others = set(ARROWS) - ARROWS[package] - {package}
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: imports {name}"
        for path in modules(package)
        for name, line in imported(path)
        if name.startswith(".") or name.split(".")[0] in others | {"tests", "benchmarks"}
    ]
    assert wrong == []


def test_the_launchers_first_steps_need_no_library():
    first = ("__init__", "bootstrap", "packages", "programs", "errors")
    wrong = [
        f"stack/{name}.py: imports {module}"
        for name in first
        for module, _ in imported(ROOT / "stack" / f"{name}.py")
        if module.split(".")[0] not in __import__("sys").stdlib_module_names
        and module.removeprefix("stack.") not in first
    ]
    assert wrong == []


@pytest.mark.parametrize("package", ARROWS)
def test_no_module_is_longer_than_it_should_be(package):
    lengths = {path.relative_to(ROOT): len(path.read_text("utf-8").splitlines()) for path in modules(package)}
    assert {path: length for path, length in lengths.items() if length > LONGEST} == {}


@pytest.mark.parametrize("package", ARROWS)
def test_no_module_is_called_utils_or_helpers_or_manager(package):
    vague = re.compile(r"(^|_)(utils?|helpers?|manager|common|misc)($|_)")
    assert [path for path in modules(package) if vague.search(path.stem)] == []


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "requirements-stress.lock"])
def test_a_lock_pins_every_package_by_hash_and_names_no_source(name):
    text = (ROOT / name).read_text("utf-8").replace("\\\n", " ")
    entries = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(entries) > 20
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==\S+ ", entry), entry
        assert "--hash=sha256:" in entry, entry
        assert not re.search(r"://|index|find-links|trusted-host", entry), entry


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-stress.lock"])
def test_the_development_lock_has_the_same_versions_as_the_others(name):
    def versions(name):
        return dict(
            re.findall(r"^([A-Za-z0-9._-]+)\S*==(\S+)", (ROOT / name).read_text("utf-8"), re.MULTILINE)
        )

    development = versions("requirements-dev.lock")
    assert {package: development.get(package) for package in versions(name)} == versions(name)


def test_no_committed_file_names_the_host_of_a_registry():
    named = []
    for path in committed():
        text = path.read_bytes().decode("utf-8", errors="replace")
        named += [f"{path.relative_to(ROOT)}: {host}" for host in HOSTS if host in text]
    assert named == []


def test_no_committed_file_holds_a_path_of_one_machine():
    own = re.compile("/wo" + r"rk/(main|shared)|\.\./sha" + "red")
    assert [
        str(path.relative_to(ROOT)) for path in committed() if own.search(path.read_text("utf-8", "replace"))
    ] == []


def test_the_launcher_and_the_ci_script_can_be_run():
    for name in ("sitemedic", ".ci/run"):
        assert (ROOT / name).stat().st_mode & 0o111, name


def test_the_remediators_packages_know_each_other_one_way_only():
    def package(name):
        return name.split(".")[1] if name.count(".") else name

    known = {}
    for path in modules("remediator"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        others = {package(one) for one, _ in imported(path) if one.startswith("remediator.")}
        known.setdefault(package(name), set()).update(others - {package(name)})
    assert len(known) > 15
    list(graphlib.TopologicalSorter(known).static_order())  # CycleError tells which packages make a ring
