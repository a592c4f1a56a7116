# SPDX-License-Identifier: Apache-2.0
"""The commands of `ros2`: where each one is, and which ones other packages have."""

# Name -> (module:Class, the line in the help). Nothing is imported until it is chosen.
COMMANDS = {
    'action': ('ros2action.command.action:ActionCommand', 'Various action related sub-commands'),
    'daemon': ('ros2cli.command.daemon:DaemonCommand', 'Various daemon related sub-commands'),
    'interface': (
        'ros2interface.command.interface:InterfaceCommand',
        'Show information about ROS interfaces',
    ),
    'launch': ('ros2launch.command.launch:LaunchCommand', 'Run a launch file'),
    'lifecycle': (
        'ros2lifecycle.command.lifecycle:LifecycleCommand',
        'Various lifecycle related sub-commands',
    ),
    'node': ('ros2node.command.node:NodeCommand', 'Various node related sub-commands'),
    'param': ('ros2param.command.param:ParamCommand', 'Various param related sub-commands'),
    'pkg': ('ros2pkg.command.pkg:PkgCommand', 'Various package related sub-commands'),
    'run': ('ros2run.command.run:RunCommand', 'Run a package specific executable'),
    'service': (
        'ros2service.command.service:ServiceCommand',
        'Various service related sub-commands',
    ),
    'topic': ('ros2topic.command.topic:TopicCommand', 'Various topic related sub-commands'),
}

# Name -> the package of a full ROS 2 that has it.
FOREIGN_COMMANDS = {
    'bag': 'ros2bag',
    'component': 'ros2component',
    'control': 'ros2controlcli',
    'doctor': 'ros2doctor',
    'extension_points': 'ros2cli',
    'extensions': 'ros2cli',
    'multicast': 'ros2multicast',
    'plugin': 'ros2plugin',
    'security': 'sros2',
    'test': 'ros2test',
    'trace': 'ros2trace',
    'wtf': 'ros2doctor',
}
