"""What pyproject.toml cannot say: an editable install puts the root of the checkout on the path, as a plain line.

By itself setuptools would import `prefbench` through a finder, since plug-ins lie beside the package and not in it. A
finder comes last: from the folder above a checkout that is called prefbench, Python would take that folder for the
package. `prefbench/__init__.py` finds the plug-ins.
"""

from setuptools import setup
from setuptools.command.editable_wheel import editable_wheel


class EditableByPath(editable_wheel):
    """Leaves out what is mapped from elsewhere: then the layout is simple enough for setuptools to write a path."""

    def finalize_options(self) -> None:
        mapped = self.distribution.package_dir
        self.distribution.packages = [name for name in self.distribution.packages if name not in mapped]
        self.distribution.package_dir = {"": "."}
        super().finalize_options()


setup(cmdclass={"editable_wheel": EditableByPath})
