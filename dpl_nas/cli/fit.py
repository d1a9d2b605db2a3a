"""``dpl-nas fit``: from labelled pictures to a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from dpl_nas.cli.configuration import configure
from dpl_nas.cli.named import by_owner, read_settings
from dpl_nas.cli.options import (
    DeviceOption,
    JsonOption,
    Overrides,
    OverwriteOption,
    QuietOption,
    SeedOption,
    SpaceOption,
    StrategyOption,
    parse_path,
)
from dpl_nas.cli.session import console, job, print_json
from dpl_nas.cli.tables import show_classifier
from dpl_nas.errors import ConfigError

__all__ = ["fit"]

#: What to do instead of each setting of a run that a fit does not have.
_UNUSED = {
    "task": "DATA says what to fit",
    "shots": "use --shots",
    "seed": "use --seed",
    "device": "use --device",
    "method": "use --method",
    "budget": "use --preset or --time-limit",
    "evaluate": "it is tested on all test pictures",
    "jobs": "leave it out",
    "devices": "leave it out",
}


def _parse_shots(text: str) -> str:
    if text != "all" and not (text.isdecimal() and int(text)):
        raise typer.BadParameter(
            f"expected a whole number of 1 or more, or all, found {text!r:.50}"
        )
    return text


def _refuse_unused(overrides: Sequence[str]) -> None:
    """Refuse settings of runs that a fit has no use for: it must not ignore them."""
    from dpl_nas.config import parse_overrides

    for key in parse_overrides(overrides):
        if instead := _UNUSED.get(key.partition(".")[0]):
            raise ConfigError(f"a fit has no setting {key}: {instead}")


def _methods(
    names: Sequence[str], overrides: Sequence[str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The methods with their settings, and the settings of everything else."""
    if own := [each for each in names if ":" in each]:
        raise ConfigError(
            f"{own[0]} is no method of this package, so predict could not load it: give it to "
            "PromptClassifier(methods=...) in Python"
        )
    of = by_owner(overrides, names)
    found = [{"name": name, "settings": read_settings(of[name])} for name in names]
    return found, of[""]


def fit(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="Folder with a folder a class, or with train/ and test/; a list of files "
            "(path, label, split); or a task of dpl-nas tasks.",
        ),
    ],
    out: Annotated[
        Path, typer.Option(metavar="CLF", help="Folder of the classifier.", parser=parse_path)
    ],
    preset: Annotated[
        Literal["quick", "balanced", "best"],
        typer.Option(
            help="quick: no search of lengths; balanced and best: a short and a long one."
        ),
    ] = "balanced",
    time_limit: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Try nothing further after this time: 90s, 10m or 1h."),
    ] = None,
    shots: Annotated[
        str,
        typer.Option(metavar="N|all", help="Pictures of each class, at most.", parser=_parse_shots),
    ] = "16",
    test_share: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=0.9,
            help="Share of each class to keep for the test, if DATA has no test pictures.",
        ),
    ] = 0.2,
    seed: SeedOption = 1,
    space: SpaceOption = "mini_clip",
    strategy: StrategyOption = "darts",
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="METHOD",
            show_default=False,
            help="Method to compare, too, such as tip-adapter-f or maple; METHOD.KEY=VALUE is a "
            "setting of it. Give the option once for each.",
        ),
    ] = None,
    device: DeviceOption = "cpu",
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    overrides: Overrides = None,
) -> None:
    """Fit a classifier of pictures: compare what it may be, and keep what does best.

    The same command goes on where a killed one stopped.
    """
    from dpl_nas.classifier.fitting import parse_seconds
    from dpl_nas.tasks import configured_task

    limit = parse_seconds(time_limit)
    named, overrides = _methods(methods or (), overrides or ())
    _refuse_unused(overrides)
    config = configure(data, space, strategy, overrides, seed=seed, device=device)
    with job(quiet=quiet, goes_on="give the same command to go on") as observer:
        from dpl_nas.classifier.fitting import FitSettings
        from dpl_nas.classifier.folder import fit_folder
        from dpl_nas.io.validation import validate

        settings = {"preset": preset, "time_limit": limit, "methods": named}
        task = configured_task(config, test_share=test_share)
        result = fit_folder(
            config,
            task,
            validate(FitSettings, settings, "fit", ConfigError),
            out,
            shots="all" if shots == "all" else int(shots),
            overwrite=overwrite,
            observer=observer,
        )
    if json:
        print_json(result.model_dump(mode="json"))
    else:
        from dpl_nas.classifier.saved import SavedClassifier

        show_classifier(console(), SavedClassifier.load(out).metadata, result)
        console().print(f"classifier {out}", highlight=False)
