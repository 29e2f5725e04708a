"""The project as a whole: imports, what an import does, pages, what is shipped."""

import argparse
import ast
import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path
from unittest.mock import Mock

import keras
import pytest

import keras_micromag
from keras_micromag.cli import build_parser

ROOT = Path(__file__).resolve().parents[1]
BACKENDS = {"tensorflow", "jax", "torch"}

# ---------------------------------------------------------------------------------------------
# Layers
# ---------------------------------------------------------------------------------------------

# Each may import itself and those named beside it: imports run one way.
LAYERS = {
    "utils": "",
    "physics": "utils",
    "layers": "utils physics",
    "losses": "utils",
    "metrics": "utils physics losses",
    "data": "utils physics",
    "baselines": "utils physics",
    "evaluation": "utils physics",
    "analysis": "utils",
    "models": "utils physics layers losses data",
    "recipes": "utils physics data losses metrics models",
    "plots": "utils physics",
    "summary": "utils plots",
    "vtk": "utils physics",
    "paper": "utils physics data models baselines evaluation recipes plots summary",
    "cli": "utils physics plots summary vtk paper",
    "__main__": "cli",
    "__init__": "physics layers losses metrics data models",
}

# The same inside physics.
PHYSICS_LAYERS = {
    "geometry": "",
    "microstructure": "geometry",
    "io": "geometry microstructure",
    "field": "geometry microstructure",
    "trust": "geometry microstructure",
    "hysteresis": "microstructure trust",
    "frames": "hysteresis",
    "thermal": "microstructure",
    "solver": "microstructure field hysteresis thermal",
    "simulation": "microstructure field trust hysteresis solver thermal",
    "__init__": "geometry microstructure io field hysteresis solver simulation thermal",
}

# What needs neither Keras nor a backend: the command line's parser and readers of data use it.
WITHOUT_KERAS = {"checks", "command_line", "files", "fingerprint", "indices", "memory", "progress"}


def imported(file):
    """Return the modules that `file` imports, as dotted names; of `from a import b`, a.b."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute here"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def parts(file, package):
    """Return what parts of `package` a file imports: `physics` for keras_micromag.physics.x."""
    prefix = f"{package}."
    own = {name.removeprefix(prefix) for name in imported(file) if name.startswith(prefix)}
    return {name.partition(".")[0] for name in own} - {"__version__"}


def assert_one_way(package, table):
    folder = ROOT / package.replace(".", "/")
    for file in folder.rglob("*.py"):
        part = file.relative_to(folder).with_suffix("").parts[0]
        assert part in table, f"give {part} its place in the table"
        upwards = parts(file, package) - {part, *table[part].split()}
        assert not upwards, f"{file.relative_to(ROOT)} imports {upwards}"


def test_imports_run_one_way():
    assert_one_way("keras_micromag", LAYERS)
    assert_one_way("keras_micromag.physics", PHYSICS_LAYERS)
    for file in ROOT.glob("tfds_esw/**/*.py"):
        allowed = {"utils", "summary"} if file.stem == "__main__" else {"utils", "physics", "data"}
        imports = parts(file, "keras_micromag")
        assert imports <= allowed, f"{file.relative_to(ROOT)} imports more than {allowed}"


def test_utilities_import_no_keras():
    for name in WITHOUT_KERAS:
        module = ast.parse((ROOT / f"keras_micromag/utils/{name}.py").read_text(encoding="utf-8"))
        for node in module.body:
            names = ast.unparse(node) if isinstance(node, ast.Import | ast.ImportFrom) else ""
            assert "keras" not in names.replace("keras_micromag", ""), f"utils/{name}.py: {names}"


# ---------------------------------------------------------------------------------------------
# Import
# ---------------------------------------------------------------------------------------------


def python(code, *, cwd, **environ):
    """Run `code` in a fresh Python that has no settings of Keras but those in `environ`."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("KERAS_")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=cwd,
        env={**kept, "KERAS_HOME": str(cwd), **environ},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_package_alone_does_not_import_keras(tmp_path):
    # So `keras-micromag --help` is quick, and --backend comes in time.
    code = "import sys, keras_micromag; sys.exit('keras' in sys.modules)"
    assert python(code, cwd=tmp_path).returncode == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.backend
