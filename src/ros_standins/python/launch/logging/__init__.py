# SPDX-License-Identifier: Apache-2.0
"""Where a launch writes: screen, main log file, and files of single processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
import datetime
import logging
from logging import getLogger
import os
import pathlib
import socket
from typing import Any, ClassVar, Optional, Union

from . import handlers

__all__ = [
    'get_logger',
    'get_output_loggers',
    'getLogger',
    'handlers',
    'launch_config',
    'LaunchConfig',
    'LaunchLogger',
    'log_launch_config',
    'reset',
]

_DEFAULT_FORMAT = '[{levelname}] [{name}]: {message}'
_TIMED_FORMAT = '{created:.7f} [{levelname}] [{name}]: {message}'
_PLAIN_FORMAT = '{message}'
_TIMED_PLAIN_FORMAT = '{created:.7f} {message}'


def _get_logging_directory() -> str:
    """Returns $ROS_LOG_DIR, else $ROS_HOME/log, else ~/.ros/log."""
    chosen = os.environ.get('ROS_LOG_DIR')
    if not chosen:
        home = os.environ.get('ROS_HOME') or '~/.ros'
        chosen = f'{home}/log'
    return str(pathlib.Path(chosen).expanduser())


def _make_unique_log_dir(*, base_path: str) -> str:
    """Creates a folder of this launch's own below ``base_path`` and returns its path."""
    while True:
        now = datetime.datetime.now()
        stamp = now.strftime('%Y-%m-%d-%H-%M-%S-%f')
        path = pathlib.Path(base_path, f'{stamp}-{socket.gethostname()}-{os.getpid()}')
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        _point_latest_to(path)
        return str(path)


def _point_latest_to(path: pathlib.Path) -> None:
    link = path.with_name('latest')
    temporary = link.with_name(f'.latest-{os.getpid()}')
    try:
        if link.exists() and not link.is_symlink():
            return
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(path.name, target_is_directory=True)
        temporary.replace(link)
    except OSError:
        # The link is a convenience; file systems without links do without it.
        temporary.unlink(missing_ok=True)


