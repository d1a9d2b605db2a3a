"""Dependencies point one way: a module imports only from its own layer and those below."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "dpl_nas"

#: From the bottom up; modules in one row do not know each other. The longest prefix counts.
LAYERS = (
    ("draws", "errors", "observer", "seeds", "validation_score"),
    ("io", "process"),
    ("cells", "console"),
    # Values that have no room: users and several rooms import them by name.
    ("backbone_config", "search_budget"),
    ("space",),
    ("config",),
    ("gallery",),
    ("glosses", "kernels", "mini"),
    ("backbone",),
    ("prompted", "tasks"),
    ("training",),
    ("engine", "methods"),
    ("nni",),
    ("strategy",),
    ("testing", "runs", "classifier"),
    ("comparison", "diagnostics", "experiments"),
    ("bench",),
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


def test_no_name_of_a_package_hides_a_module_of_its_own() -> None:
    hidden = []
    for name, file in modules().items():
        if file.name != "__init__.py":
            continue
        own = {each.stem for each in file.parent.glob("*.py")}
        own |= {each.parent.name for each in file.parent.glob("*/__init__.py")}
        for node in ast.walk(ast.parse(file.read_text())):
            # ``from package import module`` gives the module itself.
            if isinstance(node, ast.ImportFrom) and node.module != f"dpl_nas.{name}":
                names = {alias.asname or alias.name for alias in node.names}
                hidden += [f"{name}.{each}" for each in names & own]
    assert not hidden


def names_of(file: Path) -> set[str] | None:
    """What a module offers: its ``__all__``."""
    for node in ast.parse(file.read_text()).body:
        target = (
            node.target
            if isinstance(node, ast.AnnAssign)
            else node.targets[0]
            if isinstance(node, ast.Assign)
            else None
        )
        if isinstance(target, ast.Name) and target.id == "__all__" and node.value is not None:
            found: list[str] = ast.literal_eval(node.value)
            return set(found)
    return None


def test_every_module_says_what_it_offers() -> None:
    assert not [name for name, file in modules().items() if names_of(file) is None]


def test_nothing_is_imported_that_is_not_offered() -> None:
    known = modules()
    offered = {f"dpl_nas.{name}": names_of(file) or set() for name, file in known.items()}
    offered["dpl_nas"] = {"__version__", *known}
    wrong = []
    for name, file in known.items():
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.ImportFrom) or node.module not in offered:
                continue
            wrong += [
                f"{name} takes {alias.name} from {node.module}"
                for alias in node.names
                if alias.name not in offered[node.module]
                and f"{node.module}.{alias.name}" not in offered
            ]
    assert not wrong


def test_no_function_hides_its_module() -> None:
    """A name of a package is either a module of it or something that it offers."""
    known = modules()
    for name, file in known.items():
        if file.name == "__init__.py" and not name.startswith("cli"):
            below = {each.removeprefix(f"{name}.") for each in known if each.startswith(f"{name}.")}
            assert not below & (names_of(file) or set()), name
