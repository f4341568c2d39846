"""A Java program's classes as a JVM has them once they are loaded, kept so that JVMs after it need only map them.

That is most of the processor time of a start (JEP 350). A JVM leaves an archive that does not fit its jars.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.cluster.alone import alone


def mapping(archive: Path, run: Callable[[str], None]) -> str:
    """Return the option that maps the classes of ``archive``.

    Where there is none yet, ``run`` makes it: given another option, it runs the program until that has ended in order.
    """
    if not archive.exists():
        with alone(archive.with_suffix(".lock"), f"run that makes {archive.name}"):
            if not archive.exists():
                half = archive.with_suffix(".half")
                half.unlink(missing_ok=True)
                run(f"-XX:ArchiveClassesAtExit={half}")
                half.rename(archive)
    return f"-XX:SharedArchiveFile={archive}"
