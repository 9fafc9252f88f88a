"""`amends completion`: a script that lets a shell complete verbs and options.

Rules: the script asks `amends` itself, in the way that typer's completion answers; so it knows what the help knows.
It does not: install anything.
"""

from enum import StrEnum
from typing import Annotated, Final

import typer

VARIABLE: Final = "_AMENDS_COMPLETE"
"""What the scripts set, so that `amends` completes instead of doing something."""
SCRIPTS: Final = {
    "bash": f"""\
_amends_completion() {{
    local IFS=$'\\n'
    COMPREPLY=( $(env COMP_WORDS="${{COMP_WORDS[*]}}" COMP_CWORD="$COMP_CWORD" {VARIABLE}=complete_bash "$1") )
}}
complete -o default -F _amends_completion amends
""",
    "zsh": f"""\
#compdef amends
_amends_completion() {{
    eval $(env _TYPER_COMPLETE_ARGS="${{words[1,$CURRENT]}}" {VARIABLE}=complete_zsh amends)
}}
compdef _amends_completion amends
""",
    "fish": f"""\
function __amends_complete
    env {VARIABLE}=complete_fish _TYPER_COMPLETE_FISH_ACTION=$argv[1] \\
        _TYPER_COMPLETE_ARGS=(commandline -cp) amends
end
complete --command amends --no-files --arguments '(__amends_complete get-args)' --condition '__amends_complete is-args'
""",
}


class Shell(StrEnum):
    """The shells that there is a script for."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> int:
    """Print a script that completes amends in a shell."""
    print(SCRIPTS[shell.value], end="")
    return 0
