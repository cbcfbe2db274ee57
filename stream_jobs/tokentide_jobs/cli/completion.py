"""Shell completion: prints the script that makes a shell ask `tokentide` for its words."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from tokentide_jobs.cli.root import cli

__all__ = ["completion"]


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash:  eval "$(tokentide completion bash)"      in ~/.bashrc
    zsh:   eval "$(tokentide completion zsh)"       in ~/.zshrc
    fish:  tokentide completion fish > ~/.config/fish/completions/tokentide.fish
    """  # noqa: D301 - click wants the control character, not a backslash
    kind = get_completion_class(shell)
    assert kind is not None
    # The base class asks the bash on PATH for its version while printing; the script is the same.
    click.echo(kind(cli, {}, "tokentide", "_TOKENTIDE_COMPLETE").source())
