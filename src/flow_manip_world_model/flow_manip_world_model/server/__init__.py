# SPDX-License-Identifier: Apache-2.0
"""The model server: backends in a process of their own, for the `remote` backend of each stage.

    server = ModelHost({'track': {'backend': 'cotracker'}}, context).listen('127.0.0.1', 8110)
    server.serve_forever()

`flow_manip serve` does this from the shell.
"""

from flow_manip_world_model.server.http_server import HttpServer
from flow_manip_world_model.server.model_host import HostConfig, ModelHost

__all__ = ['HostConfig', 'HttpServer', 'ModelHost']
