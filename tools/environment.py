"""Make a virtual environment with this project in it, or leave alone one that is whole.

    python tools/environment.py .venv tensorflow,plot

A stamp, written last, says that every step before it has succeeded. An environment without its
stamp, of another Python or place, or with a file missing or cut short is made anew; one that only
lacks an extra, or whose setup.cfg has changed, is brought up to date. Needs nothing but Python.
"""

from __future__ import annotations  # so that an old Python gets as far as the sentence in main()

import configparser
import csv
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DECLARED = ("setup.cfg", "pyproject.toml", "tests/constraints.txt", "keras_micromag/__init__.py")
STAMP = "keras-micromag.json"
PYTHON = Path("bin", "python")


def declared(root: Path) -> str:
    """Return a digest of all that decides what is installed."""
    digest = hashlib.sha256()
    for name in DECLARED:
        digest.update((root / name).read_bytes() + b"\0")
    return digest.hexdigest()


def requirements(root: Path, extras: set[str]) -> set[str]:
    """Return the requirements that `extras` stand for, extras named within extras resolved."""
    config = configparser.ConfigParser()
    config.read(root / "setup.cfg", encoding="utf-8")
    found = set()
    for extra in extras:
        for line in config["options.extras_require"][extra].strip().splitlines():
            own = re.fullmatch(r"keras-micromag\[([\w,-]+)\]", line)
            found |= requirements(root, set(own[1].split(","))) if own else {line}
    return found


def distributions(site: Path) -> list[str]:
    """Return the names of what is installed, without versions: an upgrade is no damage."""
    return sorted(path.name.partition("-")[0] for path in site.glob("*.dist-info"))


def run(*command: str | Path) -> None:
    """Run `command`; its output is the user's to see."""
    # The lock passes to the child: a pip that outlives a killed make still holds it.
    subprocess.run(command, check=True, close_fds=False)


def damage(folder: Path, stamp: dict, root: Path) -> str | None:
    """Return what is wrong with the environment in `folder`, or None."""
    if not stamp:
        return "it was not finished"
    if stamp["root"] != str(root):
        return f"it was made for {stamp['root']}"
    if stamp["python"] != sys.version:
        return "it was made by another Python"
    try:
        probe = subprocess.run(
            [folder / PYTHON, "-I", "-c", "import sys; print(sys.version)"],
            capture_output=True,
            text=True,
        )
    except OSError:
        return "its Python is missing"
    if probe.stdout.strip() != sys.version:
        return "its Python does not run"
    site = folder / stamp["site"]
    if lost := set(stamp["distributions"]) - set(distributions(site)):
        return f"{min(lost)} is missing"
    for record in site.glob("*.dist-info/RECORD"):
        with record.open(newline="", encoding="utf-8") as lines:
            # Compiled files are recorded without a size: Python makes them anew.
            sizes = {path: int(size) for path, _, size in csv.reader(lines) if size}
        for path, size in sizes.items():
            file = site / path
            if not file.is_file() or file.stat().st_size != size:
                return f"{path} is missing or damaged"
    return None


def create(folder: Path) -> None:
    """Make an empty environment with pip in `folder`, whatever is there."""
    if folder.is_dir():
        (folder / STAMP).unlink(missing_ok=True)  # first, in case that clearing is cut short
    else:
        folder.unlink(missing_ok=True)
    # Debian has Python and pip without ensurepip, which venv calls to install pip.
    bare = [] if importlib.util.find_spec("ensurepip") else ["--without-pip"]
    run(sys.executable, "-m", "venv", "--clear", *bare, folder)
    if bare:
        run(sys.executable, "-m", "pip", "--python", folder / PYTHON, "install", "pip")


def install(folder: Path, root: Path, extras: set[str]) -> None:
    """Install the project, editable, with `extras`."""
    # -I: what PYTHONPATH shows to pip it would take for installed.
    pip = (folder / PYTHON, "-I", "-m", "pip", "--disable-pip-version-check")
    project = f"{root}[{','.join(sorted(extras))}]"
    # Most of what is installed is never imported: what is, Python compiles, and keeps.
    run(*pip, "install", "--no-compile", "-c", root / "tests/constraints.txt", "-e", project)


def ensure(folder: Path, extras: set[str], root: Path = ROOT) -> None:
    """Leave in `folder` a whole environment that holds at least `extras`."""
    path = folder / STAMP
    try:
        stamp = json.loads(path.read_text())
    except (OSError, ValueError):
        stamp = {}
    reason = damage(folder, stamp, root) if os.path.lexists(folder) else "it is new"
    if reason:
        print(f"{folder.name}: making the environment: {reason}", flush=True)
        create(folder)
    else:
        present = set(stamp["extras"])
        if stamp["declared"] == declared(root):
            if requirements(root, extras) <= requirements(root, present):
                return
            reason = f"adding {','.join(sorted(extras))}"
        else:
            reason = "the project's settings have changed"
        print(f"{folder.name}: updating the environment: {reason}", flush=True)
        extras = extras | present
        path.unlink()
    install(folder, root, extras)
    probe = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.check_output([folder / PYTHON, "-I", "-c", probe], text=True).strip())
    stamp = {
        "root": str(root),
        "python": sys.version,
        "site": str(site.relative_to(folder)),
        "distributions": distributions(site),
        "declared": declared(root),
        "extras": sorted(extras),
    }
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps(stamp, indent=1))
    os.replace(unfinished, path)


def main() -> int:
    """Read the command line; return the exit status."""
    if sys.version_info < (3, 11):  # noqa: UP036 (this runs before anything has checked it)
        version = ".".join(map(str, sys.version_info[:3]))
        print(
            f"keras-micromag needs Python 3.11 or newer; {sys.executable} is {version}. "
            "Name another: make PYTHON=python3.12 …",
            file=sys.stderr,
        )
        return 1
    name, extras = sys.argv[1:]
    folder = ROOT / name
    with (ROOT / f"{name}.lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{name}: waiting for another process that is making it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            ensure(folder, set(extras.split(",")))
        except subprocess.CalledProcessError:
            print(f"{name}: the environment could not be made, see above", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
