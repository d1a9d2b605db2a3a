"""Dependencies point one way: a module imports only from its own layer and those below."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "dpl_nas"

#: From the bottom up; modules in one row do not know each other. The longest prefix counts.
LAYERS = (
    ("errors", "observer", "seeds"),
    ("io", "process"),
    ("search_budget",),
    ("space",),
    ("config", "backbone_config"),
    ("kernels", "mini"),
    ("backbone",),
    ("prompted", "tasks"),
    ("training",),
    ("engine",),
    ("nni",),
    ("strategy",),
    ("testing", "runs"),
    ("comparison", "diagnostics", "experiments"),
    ("cli",),
    ("__main__",),
)
RANKS = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def layer(module: str) -> str:
    """The entry of LAYERS that ``module`` (without ``dpl_nas.``) belongs to."""
    parts = module.split(".")
    for end in range(len(parts), 0, -1):
        if (prefix := ".".join(parts[:end])) in RANKS:
            return prefix
    raise AssertionError(f"{module} has no place in LAYERS: decide where it belongs")


def imports(file: Path) -> list[str]:
    """Modules of dpl_nas that a file imports anywhere, also late or for types only."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            if node.module == "dpl_nas":
                found += [alias.name for alias in node.names if not alias.name.startswith("__")]
            elif node.module and node.module.startswith("dpl_nas."):
                found.append(node.module.removeprefix("dpl_nas."))
        elif isinstance(node, ast.Import):
            found += [
                alias.name.removeprefix("dpl_nas.")
                for alias in node.names
                if alias.name.startswith("dpl_nas.")
            ]
    return found


def modules() -> dict[str, Path]:
    named = {
        ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): file
        for file in sorted(PACKAGE.rglob("*.py"))
    }
    # The package itself only says where its names live.
    return {name: file for name, file in named.items() if name != "__init__"}


def test_imports_point_downwards() -> None:
    wrong = []
    for name, file in modules().items():
        own = layer(name)
        for imported in imports(file):
            other = layer(imported)
            if other != own and RANKS[other] >= RANKS[own]:
                wrong.append(f"{name} imports {imported}")
    assert not wrong


def test_only_programs_and_nni_know_nni() -> None:
    allowed = {"nni", "experiments", "strategy"}
    for name, file in modules().items():
        for node in ast.walk(ast.parse(file.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            if any(each.split(".")[0] == "nni" for each in names):
                assert layer(name) in allowed, f"{name} imports NNI"


def test_code_never_imports_the_collections_of_yaml() -> None:
    for folder in ("search_spaces", "strategies"):
        assert not list((PACKAGE.parent / folder).rglob("*.py"))
