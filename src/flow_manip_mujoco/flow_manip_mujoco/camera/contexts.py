# SPDX-License-Identifier: Apache-2.0
"""An off-screen OpenGL context: EGL, or OSMesa where EGL cannot start."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
import logging
import os
import subprocess
import sys
from typing import Protocol

from flow_manip_core.errors import BackendError

_PACKAGES = 'apt-get install libegl1 libgl1-mesa-dri libopengl0 (EGL) or libosmesa6 (OSMesa)'
_PROBE_TIMEOUT = 30.0  # [s]
_logger = logging.getLogger(__name__)

# Tries what MuJoCo's EGL context will do: initialise the display of any device.
_EGL_PROBE = """
import ctypes, sys
try:
    egl = ctypes.CDLL('libEGL.so.1')
except OSError as error:
    sys.exit(str(error))
egl.eglGetProcAddress.restype = ctypes.c_void_p
def function(name, result, *arguments):
    address = egl.eglGetProcAddress(name)
    if not address:
        sys.exit('libEGL lacks ' + name.decode())
    return ctypes.CFUNCTYPE(result, *arguments)(address)
integer, pointer = ctypes.c_int, ctypes.c_void_p
query = function(b'eglQueryDevicesEXT', integer, integer, pointer, pointer)
display_of = function(b'eglGetPlatformDisplayEXT', pointer, integer, pointer, pointer)
egl.eglInitialize.argtypes = [pointer, pointer, pointer]
devices, count = (pointer * 16)(), integer()
if not query(16, devices, ctypes.byref(count)):
    sys.exit('eglQueryDevicesEXT failed')
for device in devices[:count.value]:
    display = display_of(0x313F, device, None)
    if display and egl.eglInitialize(display, None, None):
        sys.exit(0)
sys.exit('none of %d devices has a display that starts' % count.value)
"""


class GLContext(Protocol):
    """What MuJoCo's context classes offer."""

    def make_current(self) -> None:
        """Bind the context to the calling thread."""

    def free(self) -> None:
        """Give it back."""


def create_context(width: int, height: int) -> GLContext:
    """Start an off-screen context of at least the given size, current on this thread.

    ``MUJOCO_GL`` (egl or osmesa) chooses one; without it EGL is tried first and its failure is
    logged before OSMesa is.

    Raises:
        BackendError: none works; the message has each cause and the packages that help.
    """
    chosen = os.environ.get('MUJOCO_GL', '').lower()
    platforms = [chosen] if chosen in ('egl', 'osmesa') else ['egl', 'osmesa']
    causes = []
    for platform in platforms:
        try:
            return _start(platform, width, height)
        except Exception as error:
            causes.append(f'{platform}: {type(error).__name__}: {error}')
            _logger.warning('off-screen rendering with %s', causes[-1])
            os.environ.pop('PYOPENGL_PLATFORM', None)
    raise BackendError(f'no off-screen rendering: {"; ".join(causes)}. Install {_PACKAGES}')


def _start(platform: str, width: int, height: int) -> GLContext:
    """Create one kind of context and make it current."""
    if platform == 'egl' and (cause := _probe_egl()):
        raise ImportError(cause)
    context = import_module(f'mujoco.{platform}').GLContext(width, height)
    context.make_current()
    return context


@lru_cache(maxsize=1)
def _probe_egl() -> str:
    """Say why EGL cannot start; '' if it can.

    In a child process: once a process has loaded libEGL, MuJoCo looks for OpenGL there and nowhere
    else, so OSMesa could not follow.
    """
    try:
        done = subprocess.run(
            [sys.executable, '-I', '-S', '-c', _EGL_PROBE],
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode < 0:
        return f'libEGL crashed with signal {-done.returncode}'
    return '' if done.returncode == 0 else done.stderr.strip() or 'EGL does not start'
