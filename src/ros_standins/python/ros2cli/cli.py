# SPDX-License-Identifier: Apache-2.0
"""The entry point of `ros2`."""

import argparse
from collections.abc import Sequence
import os
import signal
import sys
from typing import Any, Optional, Union

from ros2cli.command import add_lazy_subparsers
from ros2cli.command.table import COMMANDS, FOREIGN_COMMANDS

BROKEN_PIPE = 128 + signal.SIGPIPE


def main(
    *,
    script_name: str = 'ros2',
    argv: Optional[Sequence[str]] = None,
    description: Optional[str] = None,
    extension: Any = None,
) -> Union[int, str, None]:
    """Run one command.

    Args:
        script_name: the name in usage lines.
        argv: the arguments after the script's name; None takes the process's.
        description: the text of the help; None takes the usual one.
        extension: a command to run in place of the one that `argv` names.

    Returns:
        What `sys.exit` takes: None or 0 is success, a text is an error to print.
    """
    parser = _create_parser(script_name, description, extension)
    _complete(parser)
    args = parser.parse_args(args=argv)
    if not args.use_python_default_buffering:
        _buffer_by_line()
    command = extension or args._command
    if command is None:
        parser.print_help()
        return 0
    return _run(command, parser, args)


def _create_parser(
    script_name: str, description: Optional[str], extension: Any
) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=script_name,
        description=description or f'{script_name} is an extensible command-line tool for ROS 2.',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--use-python-default-buffering',
        action='store_true',
        help="use Python's buffering in place of writing every line at once",
    )
    parser.set_defaults(_command=None)
    if extension is not None:
        extension.add_arguments(parser, script_name)
    else:
        add_lazy_subparsers(parser, script_name, '_command', COMMANDS, FOREIGN_COMMANDS)
    return parser


def _run(
    command: Any, parser: argparse.ArgumentParser, args: argparse.Namespace
) -> Union[int, str, None]:
    try:
        return command.main(parser=parser, args=args)
    except KeyboardInterrupt:
        return int(signal.SIGINT)
    except RuntimeError as error:
        return str(error)
    except BrokenPipeError:
        # The reader has left (`ros2 topic echo | head`); Python would complain at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:
        if _is_shutdown(error):
            return int(signal.SIGTERM)
        raise


def _is_shutdown(error: Exception) -> bool:
    """Tell whether rclpy was stopped from outside; it is only loaded by commands that use it."""
    executors = sys.modules.get('rclpy.executors')
    return executors is not None and isinstance(error, executors.ExternalShutdownException)


def _buffer_by_line() -> None:
    """Let every line out at once, also into a pipe."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):
            stream.reconfigure(line_buffering=True)


def _complete(parser: argparse.ArgumentParser) -> None:
    """Answer the shell where it asks for completions."""
    if '_ARGCOMPLETE' in os.environ:
        from argcomplete import autocomplete

        autocomplete(parser, exclude=['-h', '--help'])
