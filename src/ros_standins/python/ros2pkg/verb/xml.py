# SPDX-License-Identifier: Apache-2.0
"""`ros2 pkg xml`."""

import argparse
from pathlib import Path
from typing import Optional
import xml.etree.ElementTree as ElementTree

from ros2pkg.api import get_prefix_path, package_name_completer
from ros2pkg.verb import VerbExtension


class XmlVerb(VerbExtension):
    """Output the XML of the package manifest or a specific tag."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        argument = parser.add_argument('package_name', help='The package name')
        argument.completer = package_name_completer
        parser.add_argument('-t', '--tag', help='The XML tag to output, e.g. version')

    def main(self, *, args: argparse.Namespace) -> Optional[str]:
        """Print the manifest, or the texts of one tag."""
        prefix = get_prefix_path(args.package_name)
        if prefix is None:
            return f"Package '{args.package_name}' not found"
        manifest = Path(prefix, 'share', args.package_name, 'package.xml')
        if not manifest.is_file():
            return f"Could not find package.xml of package '{args.package_name}' at '{manifest}'"
        text = manifest.read_text()
        if args.tag is None:
            print(text)
            return None
        found = ElementTree.fromstring(text).findall(args.tag)
        if not found:
            return f"No tag '{args.tag}' found in the package.xml of '{args.package_name}'"
        for element in found:
            print(element.text)
        return None
