"""The commands: `onevoice models list`, `get` and `verify`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from onevoice_cli.models.catalogue import KNOWN, find
from onevoice_kit.engines.model_store import StoredModel, stored_models
from onevoice_kit.errors import InvalidInput

DEFAULT_FOLDER = Path("~/.onevoice/models")
"""Unless ONEVOICE_MODELS names another; the translation service has the same default."""

app = typer.Typer(help="Models for translation without a key (the engine `ct2`).", no_args_is_help=True)


@app.command("list")
def list_models() -> None:
    """Show the models that are known and those that are here."""
    folder = models_folder()
    console = Console()
    console.print(models_table(stored_models(folder)))
    console.print(
        f"Folder: {folder} (ONEVOICE_MODELS). `onevoice models get NAME` fetches one; any model of the hub in "
        "CTranslate2's form can be fetched as OWNER/NAME. A size or hash that is not shown is unknown here.",
        markup=False,
        soft_wrap=True,
    )


@app.command()
def get(
    names: Annotated[list[str], typer.Argument(help="Names from `onevoice models list`, or ids of the hub.")],
) -> None:
    """Fetch models, or the rest of those whose fetch was interrupted."""
    from onevoice_cli.client.show import Show
    from onevoice_cli.models.fetch import fetch
    from onevoice_cli.models.hub import Hub

    show, hub = Show(Console()), Hub(os.environ.get("ONEVOICE_MODELS_HUB", ""))
    for known in [find(name) for name in names]:
        stored = fetch(known, models_folder(), hub, show.transfer)
        licence = stored.licence or "unknown; see its README.md"
        show.say(f"{stored.name} is in {stored.folder}; licence: {licence}.")
    show.say("Translation uses it from its next start on.")


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Names of fetched models; none: all of them.")] = None,
) -> None:
    """Compare the files of fetched models with the hashes of their fetch; exit code 1 where one differs."""
    stored = {one.name: one for one in stored_models(models_folder())}
    if unknown := [name for name in names or [] if name not in stored]:
        raise InvalidInput(f"There is no model “{unknown[0]}” in {models_folder()}.", reason="unknown_model")
    bad = {name: found for name in names or stored if (found := stored[name].damaged())}
    for name in names or stored:
        typer.echo(f"{name}: {'damaged: ' + ', '.join(bad[name]) if name in bad else 'ok'}")
    if not stored:
        typer.echo(f"There are no models in {models_folder()}.")
    if bad:
        raise typer.Exit(1)


def models_folder() -> Path:
    """The folder of fetched models, absolute."""
    return Path(os.environ.get("ONEVOICE_MODELS") or DEFAULT_FOLDER).expanduser().absolute()


def models_table(stored: list[StoredModel]) -> Table:
    """Every known model and every fetched one, one in a row."""
    here = {one.name: one for one in stored}
    table = Table(show_edge=False)
    for column in ("name", "languages", "size", "licence", "SHA-256", "here", "id"):
        table.add_column(column, justify="right" if column == "size" else "left", overflow="fold")
    for known in KNOWN:
        size = f"{known.size / 1e6:.0f} MB" if known.size else "?"
        hashed = "model.bin" if "model.bin" in known.sha256 else "by the hub"
        row = (known.name, known.languages, size, known.licence, hashed, "yes" if known.name in here else "", known.id)
        table.add_row(*map(escape, row))
    for one in (one for name, one in here.items() if name not in {known.name for known in KNOWN}):
        size = f"{sum(file.size for file in one.files.values()) / 1e6:.0f} MB"
        table.add_row(*map(escape, (one.name, "", size, one.licence, "as fetched", "yes", one.id)))
    return table