class LaunchConfig:
    """What is logged, in which format, and to where."""

    def __init__(self) -> None:
        """Starts with the defaults."""
        self.reset()

    def reset(self) -> None:
        """Goes back to the defaults; log files that are open are closed."""
        for handler in getattr(self, 'file_handlers', {}).values():
            handler.close()
        self._log_dir: Optional[str] = None
        self.file_handlers: dict[str, logging.Handler] = {}
        self.screen_handler: Optional[Any] = None
        self.screen_formatter: Optional[logging.Formatter] = None
        self.file_formatter: Optional[logging.Formatter] = None
        self.log_handler_factory: Callable[..., logging.Handler] = lambda path, encoding=None: (
            handlers.FileHandler(path, encoding=encoding)
        )
        self._plain_screen: Optional[logging.Formatter] = None
        self._plain_file: Optional[logging.Formatter] = None
        self.set_screen_format(os.environ.get('OVERRIDE_LAUNCH_SCREEN_FORMAT', 'default'))
        self.set_log_format(os.environ.get('OVERRIDE_LAUNCH_LOG_FORMAT', 'default'))
        self.level = logging.INFO

    @property
    def level(self) -> int:
        """The level below which nothing is logged."""
        return logging.root.level

    @level.setter
    def level(self, new_level: Union[int, str]) -> None:
        logging.root.setLevel(new_level)

    @property
    def log_dir(self) -> str:
        """The folder of this launch's log files, made at the first use."""
        if self._log_dir is None:
            self._log_dir = _make_unique_log_dir(base_path=_get_logging_directory())
        return self._log_dir

    @log_dir.setter
    def log_dir(self, new_log_dir: Optional[str]) -> None:
        if self.file_handlers:
            import warnings

            warnings.warn('log files are open already: they stay in the old folder', stacklevel=2)
        if new_log_dir is not None and not pathlib.Path(new_log_dir).is_dir():
            raise ValueError(f'{new_log_dir} is not a directory')
        self._log_dir = new_log_dir

    def set_screen_format(
        self,
        screen_format: str,
        *,
        screen_style: Optional[str] = None,
        date_format: Optional[str] = None,
    ) -> None:
        """Sets the format of the screen.

        Args:
            screen_format: 'default', 'default_with_timestamp' or a format of ``logging``.
            screen_style: Style of a custom format, '{' by default.
            date_format: Format of a custom format's dates.

        Raises:
            ValueError: A style was given for one of the named formats.
        """
        named = {
            'default': (_DEFAULT_FORMAT, _PLAIN_FORMAT),
            'default_with_timestamp': (_TIMED_FORMAT, _TIMED_PLAIN_FORMAT),
        }
        self.screen_formatter, self._plain_screen = _formatters(
            screen_format, named, screen_style, date_format
        )
        if self.screen_handler is not None:
            self.screen_handler.setFormatter(self.screen_formatter)

    def set_log_format(
        self,
        log_format: str,
        *,
        log_style: Optional[str] = None,
        date_format: Optional[str] = None,
    ) -> None:
        """Sets the format of the main log file.

        Args:
            log_format: 'default' or a format of ``logging``.
            log_style: Style of a custom format, '{' by default.
            date_format: Format of a custom format's dates.

        Raises:
            ValueError: A style was given for the named format.
        """
        named = {'default': (_TIMED_FORMAT, _TIMED_PLAIN_FORMAT)}
        self.file_formatter, self._plain_file = _formatters(
            log_format, named, log_style, date_format
        )
        for handler in self.file_handlers.values():
            handler.setFormatter(self.file_formatter)

    def get_log_file_path(self, file_name: str = 'launch.log') -> str:
        """Returns the path of a log file."""
        return str(pathlib.PurePath(self.log_dir, file_name))

    def get_log_file_handler(self, file_name: str = 'launch.log') -> logging.Handler:
        """Returns the handler of a log file; the same one at every call."""
        handler = self.file_handlers.get(file_name)
        if handler is None:
            path = self.get_log_file_path(file_name)
            handler = self.file_handlers[file_name] = self.log_handler_factory(
                path, encoding='utf-8'
            )
            handler.setFormatter(self.file_formatter)
        return handler

    def get_screen_handler(self) -> logging.Handler:
        """Returns the handler of the screen; the same one at every call."""
        if self.screen_handler is None:
            self.screen_handler = handlers.ScreenHandler()
            self.screen_handler.setFormatter(self.screen_formatter)
        return self.screen_handler


def _formatters(
    wanted: str,
    named: dict[str, tuple[str, str]],
    style: Optional[str],
    date_format: Optional[str],
) -> tuple[logging.Formatter, logging.Formatter]:
    """Returns the formatters of the launch's own lines and of its processes' lines."""
    if wanted not in named:
        formatter = logging.Formatter(wanted, date_format, style=style or '{')
        return formatter, formatter
    if style is not None:
        raise ValueError(f"a custom style '{style}' cannot be used with the '{wanted}' format")
    own, plain = named[wanted]
    return logging.Formatter(own, style='{'), logging.Formatter(plain, style='{')


class LaunchLogger(logging.getLoggerClass()):
    """A logger that is known to :func:`reset`."""

    all_loggers: ClassVar[list[logging.Logger]] = []


launch_config = LaunchConfig()


def log_launch_config(*, logger: logging.Logger = logging.root) -> None:
    """Logs where the log files are and what is logged."""
    logger.info(f'All log files can be found below {launch_config.log_dir}')
    logger.info(f'Default logging verbosity is set to {logging.getLevelName(launch_config.level)}')


def get_logger(name: Optional[str] = None) -> logging.Logger:
    """Returns a logger, or the root one, that writes to screen and main log file."""
    if name is None:
        logger = logging.root
    else:
        logger = _get_bare_logger(name)
        # Its own handlers do what the root's would do a second time.
        logger.propagate = False
    logger.addHandler(launch_config.get_screen_handler())
    logger.addHandler(launch_config.get_log_file_handler())
    return logger


def _get_bare_logger(name: str) -> logging.Logger:
    before = logging.getLoggerClass()
    logging.setLoggerClass(LaunchLogger)
    try:
        logger = logging.getLogger(name)
    finally:
        logging.setLoggerClass(before)
    if logger not in LaunchLogger.all_loggers:
        LaunchLogger.all_loggers.append(logger)
    return logger


