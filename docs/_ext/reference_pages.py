"""Pages of every public name, from its docstring, and the options of the command line.

They are written to `docs/api` before Sphinx looks for its pages; `reference/command_line.md`
includes the options.
"""

import argparse
import ast
import importlib
import inspect
import itertools
import re
import textwrap
from pathlib import Path

from numpy.typing import ArrayLike
from sphinx.ext.autodoc.mock import mock
from sphinx.util.inspect import stringify_signature
from sphinx.util.typing import stringify_annotation

from keras_micromag.cli import build_parser
from keras_micromag.physics import ND2FE14B

API = Path(__file__).resolve().parents[1] / "api"
MODULES = [
    *("physics", "layers", "losses", "metrics", "models", "data"),
    *("recipes", "analysis", "baselines", "evaluation", "plots", "vtk"),
]
MODULES = [*(f"keras_micromag.{name}" for name in MODULES), "tfds_esw"]
OWN = ("keras_micromag", "tfds_esw")
RESULTS = {
    "keras_micromag.physics": [
        "hysteresis.Events",
        "trust.Trust",
        "io.neper.tessellation.Tessellation",
    ],
    "keras_micromag.recipes": ["training.Trained"],
}
"""Classes whose objects functions of a module return."""

# ---------------------------------------------------------------------------------------------
# Pages of names
# ---------------------------------------------------------------------------------------------


def public_names(module: str) -> dict[str, str]:
    """Return the names of a module, its results too, and the module by which each is found."""
    names = dict.fromkeys(importlib.import_module(module).__all__, module)
    for result in RESULTS.get(module, ()):
        folder, _, name = result.rpartition(".")
        names[name] = f"{module}.{folder}"
    return names


def name_page(module: str, name: str) -> str:
    """Return the page of one public name."""
    thing = getattr(importlib.import_module(module), name)
    text = f"{heading(name)}.. currentmodule:: {module}\n\n"
    if inspect.isclass(thing):
        inherits = "   :show-inheritance:\n" if outside_base(thing) else ""
        text += f".. autoclass:: {name}\n   :members:\n{inherits}"
    elif callable(thing):
        text += f".. autofunction:: {name}\n"
    else:
        text += f".. data:: {name}\n\n{textwrap.indent(data_text(module, name), '   ')}\n"
    return f"{text}\n.. minigallery:: {module}.{name}\n   :add-heading: Examples\n"


def outside_base(kind: type) -> type | None:
    """Return the first base of a class that is no part of this package, such as Keras's `Layer`."""
    bases = kind.__mro__[1:-1]
    return next((base for base in bases if base.__module__.split(".")[0] not in OWN), None)


def data_text(module: str, name: str) -> str:
    """Return the value of a constant, and the string below its assignment."""
    value = getattr(importlib.import_module(module), name)
    kind = f"a dictionary of {', '.join(map(repr, value))}" if isinstance(value, dict) else value
    files = Path(importlib.import_module(module).__file__).parent.rglob("*.py")
    for body in (ast.parse(file.read_text(encoding="utf-8")).body for file in files):
        for node, below in itertools.pairwise(body):
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            if name in [getattr(target, "id", "") for target in targets]:
                if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                    return f"``{kind}``\n\n{escape(below.value.value)}"
    return f"``{kind}``"


def module_page(module: str) -> str:
    """Return the page of a module, which lists its names."""
    rows = pages = ""
    for name, where in public_names(module).items():
        thing = getattr(importlib.import_module(where), name)
        described = callable(thing) and (inspect.getdoc(thing) or "").partition("\n\n")[0]
        described = escape(
            " ".join((described or data_text(where, name).split("\n\n")[-1]).split())
        )
        rows += f"   * - :obj:`{name} <{where}.{name}>`\n     - {described}\n"
        pages += f"   {name} <{module}.{name}>\n"
    return (
        f"{heading(module)}.. automodule:: {module}\n   :no-members:\n\n"
        f".. list-table::\n   :widths: 30 70\n\n{rows}\n"
        f".. toctree::\n   :hidden:\n\n{pages}"
    )


def heading(title: str) -> str:
    """Return the title of a page."""
    return f"{title}\n{'=' * len(title)}\n\n"


# ---------------------------------------------------------------------------------------------
# Docstrings are plain text with names in backticks
# ---------------------------------------------------------------------------------------------


