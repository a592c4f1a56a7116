# SPDX-License-Identifier: Apache-2.0
"""What the others need of a robot model, read from its URDF and SRDF."""

import xml.etree.ElementTree as ElementTree


class RobotModel:
    def __init__(self, urdf_xml, srdf_xml):
        robot, semantic = ElementTree.fromstring(urdf_xml), ElementTree.fromstring(srdf_xml)
        assert robot.get('name') == semantic.get('name'), 'the SRDF is for another robot'
        self._links = {link.get('name') for link in robot.findall('link')}
        children = {joint.find('child').get('link') for joint in robot.findall('joint')}
        (self._root,) = self._links - children
        moving = [j for j in robot.findall('joint') if j.get('type') != 'fixed']
        self._joints = [j.get('name') for j in moving if j.find('mimic') is None]
        self._groups = {
            group.get('name'): [joint.get('name') for joint in group.findall('joint')]
            for group in semantic.findall('group')
        }

    @property
    def model_frame(self):
        return self._root

    @property
    def joint_model_group_names(self):
        return list(self._groups)

    def has_joint_model_group(self, joint_model_group_name):
        return joint_model_group_name in self._groups
