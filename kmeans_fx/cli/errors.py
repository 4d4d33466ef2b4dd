"""What the user of the command line can mend."""

import click


class BadInputError(click.ClickException):
    """One sentence on stderr, and exit code 2."""

    exit_code = 2
