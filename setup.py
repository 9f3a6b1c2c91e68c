"""The packages of a wheel; everything else about it is in pyproject.toml.

`configs/` lies at the top of the project, where people read it, and is installed as a package of data, `lab/configs/`:
site-packages gets no folder of a name that any project might use.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["datamodules*", "lab*", "lightning_models*"]), "lab.configs"],
    package_dir={"lab.configs": "configs"},
)