def escape(text: str) -> str:
    """Return a line of a docstring with what reStructuredText would read as markup escaped."""
    parts = text.split("`")
    for i in range(0, len(parts), 2):  # outside backticks
        parts[i] = re.sub(r"[*|]|(?<=\w)_(?!\w)", r"\\\g<0>", parts[i])
        parts[i] = re.sub(r"\bdocs/([\w/]+)\.md\b", r":doc:`/\1`", parts[i])
    return "`".join(parts)


def process_docstring(app, what, name, thing, options, lines):
    """Escape a docstring, but not the examples in it, which end at an empty line."""
    example = False
    for number, line in enumerate(lines):
        example = bool(line.strip()) and (example or line.strip().startswith(">>>"))
        if not example:
            lines[number] = escape(line)


def process_signature(app, what, name, thing, options, signature, returned):
    """Name NumPy's `ArrayLike`, which annotations hold as the union that it stands for.

    Keras's classes have a `__new__` that takes anything: those of `__init__` are shown.
    """
    if what == "class" and "*args" in (signature or "") and "__init__" in vars(thing):
        arguments = inspect.signature(thing.__init__).replace(
            return_annotation=inspect.Signature.empty
        )
        without_self = list(arguments.parameters.values())[1:]
        signature = stringify_signature(arguments.replace(parameters=without_self))
        signature = signature.replace(repr(ND2FE14B), "ND2FE14B")
    for mode in ("fully-qualified", "smart"):
        union = stringify_annotation(ArrayLike, mode)
        signature, returned = (
            text and text.replace(union, "ArrayLike") for text in (signature, returned)
        )
    return signature, returned


def process_bases(app, name, thing, options, bases):
    """Name the first base that is no part of this package."""
    bases[:] = [outside_base(thing)]


def resolve(app, env, node, contnode):
    """Find the public page of a class that an annotation names by the module that defines it."""
    name = node.get("reftarget", "").rpartition(".")[2]
    for module in MODULES:
        if name in (names := public_names(module)):
            return env.domains.python_domain.resolve_xref(
                env, node["refdoc"], app.builder, "obj", f"{names[name]}.{name}", node, contnode
            )
    return None


# ---------------------------------------------------------------------------------------------
# Options of the command line
# ---------------------------------------------------------------------------------------------


def help_text(text: str) -> str:
    """Return a text of the parser as Markdown, with the options in it set as code."""
    return re.sub(r"(?<![\w`-])--[\w-]+", r"`\g<0>`", escape(text))


def option_list(parser: argparse.ArgumentParser) -> str:
    """Return the options of one command, in their groups."""
    text = ""
    formatter = argparse.HelpFormatter(parser.prog)
    for group in parser._action_groups:
        rows = ""
        for action in group._group_actions:
            if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
                continue
            call = formatter._format_action_invocation(action)
            rows += f"`{call}`\n: {help_text(formatter._expand_help(action))}\n\n"
        if rows:
            described = f"{help_text(group.description)}\n\n" if group.description else ""
            text += f":::{{rubric}} {group.title}\n:::\n\n{described}{rows}"
    return text


def command_options(parser: argparse.ArgumentParser) -> str:
    """Return the options of all commands, as Markdown."""
    text = ""
    [commands] = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    for name, command in commands.choices.items():
        text += f"## {name}\n\n{help_text(command.description or '')}\n\n"
        text += option_list(command)
    return text


# ---------------------------------------------------------------------------------------------


def write(app):
    """Write the pages; those that have not changed are left, so that Sphinx does not read them."""
    with mock(app.config.autodoc_mock_imports):
        for module in MODULES:
            importlib.import_module(module)
    pages = {}
    for module in MODULES:
        pages[module] = module_page(module)
        for name, where in public_names(module).items():
            pages[f"{module}.{name}"] = name_page(where, name)
    listed = "".join(f"   {module}\n" for module in MODULES)
    pages["index"] = f"{heading('Python API')}.. toctree::\n   :maxdepth: 1\n\n{listed}"
    API.mkdir(exist_ok=True)
    for file in API.glob("*.rst"):
        if file.stem not in pages:
            file.unlink()
    files = {f"{name}.rst": text for name, text in pages.items()}
    files["options.txt"] = command_options(build_parser())
    for name, text in files.items():
        file = API / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def setup(app):
    """Register the extension."""
    app.connect("builder-inited", write, priority=100)
    app.connect("autodoc-process-docstring", process_docstring, priority=100)  # before napoleon
    app.connect("autodoc-process-signature", process_signature)
    app.connect("autodoc-process-bases", process_bases)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True}
