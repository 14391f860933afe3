"""The ``scdiffuse`` command.

`_app` lists the commands; each command is a function in the file of its name, and its parameters are its options.
Options that several commands share are in `_options`. `_where`, `_guidance` and `_settings` read the words that a user
types. A command calls the public Python API and shows the result (`_messages`, `_report`). Errors of the API appear in
the words of the command line (`_arguments`, `_errors`). `_launch` runs one command in several processes.
"""

from scdiffuse.cli._app import main, run

__all__ = ["main", "run"]