def test_import_has_no_side_effects(tmp_path):
    # Against bare Keras, which itself imports what it finds (matplotlib, pandas, jax).
    code = """if True:
        import json, os, sys, keras
        modules, environ, floatx = set(sys.modules), dict(os.environ), keras.config.floatx()
        import keras_micromag, keras_micromag.physics
        assert dict(os.environ) == environ and keras.config.floatx() == floatx
        print(json.dumps([sorted(modules), sorted(set(sys.modules) - modules)]))
    """
    chosen = keras.backend.backend()
    result = python(code, cwd=tmp_path, KERAS_BACKEND=chosen)
    assert result.returncode == 0, result.stderr
    before, new = (set(names) for names in json.loads(result.stdout))
    assert "keras_micromag.physics" in new
    unwanted = {"matplotlib", "tensorflow_datasets", "keras_tuner", "xarray"} | BACKENDS - {chosen}
    assert not new & unwanted
    if chosen != "tensorflow":
        assert "tensorflow" not in before | new
    assert [file.name for file in tmp_path.iterdir()] == ["keras.json"], "Keras's own, nothing else"


@pytest.mark.parametrize("chosen", [None, *sorted(BACKENDS)])
def test_import_without_any_backend_says_what_to_install(chosen, tmp_path):
    code = f"import sys; sys.modules |= dict.fromkeys({BACKENDS}); import keras_micromag"
    result = python(code, cwd=tmp_path, **({"KERAS_BACKEND": chosen} if chosen else {}))
    assert result.returncode == 1
    *_, sentence = result.stderr.splitlines()
    missing = chosen or "tensorflow"
    assert f'Keras is to run on {missing}, which is not installed: pip install "' in sentence
    assert all(f'pip install "keras-micromag[{name}]"' in sentence for name in BACKENDS)
    assert sentence.count("KERAS_BACKEND=") == 2


@pytest.mark.backend
@pytest.mark.parametrize(
    "statement",
    [
        "from keras_micromag import physics",
        "from keras_micromag.physics import simulate",
        "import keras_micromag.losses",
        "import keras_micromag; import keras",
        "import keras_micromag; keras_micromag.physics",
    ],
)
def test_import_without_the_chosen_backend_names_one_that_is_there(statement, tmp_path):
    here = keras.backend.backend()
    missing = dict.fromkeys(BACKENDS - {here})
    # Keras takes TensorFlow where nothing is set, even if it is not installed.
    environ = {"KERAS_BACKEND": "jax"} if here == "tensorflow" else {}
    code = f"import sys; sys.modules |= {missing}; {statement}"
    result = python(code, cwd=tmp_path, **environ)
    assert result.returncode == 1
    *_, sentence = result.stderr.splitlines()
    wanted = environ.get("KERAS_BACKEND", "tensorflow")
    assert f'Keras is to run on {wanted}, which is not installed: pip install "' in sentence
    assert f"or set KERAS_BACKEND={here}, which is installed" in sentence


PARTS = keras_micromag.__all__

# Else a .keras file that names them could not be loaded.
ALL_KNOWN = f"""
def assert_all_known():
    known = {{kind.__name__: kind for kind in keras.saving.get_custom_objects().values()}}
    for part in {PARTS}:
        for name, kind in vars(getattr(keras_micromag, part)).items():
            if isinstance(kind, type) and hasattr(kind, "get_config") and name[0] != "_":
                assert part == "physics" or known[name] is kind, name
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "first",
    [
        "keras_micromag",
        pytest.param("keras", marks=pytest.mark.integration),
        pytest.param("keras_micromag.physics", marks=pytest.mark.integration),
    ],
)
def test_keras_knows_every_class_after_import(first, tmp_path):
    code = f"import {first}, keras, keras_micromag\n{ALL_KNOWN}\nassert_all_known()"
    result = python(code, cwd=tmp_path, KERAS_BACKEND=keras.backend.backend())
    assert result.returncode == 0, result.stderr


@pytest.mark.integration
def test_keras_knows_every_class_whichever_part_is_imported(tmp_path):
    code = f"""{ALL_KNOWN}
import importlib, sys, keras
for part in {PARTS}:
    for name in [name for name in sys.modules if name.partition(".")[0] == "keras_micromag"]:
        del sys.modules[name]
    keras.saving.get_custom_objects().clear()
    importlib.import_module(f"keras_micromag.{{part}}")
    keras_micromag = sys.modules["keras_micromag"]
    assert_all_known()
