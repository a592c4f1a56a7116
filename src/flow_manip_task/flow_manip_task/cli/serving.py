# SPDX-License-Identifier: Apache-2.0
"""`flow_manip serve`: backends for `remote` clients, in a process or on a machine of their own."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
import os
from pathlib import Path
import signal
from typing import Any

from flow_manip_core.config import load_yaml
from flow_manip_core.errors import ConfigurationError
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_core.wire import TOKEN
from flow_manip_world_model.server import HostConfig, ModelHost

PORT = 8110


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `serve` takes."""
    parser.add_argument(
        'kinds',
        nargs='*',
        metavar='KIND=BACKEND',
        help='e.g. depth=depth_anything track=cotracker video=wan; all kinds of --config if none',
    )
    parser.add_argument(
        '--config', type=Path, metavar='YAML', help='parameters by kind, as config/server.yaml'
    )
    parser.add_argument(
        '--host', default='127.0.0.1', help=f'address; others than loopback need ${TOKEN}'
    )
    parser.add_argument('--port', type=int, default=PORT, help=f'default: {PORT}; 0: a free one')
    parser.add_argument('--robot', default='franka')
    parser.add_argument('--rig', default='tabletop')
    parser.add_argument(
        '--max-waiting', type=int, default=4, metavar='N', help='requests per kind that may wait'
    )
    parser.set_defaults(run=serve)


def serve(options: argparse.Namespace) -> int:
    """Load the backends, answer until told to stop.

    Raises:
        ConfigurationError, BackendError: as `ModelHost` says.
    """
    context = Context(load_robot(options.robot), load_rig(options.rig))
    host = ModelHost(
        parameters_of(options.kinds, options.config),
        context,
        HostConfig(max_waiting=options.max_waiting),
        on_loading=lambda kind, backend: print(f'loading {kind}: {backend}', flush=True),
    )
    with host.listen(options.host, options.port, os.environ.get(TOKEN, '')) as server:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        print(f'serving {", ".join(host.kinds)} at {server.url}', flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print('stopped')
    return 0


def parameters_of(kinds: list[str], config: Path | None) -> dict[str, dict[str, Any]]:
    """Return parameters by kind: the file's, of the kinds and with the backends that were named.

    Raises:
        ConfigurationError: a kind has no backend, or the file cannot be read.
    """
    known: Mapping[str, Any] = load_yaml(config) if config else {}
    if not kinds:
        return {kind: dict(values) for kind, values in known.items()}
    parameters = {}
    for text in kinds:
        kind, _, backend = text.partition('=')
        values = dict(known.get(kind, {})) | ({'backend': backend} if backend else {})
        if not values.get('backend'):
            raise ConfigurationError(f"'{text}': say which backend, e.g. depth=depth_anything")
        parameters[kind] = values
    return parameters
