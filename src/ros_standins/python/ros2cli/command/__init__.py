# SPDX-License-Identifier: Apache-2.0
"""What a command is, and parsers that load a command only when it is chosen."""

import argparse
from collections.abc import Callable, Mapping
from importlib import import_module
import os
from typing import Any, ClassVar, NoReturn, Optional, Union

EXIT_REFUSED = 1


class CommandExtension:
    """One command of `ros2`; the first line of its docstring is its help."""

    NAME: Optional[str] = None

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the command's arguments to its parser."""

    def main(self, *, parser: argparse.ArgumentParser, args: argparse.Namespace) -> Any:
        """Run the command and return what `sys.exit` takes."""
        raise NotImplementedError


class VerbCommand(CommandExtension):
    """A command that is a family of verbs.

    Attributes:
        VERBS: verb -> (module:Class, the line in the help).
        FOREIGN_VERBS: verb -> the package of a full ROS 2 that has it.
    """

    VERBS: ClassVar[Mapping[str, tuple[str, str]]] = {}
    FOREIGN_VERBS: ClassVar[Mapping[str, str]] = {}

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add a parser for each verb."""
        self._subparser = parser
        parser.set_defaults(_verb=None)
        add_lazy_subparsers(parser, cli_name, '_verb', self.VERBS, self.FOREIGN_VERBS)

    def main(self, *, parser: argparse.ArgumentParser, args: argparse.Namespace) -> Any:
        """Run the verb, or print the help where none is given."""
        if args._verb is None:
            self._subparser.print_help()
            return 0
        return args._verb.main(args=args)


class LazyParser(argparse.ArgumentParser):
    """A parser that learns its arguments when it is first used."""

    def __init__(
        self,
        *args: Any,
        populate: Optional[Callable[[argparse.ArgumentParser], None]] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._populate = populate

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as usual, with the arguments added first."""
        self.populate()
        return super().parse_known_args(args, namespace)

    def populate(self) -> None:
        """Add the arguments, once."""
        populate, self._populate = self._populate, None
        if populate is not None:
            populate(self)


def add_lazy_subparsers(
    parser: argparse.ArgumentParser,
    cli_name: str,
    dest: str,
    table: Mapping[str, tuple[str, str]],
    foreign: Mapping[str, str],
) -> None:
    """Add a sub-parser for each entry of a table; its class is loaded when it is chosen.

    Args:
        parser: gets the sub-parsers.
        cli_name: the words that lead here, for usage lines.
        dest: the attribute of the arguments that gets the chosen extension.
        table: name -> (module:Class, help).
        foreign: name -> package, for what is refused with the name of the package that has it.
    """
    subparsers = parser.add_subparsers(
        title='Commands',
        metavar=f'Call `{cli_name} <command> -h` for more detailed usage.',
        parser_class=LazyParser,
        required=False,
    )
    for name, (path, help_text) in table.items():
        full_name = f'{cli_name} {name}'
        subparser = subparsers.add_parser(
            name,
            prog=full_name,
            help=help_text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            populate=_loader(path, full_name, dest),
        )
        if '_ARGCOMPLETE' in os.environ:
            # The completer looks at parsers before it uses them.
            subparser.populate()
    for name, package in foreign.items():
        subparsers.add_parser(
            name, add_help=False, populate=_refuser(f'{cli_name} {name}', package)
        )


def load(path: str) -> Any:
    """Return what `module:name` stands for."""
    module, _, name = path.partition(':')
    return getattr(import_module(module), name)


def refusal(what: str, package: str) -> str:
    """Say that something is not part of the stand-ins, and which package has it."""
    return (
        f"'{what}' is not part of this stand-in for the ros2 command line. The package "
        f"'{package}' of a full ROS 2 installation has it (apt: ros-jazzy-{_dashed(package)})"
    )


def _dashed(package: str) -> str:
    return package.replace('_', '-')


def _loader(path: str, full_name: str, dest: str) -> Callable[[argparse.ArgumentParser], None]:
    def populate(parser: argparse.ArgumentParser) -> None:
        extension = load(path)()
        parser.description = _summary(extension)
        parser.set_defaults(**{dest: extension})
        extension.add_arguments(parser, full_name)

    return populate


def _refuser(what: str, package: str) -> Callable[[argparse.ArgumentParser], NoReturn]:
    def populate(parser: argparse.ArgumentParser) -> NoReturn:
        parser.exit(EXIT_REFUSED, refusal(what, package) + '\n')

    return populate


def _summary(extension: Union[CommandExtension, Any]) -> str:
    return (extension.__doc__ or '').strip().splitlines()[0].rstrip('.')
