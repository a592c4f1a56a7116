# Source this: a shell with ros2, flow_manip and the workspace. Works in bash and zsh, on either ROS host.
if [ -n "${BASH_VERSION:-}" ]; then
  _flow_manip_root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
  _flow_manip_shell=bash
else
  _flow_manip_root=$(cd "$(dirname "${(%):-%x}")" && pwd)
  _flow_manip_shell=zsh
fi
if [ ! -f "$_flow_manip_root/install/.set_up" ]; then
  echo "the workspace is not set up yet: run 'make setup' in $_flow_manip_root" >&2
  return 1 2>/dev/null || exit 1
fi
if [ -f "/opt/ros/${ROS_DISTRO:-jazzy}/setup.$_flow_manip_shell" ]; then
  . "/opt/ros/${ROS_DISTRO:-jazzy}/setup.$_flow_manip_shell"
fi
. "$_flow_manip_root/.venv/bin/activate"
. "$_flow_manip_root/install/local_setup.$_flow_manip_shell"
if [ -z "${ROS_DISTRO:-}" ]; then
  # The ROS wheels keep their resources in the virtual environment.
  case ":${AMENT_PREFIX_PATH:-}:" in
    *":$VIRTUAL_ENV:"*) ;;
    *) export AMENT_PREFIX_PATH="${AMENT_PREFIX_PATH:+$AMENT_PREFIX_PATH:}$VIRTUAL_ENV" ;;
  esac
  export ROS_DISTRO=jazzy
fi
# The default transports of Fast DDS drop most camera images.
export FASTRTPS_DEFAULT_PROFILES_FILE="${FASTRTPS_DEFAULT_PROFILES_FILE:-$_flow_manip_root/config/fastdds.xml}"
export MUJOCO_GL="${MUJOCO_GL:-egl}"
unset _flow_manip_root _flow_manip_shell
