"""The `onevoice` command: options in, exit codes and one clear sentence out."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from onevoice_cli.client import settings as client_settings
from onevoice_cli.models.commands import app as models_app
from onevoice_kit.errors import InvalidInput, Kind, OneVoiceError

T = TypeVar("T")

EXIT_CODES = {Kind.INVALID_INPUT: 2, Kind.UNAVAILABLE: 3, Kind.UNAUTHENTICATED: 4, Kind.FORBIDDEN: 4}
"""Other failures exit with 1; an interrupted command with 128 + the signal."""

app = typer.Typer(
    name="onevoice",
    help="Dub videos into other languages, with any OneVoice server or one on this machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Data = Annotated[
    Path | None, typer.Option(help="Folder of the local deployment (default: ONEVOICE_DATA or ~/.onevoice).")
]
Url = Annotated[str, typer.Option(help="Address of the server (default: ONEVOICE_URL, then client.toml).")]
ApiKey = Annotated[str, typer.Option(help="API key (default: ONEVOICE_API_KEY, then client.toml).")]


@app.callback()
def root(
    _debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")] = False,
) -> None:
    """Options of every command; `main` reads `--debug` itself, wherever it stands."""


@app.command()
def up(
    data: Data = None,
    port: Annotated[int, typer.Option(help="Port of the REST API; 0 takes a free one.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    public_url: Annotated[str, typer.Option(help="Address that clients use, where it is not HOST:PORT.")] = "",
    aws: Annotated[
        bool, typer.Option("--aws", help="S3 and SQS on a stand-in (moto) that keeps all in memory.")
    ] = False,
) -> None:
    """Start the seven services and their database on this machine, and stop them with Ctrl-C."""
    from onevoice_cli.launcher import run
    from onevoice_cli.launcher.launcher import UpOptions

    options = UpOptions(client_settings.data_folder(data), host=host, port=port, public_url=public_url, aws=aws)
    asyncio.run(run.up(options, output()))


@app.command()
def dub(
    file: Annotated[Path, typer.Argument(help="The video.")],
    to: Annotated[str, typer.Option(help="Languages to dub into, separated by commas: es,ca.")],
    from_: Annotated[str, typer.Option("--from", help="Language of the video (default: the server's choice).")] = "",
    out: Annotated[Path | None, typer.Option(help="Folder for the results (default: ./NAME-dubbed).")] = None,
    voice: Annotated[
        list[str] | None, typer.Option(help="VOICE for all languages, or LANGUAGE=VOICE; may be repeated.")
    ] = None,
    loudness: Annotated[str, typer.Option(help="source, -23, -16 or -14 (LUFS).")] = "",
    burn_in: Annotated[bool, typer.Option("--burn-in", help="Draw the captions into the picture.")] = False,
    speakers: Annotated[
        int | None, typer.Option(min=1, max=20, help="Number of speakers (default: it is estimated).")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Go on where hardly anyone speaks, or the words cannot be right.")
    ] = False,
    asr: Annotated[str, typer.Option(help="Engine for recognition (default: the server's choice).")] = "",
    translate: Annotated[str, typer.Option(help="Engine for translation.")] = "",
    tts: Annotated[str, typer.Option(help="Engine for speech.")] = "",
    separation: Annotated[
        str, typer.Option(help="Engine that separates voice and background; none ducks the original.")
    ] = "",
    terminology: Annotated[
        str, typer.Option(help="auto, or off: a language model does not read the whole before its first line.")
    ] = "",
    estimate: Annotated[bool, typer.Option("--estimate", help="Show the price; send and dub nothing.")] = False,
    url: Url = "",
    api_key: ApiKey = "",
    data: Data = None,
) -> None:
    """Dub a video and download the results."""
    from onevoice_cli.client import dub as client
    from onevoice_cli.client.show import Show

    settings = client_settings.load(url=url, api_key=api_key, data=data)
    targets = client.parse_languages(to)
    request = client.DubRequest(
        file=file,
        targets=targets,
        out=out or Path(f"{file.stem or 'video'}-dubbed"),
        source=from_,
        voices=client.parse_voices(voice or [], targets),
        loudness=loudness,
        burn_in=burn_in,
        speakers=speakers,
        force=force,
        engines={"asr": asr, "separation": separation, "translate": translate, "tts": tts},
        terminology=terminology,
    )
    if estimate:
        from onevoice_cli.client.estimate import estimate as show_estimate

        interruptible(show_estimate(settings, request, Show(output())))
        return
    result = interruptible(client.dub(settings, request, Show(output())))
    if result.failed_languages:
        raise typer.Exit(1)


@app.command()
def status(url: Url = "", api_key: ApiKey = "", data: Data = None) -> None:
    """Show the health of a deployment and its latest jobs."""
    from onevoice_cli.client.status import status as show_status

    settings = client_settings.load(url=url, api_key=api_key, data=data)
    if not interruptible(show_status(settings, output())):
        raise typer.Exit(1)


@app.command()
def migrate() -> None:
    """Bring the three schemas of the database in DATABASE_URL up to date."""
    from onevoice_cli.migrations import migrate_all

    database_url = os.environ.get("DATABASE_URL")
    if not database_url:
        raise InvalidInput("DATABASE_URL is not set.", reason="not_configured")
    for schema, revision in interruptible(migrate_all(database_url)).items():
        typer.echo(f"{schema:<8} is at {revision}")


@app.command()
def keys() -> None:
    """Print the internal gRPC keys of each service, derived from GRPC_SHARED_SECRETS; each line is a setting."""
    from onevoice_cli.launcher.services import internal_keys
    from onevoice_kit.grpc.identity import shared_secrets
    from onevoice_kit.settings import GrpcIdentitySettings

    settings = GrpcIdentitySettings()
    if not shared_secrets(settings):
        raise InvalidInput("GRPC_SHARED_SECRETS is not set.", reason="not_configured")
    for name, values in internal_keys(settings.grpc_shared_secrets.get_secret_value()).items():
        typer.echo(f"# {name}")
        for setting, value in values.items():
            if value:
                typer.echo(f"{setting}={value}")


dlq = typer.Typer(
    help="Messages that were given up (dead letters), by the settings of the services.", no_args_is_help=True
)
app.add_typer(dlq, name="dlq")
app.add_typer(models_app, name="models")

LetterIds = Annotated[list[str] | None, typer.Argument(help="Ids, as `onevoice dlq list` shows them.")]
EveryLetter = Annotated[bool, typer.Option("--all", help="Every dead letter.")]


@dlq.command("list")
def list_dead_letters(limit: Annotated[int, typer.Option(min=1, help="Most to show.")] = 100) -> None:
    """Show dead letters; they stay what they are."""
    from onevoice_cli import dead_letters

    interruptible(dead_letters.show(output(), limit))


@dlq.command("redrive")
def redrive_dead_letters(ids: LetterIds = None, every: EveryLetter = False) -> None:
    """Put dead letters back into the queue."""
    from onevoice_cli.dead_letters import Action, act

    typer.echo(f"{interruptible(act(Action.REDRIVE, ids or [], every=every))} back in the queue")


@dlq.command("drop")
def drop_dead_letters(ids: LetterIds = None, every: EveryLetter = False) -> None:
    """Delete dead letters for good."""
    from onevoice_cli.dead_letters import Action, act

    typer.echo(f"{interruptible(act(Action.DROP, ids or [], every=every))} dropped")


def output() -> Console:
    """Standard output; wide where it is a file or a pipe, so that tables are not cut there."""
    return Console(width=None if sys.stdout.isatty() else 200)


def interruptible(work: Coroutine[Any, Any, T]) -> T:
    """Runs it; Ctrl-C and SIGTERM cancel it, which ends in exit code 128 + signal."""
    return asyncio.run(_interruptible(work))


async def _interruptible(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.ensure_future(work)
    received: list[int] = []

    def interrupt(number: int) -> None:
        if received:
            os._exit(128 + number)  # the second time there is no waiting
        received.append(number)
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt, number)
    try:
        return await task
    except asyncio.CancelledError:
        if not received:
            raise
        raise typer.Exit(128 + received[0]) from None


def main() -> None:
    """Entry point of the `onevoice` script."""
    guarded(lambda: app(args=[argument for argument in sys.argv[1:] if argument != "--debug"]))


def guarded(command: Callable[[], object]) -> None:
    """Runs a command; a failure becomes one sentence and an exit code, or its traceback with `--debug`."""
    try:
        command()
    except typer.Exit as done:
        sys.exit(done.exit_code)
    except OneVoiceError as error:
        if "--debug" in sys.argv:
            raise
        _complain(sentence(error))
        sys.exit(EXIT_CODES.get(error.kind, 1))
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        _complain(f"unexpected {type(error).__name__}: {error} (--debug shows where)")
        sys.exit(1)


def _complain(text: str) -> None:
    Console(stderr=True).print(f"onevoice: {text}", style="red", soft_wrap=True, markup=False, highlight=False)


def sentence(error: OneVoiceError) -> str:
    """The message and, the stable reason."""
    return f"{error.message} [{error.reason}]"


if __name__ == "__main__":
    main()
