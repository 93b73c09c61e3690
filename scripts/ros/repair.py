"""Makes the ROS 2 wheels in this virtual environment usable for programs that are not Python.

Three repairs, each harmless to repeat. Run by scripts/setup with the Python of the environment.
"""

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy

PREFIX = Path(sys.prefix)


def replace_paths_of_the_build_machine() -> int:
    """CMake files of the message packages name the headers of the Python that the wheels were built with."""
    python, repaired = r"/opt/python/cp\d+-cp\d+", 0
    headers = [
        (re.compile(python + r"/lib/python3\.\d+/site-packages/numpy/_?core/include"), numpy.get_include()),
        (re.compile(python + r"/include/python3\.\d+"), sysconfig.get_path("include")),
    ]
    for path in PREFIX.glob("share/*/cmake/*.cmake"):
        old = text = path.read_text()
        for pattern, folder in headers:
            text = pattern.sub(lambda _, folder=folder: folder, text)
        if text != old:
            path.write_text(text)
            repaired += 1
    return repaired


def name_the_middleware() -> None:
    """The wheels have one middleware built in, without the library that chooses one; r2r links that library."""
    link = PREFIX / "lib" / "librmw_implementation.so"
    if not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to("librmw_fastrtps_cpp.so")


def drop_needless_python_libraries() -> int:
    """rcl's libraries ask for message libraries that need a Python around them, and use no symbol of them."""
    repaired = 0
    patchelf = PREFIX / "bin" / "patchelf"
    for path in sorted(PREFIX.glob("lib/librcl*.so")):
        if "__rosidl_" in path.name:
            continue
        needed = subprocess.run([patchelf, "--print-needed", path], check=True, capture_output=True, text=True)
        needless = [name for name in needed.stdout.split() if name.endswith("__rosidl_generator_py.so")]
        if needless:
            removals = [argument for name in needless for argument in ("--remove-needed", name)]
            # Into another file first: an interrupted patchelf would leave half a library.
            patched = path.with_suffix(".patched")
            subprocess.run([patchelf, *removals, "--output", patched, path], check=True)
            patched.replace(path)
            repaired += 1
    return repaired


def main() -> None:
    print(f"paths of the build machine replaced in {replace_paths_of_the_build_machine()} CMake files")
    name_the_middleware()
    print(f"needless Python libraries dropped from {drop_needless_python_libraries()} libraries")


if __name__ == "__main__":
    main()
