"""Prints the path of a libclang that can read C with its own headers; exit code 1 when there is none.

Usage: find_libclang.py [FILE_OR_FOLDER]   (default: the places where distributions put it)
"""

import ctypes
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

SOURCE = "#include <stdarg.h>\n#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\nsize_t size;\n"
ERROR = 3  # CXDiagnostic_Error


def folders() -> Iterator[Path]:
    try:
        answer = subprocess.run(["llvm-config", "--libdir"], capture_output=True, text=True, check=True)
        yield Path(answer.stdout.strip())
    except (OSError, subprocess.CalledProcessError):
        pass
    versions = Path("/usr/lib").glob("llvm-*/lib")
    yield from sorted(versions, key=lambda path: [int(n) for n in re.findall(r"\d+", path.parent.name)], reverse=True)
    yield from sorted(Path("/usr/lib").glob("*-linux-gnu"))
    yield from map(Path, ("/usr/lib64", "/usr/lib", "/usr/local/lib"))


def libraries(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    # libclang-cpp is another library, with another interface.
    return sorted(path for path in place.glob("libclang*.so*") if re.match(r"libclang(-\d[\d.]*)?\.so", path.name))


def reads_c(library: Path) -> bool:
    try:
        clang = ctypes.CDLL(str(library))
        clang.clang_createIndex.restype = ctypes.c_void_p
        clang.clang_parseTranslationUnit.restype = ctypes.c_void_p
        clang.clang_getDiagnostic.restype = ctypes.c_void_p
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text(SOURCE)
            index = ctypes.c_void_p(clang.clang_createIndex(0, 0))
            unit = ctypes.c_void_p(
                clang.clang_parseTranslationUnit(index, str(source).encode(), None, 0, None, ctypes.c_uint(0), 0)
            )
        if not unit.value:
            return False
        diagnostics = (
            ctypes.c_void_p(clang.clang_getDiagnostic(unit, n)) for n in range(clang.clang_getNumDiagnostics(unit))
        )
        return all(clang.clang_getDiagnosticSeverity(diagnostic) < ERROR for diagnostic in diagnostics)
    except (OSError, AttributeError) as error:
        print(f"{library}: {error}", file=sys.stderr)
        return False


def main() -> int:
    for place in [Path(sys.argv[1])] if len(sys.argv) > 1 else folders():
        for library in libraries(place):
            if reads_c(library):
                print(library)
                return 0
            print(f"{library}: cannot read C with its own headers", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
