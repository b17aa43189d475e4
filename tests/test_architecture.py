"""What the whole package promises about itself: light to import, in layers, documented, kernels that only compute."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import gala

SOURCE = Path(gala.__file__).parent
ROOT = Path(__file__).parents[1]
MODULES = sorted(module.name for module in pkgutil.walk_packages(gala.__path__, "gala."))
HEAVY = ["numba", "sklearn", "dask", "scipy", "matplotlib", "skimage", "h5py"]
FILES = sorted(SOURCE.rglob("*.py"))
# These two run kernels, or say how they are compiled; the others hold nothing but kernels and what they pass around.
KERNELS = [file for file in sorted(SOURCE.glob("_kernels/*.py")) if file.name not in ("threads.py", "jit.py")]


def name_of(file):
    return str(file.relative_to(SOURCE))


def run(script):
    """Run a script in a Python of its own; return the words it prints."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCE.parent), os.environ.get("PYTHONPATH", "")])}
    result = subprocess.run([sys.executable, "-c", script], env=env, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.split()


# ------------------------------------------------------------------------------------------ importing


def test_import_gala__loads_nothing_heavy():
    assert run(f"import sys, gala; print(*set({HEAVY}) & set(sys.modules))") == []


def test_gala__lists_its_names_without_loading_them():
    assert run(f"import sys, gala; names = dir(gala); print(*set({HEAVY}) & set(sys.modules))") == []
    assert set(gala.__all__) - {"__version__"} <= set(dir(gala))


@pytest.mark.parametrize("name", gala.__all__)
def test_gala__has_each_name_that_it_lists(name):
    assert getattr(gala, name) is not None


def test_gala__has_no_name_that_it_does_not_list():
    with pytest.raises(AttributeError, match="networkx"):
        gala.networkx  # noqa: B018  # looking it up is the test


def test_modules__can_be_imported_in_any_order():
    # Others stay loaded; of gala, each module is the first that is asked for once.
    script = f"""
import importlib, sys
for name in {MODULES}:
    for loaded in [m for m in sys.modules if m == "gala" or m.startswith("gala.")]:
        del sys.modules[loaded]
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(name, error)
"""
    assert run(script) == []


# -------------------------------------------------------------------------------------------- layers


def test_layers__imports_only_point_down():
    pytest.importorskip("importlinter", reason="import-linter is not installed")
    script = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    run(script)


def imported(file):
    """Return the names of the packages that a file imports, at any depth."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.partition(".")[0]


def test_numba__is_met_in_one_module():
    assert [name_of(file) for file in FILES if "numba" in imported(file)] == ["_kernels/jit.py"]


def test_pickle__is_met_nowhere():
    unsafe = {"pickle", "joblib", "shelve", "marshal", "dill", "cloudpickle"}
    assert [name_of(file) for file in FILES if unsafe & set(imported(file))] == []


def test_random_numbers__come_from_a_generator_with_a_seed():
    hidden = [
        f"{name_of(file)}:{node.lineno}"
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute)
        and ast.unparse(node.value) in ("np.random", "numpy.random")
        and node.attr not in ("default_rng", "Generator", "BitGenerator", "SeedSequence", "RandomState")
    ]
    assert hidden == []


# ----------------------------------------------------------------------------------------- docstrings


def public(module):
    """Return the public functions and classes that a module defines, and the methods of the classes."""
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(value):
            yield name, value
            methods = {k: v for k, v in vars(value).items() if not k.startswith("_") and _is_code(v)}
            yield from ((f"{name}.{k}", v) for k, v in methods.items())
        elif _is_code(value) or hasattr(value, "py_func"):
            yield name, value


def _is_code(value):
    return inspect.isfunction(value) or isinstance(value, (property, classmethod, staticmethod))


@pytest.mark.parametrize("name", ["gala", *MODULES])
def test_docstrings__are_on_everything_public(name):
    module = importlib.import_module(name)
    assert (module.__doc__ or "").strip(), "the module has none"
    described = {own: inspect.getdoc(value) for own, value in public(module)}
    assert [own for own, doc in described.items() if not doc] == []
    first_lines = [doc.splitlines()[0] for doc in described.values()]
    assert [line for line in first_lines if not line.rstrip().endswith((".", "?", ":"))] == []


# -------------------------------------------------------------------------------------------- kernels


def test_kernels__are_there():
    assert len(KERNELS) > 4


@pytest.mark.parametrize("file", KERNELS, ids=name_of)
def test_kernels__never_validate_raise_or_print(file):
    nodes = list(ast.walk(ast.parse(file.read_text())))
    forbidden = (ast.Raise, ast.Assert, ast.Try, ast.With, ast.Global, ast.AsyncFunctionDef, ast.Lambda)
    assert [f"line {node.lineno}: {type(node).__name__}" for node in nodes if isinstance(node, forbidden)] == []
    calls = [node for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    assert [call.lineno for call in calls if call.func.id in ("print", "open", "isinstance", "hasattr")] == []


@pytest.mark.parametrize("file", KERNELS, ids=name_of)
def test_kernels__loops_are_all_compiled(file):
    functions = [node for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)]
    plain = [function for function in functions if not function.decorator_list]
    loops = [f.name for f in plain if any(isinstance(node, (ast.For, ast.While)) for node in ast.walk(f))]
    assert loops == []


def test_kernels__are_compiled_without_options_that_change_results():
    risky = {"parallel", "fastmath", "jitclass", "guvectorize", "prange", "vectorize", "stencil"}
    code = ast.parse((SOURCE / "_kernels" / "jit.py").read_text())
    names = {node.id for node in ast.walk(code) if isinstance(node, ast.Name)}
    names |= {alias.name for node in ast.walk(code) if isinstance(node, ast.ImportFrom) for alias in node.names}
    keys = {node.value for node in ast.walk(code) if isinstance(node, ast.Constant)}
    keywords = {node.arg for node in ast.walk(code) if isinstance(node, ast.keyword)}
    assert not risky & (names | keys | keywords)
