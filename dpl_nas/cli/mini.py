"""placeholder"""
import typer
app = typer.Typer(no_args_is_help=True, help="The embedded CLIP.")
@app.callback()
def _group() -> None:
    """The embedded CLIP."""