"""
    result = python(code, cwd=tmp_path, KERAS_BACKEND=keras.backend.backend())
    assert result.returncode == 0, result.stderr


def test_other_missing_modules_are_not_blamed_on_the_backend(tmp_path):
    code = "import sys; sys.modules['keras'] = None; from keras_micromag import physics"
    result = python(code, cwd=tmp_path)
    *_, sentence = result.stderr.splitlines()
    assert sentence.startswith("ModuleNotFoundError: ")
    assert "keras-micromag[" not in sentence


# ---------------------------------------------------------------------------------------------
# What is shipped
# ---------------------------------------------------------------------------------------------


def test_one_version():
    version = keras_micromag.__version__
    assert importlib.metadata.version("keras-micromag") == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[(.+)\] - (Unreleased|\d{4}-\d\d-\d\d)$", changes, re.M)
    assert newest[1] == version
    assert f"\n[{version}]: {REPOSITORY}/" in changes


REPOSITORY = re.search(r"^ +Source = (\S+)$", (ROOT / "setup.cfg").read_text("utf-8"), re.M)[1]
SITE = "https://keras-micromag.github.io/keras-micromag/"
RAW = REPOSITORY.replace("https://github.com", "https://raw.githubusercontent.com")

FOLDERS = ["", "docs/**/", "tuning/", "tfds_esw/", "benchmarks/**/"]
PAGES = {
    page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8")
    for folder in FOLDERS
    for page in sorted(ROOT.glob(f"{folder}*.md"))
}
# How a page marks a block that cannot run. Readers do not see it.
BLOCK = re.compile(r"^(?:<!-- not run: ([^\n]+) -->\n+)?```python\n(.*?)^```$", re.M | re.S)
FENCE = re.compile(r"^ *(?:`{3,}|:{3,})([^`{:\s].*)$", re.M)
OTHER_FENCES = {"bash", "text", "json", "yaml"}
COMMAND = re.compile(r"^(?:[A-Z_]+=\S* )*(keras-micromag|make|python -m [a-z_.]+)(?= |$)(.*)$")


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_a_page_lead_to_files(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        if page == "README.md":
            assert link.startswith("https://"), (
                f"{link}: PyPI shows this page, and no files beside it"
            )
        file, _, heading = link.partition("#")
        for branch in (f"{REPOSITORY}/blob/main", f"{RAW}/main"):
            file = file.replace(branch, str(ROOT))
        if file.startswith(SITE):
            file = str(ROOT / "docs" / file.removeprefix(SITE).replace(".html", ".md"))
        if "://" in file:
            continue
        target = (ROOT / page).parent / file if file else ROOT / page
        assert target.exists(), link
        if heading:
            lines = target.read_text(encoding="utf-8").splitlines()
            titles = [line.lstrip("# ").lower() for line in lines if line.startswith("#")]
            anchors = {re.sub(r"[^\w -]", "", title).replace(" ", "-") for title in titles}
            assert heading in anchors, link


@pytest.mark.integration
@pytest.mark.parametrize(
    "page", [page for page in PAGES if "\n```python\n" in PAGES[page] and "tfds_esw/" not in page]
)
def test_the_examples_of_a_page_run(page, tmp_path, monkeypatch):
    # Those of the card of tfds_esw, which build data sets: tests/tfds_esw.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("keras_micromag.vtk.plotter", Mock())  # a window, and somebody's time
    namespace = {"__name__": "page"}
    for reason, block in BLOCK.findall(PAGES[page]):
        if not reason:
            exec(compile(block, page, "exec"), namespace)


@pytest.mark.parametrize("page", PAGES)
def test_no_program_of_a_page_is_left_out(page):
    assert set(FENCE.findall(PAGES[page])) <= {"python", *OTHER_FENCES}
    assert len(BLOCK.findall(PAGES[page])) == len(re.findall("^```python", PAGES[page], re.M))
    assert "{code-block} python" not in PAGES[page]
    skipped = re.findall("^<!-- not run.*", PAGES[page], re.M)
    assert len(skipped) == sum(bool(reason) for reason, _ in BLOCK.findall(PAGES[page])), "reason"


def commands(page):
    """Return program and arguments of the commands of a page, in its blocks and in backticks."""
    lines = re.findall("^    (.*)$", PAGES[page], re.M) + re.findall("`([^`]*)`", PAGES[page])
    lines = [
        " ".join(part.partition(" #")[0].split()) for line in lines for part in line.split("&&")
    ]
    return [match.groups() for match in map(COMMAND.match, lines) if match]


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_exist(page):
    [subcommands] = [
        a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction)
    ]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for program, arguments in commands(page):
        first = arguments.split()[:1]
        if program.startswith("python -m"):
            module = ROOT / program.removeprefix("python -m ").replace(".", "/")
            own = (ROOT / module.relative_to(ROOT).parts[0]).is_dir()
            assert not own or module.with_suffix(".py").exists() or module.is_dir(), program
        elif program == "make" and first:
            assert re.search(rf"^(.* )?{first[0]}[ :]", makefile, re.M), f"make {first[0]}"
        elif program == "keras-micromag" and first and first[0] != "--help":
            options = subcommands.choices[first[0]]._option_string_actions
            assert set(re.findall(r"(?<!\S)--[\w-]+", arguments)) <= set(options), arguments


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """The folder with sdist and wheel; the wheel is built from the sdist, not from this folder."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True, text=True)
    return folder


