"""Our own source files, for tests of habits."""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def python_files(folder: str) -> list[Path]:
    """Return the Python files below a folder of the project, as paths from its root; installed packages left out."""
    found = (path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.py"))
    return sorted(path for path in found if not {"node_modules", "__pycache__"} & set(path.parts))
