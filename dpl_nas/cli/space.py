"""``dpl-nas space``: show search spaces, and check your own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dpl_nas.cli.options import JsonOption, parse_path
from dpl_nas.cli.session import console, job, print_json
from dpl_nas.cli.tables import table
from dpl_nas.errors import DplError, shorten

if TYPE_CHECKING:
    from dpl_nas.space import Space

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Show search spaces, and check your own.")


@app.command("show")
def show(
    space: Annotated[
        str | None,
        typer.Argument(
            help="Packaged name or YAML file; without it, all packaged ones are listed."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show towers, layers, lengths and limits, and how many architectures there are."""
    from dpl_nas.io.presets import preset_names
    from dpl_nas.space import load_space
    from dpl_nas.space.fitting import count

    if space is None:
        names = preset_names("search_spaces")
        if json:
            print_json({name: _described(name) for name in names})
            return
        listed = table("space", "backbone", "limits", "architectures")
        for name in names:
            found = load_space(name)
            listed.add_row(
                name,
                _backbone(found),
                _limits(found) or "none",
                f"{count(found):.2e}",
            )
        console().print(listed)
        return
    found = load_space(space)
    if json:
        print_json(_described(space))
        return
    shown = table("tower", "layers", "lengths", title=f"{found.name} ({found.id})")
    for tower, part in found.towers.items():
        shown.add_row(tower, _ranges(part.layers), ", ".join(map(str, part.lengths)))
    console().print(shown)
    layers = sum(1 for _ in found.labels())
    console().print(
        f"backbone {_backbone(found)}; {layers} searched layers, {found.size:.3g} architectures; "
        f"candidates {'share' if found.shared_vectors else 'do not share'} vectors",
        highlight=False,
    )
    if found.limits:
        console().print(_limit_line(found), highlight=False)


@app.command("validate")
def validate(
    files: Annotated[list[str], typer.Argument(help="YAML files, or packaged names.")],
    json: JsonOption = False,
) -> None:
    """Check search spaces and report every problem at once; exit with 2 if there is one."""
    reports = {file: _problems(file) for file in files}
    if json:
        print_json(
            {file: {"valid": not found, "problems": found} for file, found in reports.items()}
        )
    else:
        from dpl_nas.space import load_space

        for file, found in reports.items():
            if not found:
                space = load_space(file)
                typer.echo(f"{file}: valid{f'; {_limit_line(space)}' if space.limits else ''}")
            for problem in found:
                typer.echo(f"{shorten(file)}: {problem}", err=True)
    if any(reports.values()):
        raise typer.Exit(2)


@app.command("nni")
def nni(
    space: Annotated[str, typer.Argument(help="Packaged name or YAML file.")],
    json: JsonOption = False,
) -> None:
    """Print the search space of an NNI experiment (searchSpace, or a searchSpaceFile).

    NNI's own tuners do not know limits. For a space with limits, a tuner that does is printed too.
    """
    from dpl_nas.io.presets import preset_names
    from dpl_nas.nni.search_space import nni_search_space, search_space_yaml, tuner_settings
    from dpl_nas.space import load_space

    found = load_space(space)
    note = ""
    if found.limits:
        where = (
            space if space in preset_names("search_spaces") else str(parse_path(space).resolve())
        )
        note = _commented(_limits(found), tuner_settings(where))
    if json:
        typer.echo(note, err=True, nl=False)
        print_json(nni_search_space(found))
    else:
        typer.echo(note + search_space_yaml(found), nl=False)


def _commented(limits: str, tuner: dict[str, Any]) -> str:
    import yaml

    text = (
        f"NNI's own tuners do not know the limit of {limits}. Use this tuner:\n"
        + yaml.safe_dump({"tuner": tuner}, sort_keys=False)
    )
    return "".join(f"# {line}\n" for line in text.splitlines())


def _problems(file: str) -> list[str]:
    from dpl_nas.space import choices_of, space_problems

    try:
        problems = space_problems(file)
    except DplError as error:
        return [str(error)]
    # Other errors do not hide layers that the backbone does not have.
    space = choices_of(file)
    try:
        return problems + (_misfits(space) if space else [])
    except DplError as error:
        return [*problems, f"backbone.model: {error}"]


def _misfits(space: Space) -> list[str]:
    """Layers that the backbone does not have; the check needs no weights."""
    with job(quiet=True):
        from dpl_nas.backbone import missing_layers, model_facts, tower_depths

        model = space.backbone.model
        depths, facts = tower_depths(model), model_facts(model).towers
    problems = []
    for tower, part in space.towers.items():
        beyond = missing_layers(depths[tower], part.layers)
        if not beyond:
            continue
        expected = f"layers 0 to {depths[tower] - 1}, as many as {model} has"
        if facts[tower].reason:
            expected = f"no {tower} tower for {model}, since {facts[tower].reason}"
        problems.append(f"towers.{tower}.layers: expected {expected} (found {_ranges(beyond)})")
    return problems


def _limit_line(space: Space) -> str:
    """The limits, and the number of architectures that keep to them."""
    from dpl_nas.space.fitting import count

    limits = _limits(space)
    if space.max_flops is not None and "image" in space.towers:
        from dpl_nas.space.flops import image_tower_size, plain_flops

        plain = plain_flops(image_tower_size(space.backbone.model))
        limits += f" ({space.max_flops / plain:.2g} of the image tower's own)"
    fitting = count(space)
    share = fitting / space.size
    return f"limit of {limits}: {fitting:,} architectures fit, {share:.3g} of the space"


def _limits(space: Space) -> str:
    return " and ".join(f"at most {limit.most:,} {limit.unit}" for limit in space.limits)


def _described(name: str | Path) -> dict[str, Any]:
    from dpl_nas.space import load_space
    from dpl_nas.space.fitting import count

    space = load_space(name)
    return {
        **space.model_dump(mode="json"),
        "id": space.id,
        "choices": sum(1 for _ in space.labels()),
        "size": space.size,
        "within_limits": (fitting := count(space)),
        "share": fitting / space.size,
    }


def _backbone(space: Space) -> str:
    weights = space.backbone.pretrained
    return f"{space.backbone.model} ({weights})" if weights else space.backbone.model


def _ranges(numbers: tuple[int, ...]) -> str:
    """Whole numbers as ranges, such as ``0-3, 7``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