@pytest.mark.integration
def test_the_sdist_holds_the_project(dist):
    [sdist] = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {
        *["LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "Makefile", ".ci/run"],
        *["pyproject.toml", "setup.cfg", "tests/constraints.txt", "keras_micromag/py.typed"],
        "tests/lowest.txt",
    }
    for folder in (
        "keras_micromag",
        "tfds_esw",
        "tuning",
        "tests",
        "benchmarks",
        "examples",
    ):
        wanted |= {str(file.relative_to(ROOT)) for file in ROOT.glob(f"{folder}/**/*.py")}
    assert not wanted - names
    assert not [name for name in names if name.startswith((".venv", "runs")) or ".pyc" in name]


@pytest.mark.integration
def test_the_wheel_holds_the_packages_alone(dist):
    [wheel] = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        metadata = archive.read(next(name for name in names if name.endswith("/METADATA"))).decode()
    package = {name for name in names if ".dist-info/" not in name}
    expected = {"keras_micromag/py.typed"}
    expected |= {f"tfds_esw/{name}" for name in ("README.md", "CITATIONS.bib", "TAGS.txt")}
    expected |= {"tuning/README.md", "tuning/slurm.sh"}
    for folder in ("keras_micromag", "tfds_esw", "tuning"):
        expected |= {str(file.relative_to(ROOT)) for file in ROOT.glob(f"{folder}/**/*.py")}
    assert package == expected
    assert [name for name in names if name.endswith("/LICENSE")]
    assert "Requires-Python: >=3.11" in metadata
    needs = re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", metadata, re.M)
    assert sorted(needs) == ["keras", "numpy", "scipy"]


@pytest.mark.integration
def test_the_wheel_installs_into_an_empty_environment(dist, tmp_path):
    [wheel] = dist.glob("*.whl")
    venv.create(tmp_path / "empty")
    bin = tmp_path / "empty" / "bin"
    pip = [sys.executable, "-m", "pip", "--python", bin / "python", "install"]
    pip += ["--quiet", "--no-compile"]
    subprocess.run([*pip, wheel], check=True)

    def run(*command, **environ):
        kept = {name: text for name, text in os.environ.items() if name != "KERAS_BACKEND"}
        return subprocess.run(
            command, cwd=tmp_path, env=kept | environ, capture_output=True, text=True, timeout=120
        )

    bare = run(bin / "python", "-c", "import keras_micromag")
    assert bare.returncode == 1
    assert 'pip install "keras-micromag[tensorflow]"' in bare.stderr.splitlines()[-1]
    # The backend is taken from here, this project not: .pth files are not read on PYTHONPATH.
    site_packages = importlib.util.find_spec("keras").submodule_search_locations[0] + "/.."
    environ = {"PYTHONPATH": site_packages, "KERAS_BACKEND": keras.backend.backend()}
    where = run(bin / "python", "-c", "import keras_micromag as k; print(k.__file__)", **environ)
    assert where.stdout.startswith(str(tmp_path)), where.stderr
    for command in ([bin / "keras-micromag"], [bin / "python", "-m", "keras_micromag"]):
        assert "simulate" in run(*command, "--help", **environ).stdout
        refused = run(*command, "no-such-command", **environ)
        assert refused.returncode != 0
        assert "Traceback" not in refused.stderr
    # For the data set nothing is: its extra must bring all that it needs.
    subprocess.run([*pip, f"{wheel}[data,jax]"], check=True)
    build = [bin / "python", "-m", "tfds_esw", "build", "tiny", "--data_dir", "data"]
    built = run(*build, KERAS_BACKEND="jax")
    assert "data/tfds_esw/tiny/" in built.stdout.splitlines()[-4], built.stderr
