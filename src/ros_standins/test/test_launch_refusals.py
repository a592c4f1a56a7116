# SPDX-License-Identifier: Apache-2.0
"""launch and launch_ros: what only the real packages offer is refused by their names."""

import subprocess
import sys

import pytest

pytest.importorskip('launch._stand_in')

from launch import LaunchContext
from launch.launch_description_sources import get_launch_description_from_any_launch_file
from launch.substitutions import PythonExpression


@pytest.mark.parametrize(
    ('statement', 'package'),
    [
        ('from launch.actions import ForEach', 'launch'),
        ('from launch.substitutions import StringJoinSubstitution', 'launch'),
        ('from launch_ros.actions import ComposableNodeContainer', 'launch_ros'),
        ('from launch_ros.descriptions import ComposableNode', 'launch_ros'),
    ],
)
def test_a_name_of_the_real_package_is_refused_with_its_name(statement, package):
    module, name = statement.split()[1], statement.split()[3]
    with pytest.raises(ImportError, match=f"real '{package}' package"):
        __import__(module, fromlist=[name])


@pytest.mark.parametrize(('ending', 'package'), [('xml', 'launch_xml'), ('yaml', 'launch_yaml')])
def test_other_formats_than_python_are_refused_with_their_package(tmp_path, ending, package):
    path = tmp_path / f'a.launch.{ending}'
    path.write_text('<launch/>')
    with pytest.raises(NotImplementedError, match=package):
        get_launch_description_from_any_launch_file(str(path))


@pytest.mark.parametrize(
    'expression',
    [
        '().__class__.__bases__[0].__subclasses__()',
        "'{0.__class__}'.format(1)",
        'lambda: 1',
        'str.__mro__',
        '(x := 1)',
    ],
)
def test_an_expression_that_reaches_for_more_is_refused(expression):
    with pytest.raises(NotImplementedError, match='PythonExpression'):
        PythonExpression([expression]).perform(LaunchContext())


@pytest.mark.parametrize('expression', ['__import__("os")', 'open("/etc/passwd")', 'eval("1")'])
def test_an_expression_knows_no_function_that_reaches_out(expression):
    with pytest.raises(NameError):
        PythonExpression([expression]).perform(LaunchContext())


def test_an_exponent_that_would_take_for_ever_is_refused():
    with pytest.raises(ValueError, match='exponent'):
        PythonExpression(['9 ** 9 ** 9']).perform(LaunchContext())


def test_neither_package_imports_rclpy_by_itself():
    code = "import sys, launch, launch_ros.actions; sys.exit('rclpy' in sys.modules)"
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0
