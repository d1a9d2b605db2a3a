"""``dpl-nas mini``: the embedded CLIP, made again or measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dpl_nas.cli.configuration import typed
from dpl_nas.cli.options import JsonOption, OutOption, Overrides, QuietOption, parse_path
from dpl_nas.cli.session import console, job, print_json
from dpl_nas.cli.tables import table
from dpl_nas.errors import ConfigError

if TYPE_CHECKING:
    from dpl_nas.mini.pretraining import PretrainProgress

__all__ = ["app"]

_STAGE = "pre-train"

app = typer.Typer(no_args_is_help=True, help="Make the embedded CLIP again, or measure it.")


@app.command("pretrain")
def pretrain(
    context: typer.Context,
    out: OutOption,
    seed: Annotated[int, typer.Option(help="Seed of the weights and of all images.")] = 0,
    json: JsonOption = False,
    quiet: QuietOption = False,
    overrides: Overrides = None,
) -> None:
    """Pre-train the embedded CLIP on rendered scenes and drawings with captions, on the CPU.

    An interrupted pre-training in --out goes on. KEY=VALUE sets steps, batch_size and so on.
    """
    from dpl_nas.config import parse_overrides, put_all
    from dpl_nas.io.validation import validate

    with job(quiet=quiet) as observer:
        from dpl_nas.mini.pretraining import PretrainSettings
        from dpl_nas.mini.pretraining import pretrain as pretrain_model

        given = typed(context, seed=seed)
        data = dict(given)
        put_all(data, parse_overrides(overrides or ()), given)
        settings = validate(PretrainSettings, data, "pre-training", ConfigError)
        observer.begin(_STAGE, settings.steps)

        def tell(progress: PretrainProgress) -> None:
            accuracies = {name: progress.accuracies[name] for name in sorted(progress.accuracies)}
            observer.advance(_STAGE, progress.step, {"loss": progress.loss, **accuracies})

        weights = pretrain_model(settings, out, tell)
        observer.end(_STAGE)
    if json:
        print_json({"weights": str(weights), "settings": settings.model_dump(mode="json")})
    else:
        console().print(f"weights {weights}", highlight=False)


@app.command("gates")
def gates(
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Weights to measure; by default those of dpl_nas.",
            parser=parse_path,
        ),
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Number of images for each probe.")] = 1024,
    json: JsonOption = False,
) -> None:
    """Measure zero-shot accuracies; exit with 1 if one misses the gate of a shipped model."""
    with job(quiet=True):
        from dpl_nas.mini.gates import measure_gates
        from dpl_nas.mini.model import load_mini_clip

        report = measure_gates(load_mini_clip(weights), images)
    if json:
        print_json(
            {
                "passed": report.passed,
                "accuracies": dict(report.accuracies),
                "chance": dict(report.chance),
                "gates": dict(report.gates),
            }
        )
    else:
        shown = table("probe", "zero-shot", "chance", "gate")
        for name, accuracy in report.accuracies.items():
            gate = report.gates.get(name)
            shown.add_row(
                name,
                f"{accuracy:.1%}",
                f"{report.chance[name]:.1%}",
                "" if gate is None else f"{gate:.0%} {'reached' if accuracy >= gate else 'missed'}",
            )
        console().print(shown)
    if not report.passed:
        raise typer.Exit(1)
