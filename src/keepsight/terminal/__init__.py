"""What every `keepsight` command shares.

commands.py   which commands there are
options.py    a command's options from a dataclass
progress.py   the progress bar
reporting.py  errors as one sentence and an exit code
"""

from keepsight.terminal.commands import Registrar, add_commands
from keepsight.terminal.options import command_from
from keepsight.terminal.progress import Display
from keepsight.terminal.reporting import FAILED, INTERRUPTED, WRONG_USE, Reporting

__all__ = [
    "FAILED",
    "INTERRUPTED",
    "WRONG_USE",
    "Display",
    "Registrar",
    "Reporting",
    "add_commands",
    "command_from",
]