_ALIASES: dict[str, dict[str, set[str]]] = {
    'screen': {'both': {'screen'}},
    'log': {'both': {'log'}, 'stderr': {'screen'}},
    'both': {'both': {'log', 'screen'}},
    'own_log': {'both': {'own_log'}, 'stdout': {'own_log'}, 'stderr': {'own_log'}},
    'full': {
        'both': {'screen', 'log', 'own_log'},
        'stdout': {'own_log'},
        'stderr': {'own_log'},
    },
}
_SOURCES = frozenset({'stdout', 'stderr', 'both'})
_DESTINATIONS = frozenset({'screen', 'log', 'own_log'})


def _normalize_output_configuration(
    config: Union[str, dict[str, Union[str, Iterable[str]]]],
) -> dict[str, set[str]]:
    normalized: dict[str, set[str]] = {source: set() for source in _SOURCES}
    if isinstance(config, str):
        if config not in _ALIASES:
            raise ValueError(f"'{config}' is not a valid standard output config: {set(_ALIASES)}")
        normalized.update({source: set(to) for source, to in _ALIASES[config].items()})
        return normalized
    if not isinstance(config, dict):
        raise ValueError(f"'{config}' is not a valid output configuration")
    for source, destinations in config.items():
        if source not in _SOURCES:
            raise ValueError(f"'{source}' is not a valid output source, but {set(_SOURCES)} are")
        wanted = {destinations} if isinstance(destinations, str) else set(destinations)
        if not wanted <= _DESTINATIONS:
            unknown = wanted - _DESTINATIONS
            raise ValueError(f"'{unknown}' are not valid destinations: {set(_DESTINATIONS)}")
        normalized[source] = wanted
    return normalized


def get_output_loggers(
    process_name: str, output_config: Union[str, dict[str, Any]]
) -> tuple[logging.Logger, logging.Logger]:
    """Returns the loggers of a process's standard output and standard error.

    Args:
        process_name: The process's unique name.
        output_config: 'screen', 'log', 'both', 'own_log' or 'full', or a dictionary from
            'stdout', 'stderr' and 'both' to 'screen', 'log' and 'own_log'.

    Raises:
        ValueError: The configuration is none of these.
    """
    config = _normalize_output_configuration(output_config)
    loggers = []
    for source in ('stdout', 'stderr'):
        logger = _get_bare_logger(f'{process_name}-{source}')
        logger.propagate = False
        # A logger may be there from an earlier process of this name.
        logger.handlers.clear()
        _attach(logger, config[source] | (config['both'] - {'own_log'}), f'{logger.name}.log')
        if 'own_log' in config['both']:
            _attach_own(logger, f'{process_name}.log')
        loggers.append(logger)
    return loggers[0], loggers[1]


def _attach(logger: logging.Logger, destinations: set[str], own_file: str) -> None:
    if 'screen' in destinations:
        screen = launch_config.get_screen_handler()
        handlers.set_formatter_for(screen, logger, launch_config._plain_screen)
        logger.addHandler(screen)
    if 'log' in destinations:
        main = launch_config.get_log_file_handler()
        handlers.set_formatter_for(main, logger, launch_config._plain_file)
        logger.addHandler(main)
    if 'own_log' in destinations:
        _attach_own(logger, own_file)


def _attach_own(logger: logging.Logger, file_name: str) -> None:
    own = launch_config.get_log_file_handler(file_name)
    own.setFormatter(logging.Formatter(_PLAIN_FORMAT, style='{'))
    logger.addHandler(own)


def reset() -> None:
    """Puts the logging of launches back to its defaults and takes its handlers away."""
    ours = {id(handler) for handler in launch_config.file_handlers.values()}
    ours.add(id(launch_config.screen_handler))
    for logger in (*LaunchLogger.all_loggers, logging.root):
        for handler in [handler for handler in logger.handlers if id(handler) in ours]:
            logger.removeHandler(handler)
        if logger is not logging.root:
            logger.setLevel(logging.NOTSET)
    LaunchLogger.all_loggers.clear()
    launch_config.reset()
