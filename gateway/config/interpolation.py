"""`${env:NAME}`, `${env:NAME:-default}` and `${file:PATH}` inside text values.

It never shows a value it fetched, and never looks for `${` in one: what the environment or a file says is data.
A default or a path may hold further interpolations; a default is only evaluated when it is needed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.config.document import is_encodable
from gateway.config.files import Files, Unreadable

# A key, a certificate chain or a password: 64 KiB is far above all of them and far below a wrong file.
FILE_LIMIT = 64 * 1024
# Two levels make sense (a path in a variable with a default); the limit bounds the recursion.
NESTING_LIMIT = 8
SHOWN_PATH = 120
SYNTAX = "write ${env:NAME}, ${env:NAME:-default} or ${file:PATH}, and $$ for a literal $"

_TOKEN = re.compile(r"\$\$|\$\{(?:env:|file:)?|[{}]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The text after interpolation. `fetched`: part of it is from the environment or a file. Problems: (what, hint)."""

    text: str = field(repr=False)
    fetched: bool
    problems: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Env:
    name: str
    default: "_Template | None"


@dataclass(frozen=True, slots=True)
class _File:
    path: "_Template"
    written: str


_Template = tuple["str | _Env | _File", ...]


def interpolate(text: str, environ: Mapping[str, str], folder: Path, files: Files) -> Outcome:
    """Replace every interpolation in `text`; relative paths start at `folder`, and `files` reads them."""
    if "$" not in text:
        return Outcome(text, fetched=False)
    try:
        template, _ = _parse(text, 0, 0)
    except _MalformedError as error:
        return Outcome("", fetched=False, problems=((error.what, error.hint),))
    return _Evaluator(environ, folder, files).outcome(template)


class _MalformedError(Exception):
    def __init__(self, what: str, hint: str = SYNTAX) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def _parse(text: str, start: int, level: int) -> tuple[_Template, int]:
    """Read up to the end of `text`, or inside braces (level > 0) to behind the closing one."""
    if level > NESTING_LIMIT:
        raise _MalformedError(f"${{...}} nested deeper than {NESTING_LIMIT} levels", "write it flatter")
    parts: list[str | _Env | _File] = []
    position = start
    while found := _TOKEN.search(text, position):
        parts.append(text[position : found.start()])
        position = found.end()
        mark = found[0]
        if mark == "$$":
            parts.append("$")
        elif mark == "${env:":
            part, position = _parse_env(text, position, level)
            parts.append(part)
        elif mark == "${file:":
            path, end = _parse(text, position, level + 1)
            parts.append(_File(path, text[position : end - 1]))
            position = end
        elif mark == "${":
            raise _MalformedError("unknown kind of ${...}")
        elif level == 0:
            parts.append(mark)
        elif mark == "}":
            return tuple(parts), position
        else:
            # A default that holds JSON would end at its first closing brace and leave the rest behind as text.
            raise _MalformedError("a { inside ${...}", "put text with braces in a variable or file of its own")
    if level > 0:
        raise _MalformedError("${ without its closing }")
    return (*parts, text[position:]), len(text)


def _parse_env(text: str, start: int, level: int) -> tuple[_Env, int]:
    name = _NAME.match(text, start)
    if name is None:
        raise _MalformedError("${env:...} without a proper name", "a name has letters, digits and _ only: ${env:NAME}")
    end = name.end()
    if text.startswith("}", end):
        return _Env(name[0], None), end + 1
    if text.startswith(":-", end):
        default, end = _parse(text, end + 2, level + 1)
        return _Env(name[0], default), end
    raise _MalformedError("${ without its closing }" if end == len(text) else "unknown form of ${env:...}")


class _Evaluator:
    def __init__(self, environ: Mapping[str, str], folder: Path, files: Files) -> None:
        self._environ = environ
        self._folder = folder
        self._files = files
        self._fetched = False
        self._problems: list[tuple[str, str]] = []

    def outcome(self, template: _Template) -> Outcome:
        text = self._text(template)
        return Outcome(text, self._fetched, tuple(self._problems))

    def _text(self, template: _Template) -> str:
        return "".join(self._part(part) for part in template)

    def _part(self, part: str | _Env | _File) -> str:
        match part:
            case str():
                return part
            case _Env():
                return self._env(part)
            case _File():
                return self._file(part)

    def _env(self, part: _Env) -> str:
        value = self._environ.get(part.name, "")
        if not value and part.default is not None:
            return self._text(part.default)
        if not value:
            hint = f"set it or write ${{env:{part.name}:-default}}"
            self._problems.append((f"environment variable {part.name} is not set", hint))
        elif not is_encodable(value):
            self._problems.append((f"environment variable {part.name} is not UTF-8 text", "set it to text"))
        self._fetched = True
        return value

    def _file(self, part: _File) -> str:
        before = len(self._problems)
        path = self._text(part.path)
        self._fetched = True
        if len(self._problems) > before:
            return ""
        try:
            text = self._files.contents(self._folder / path, FILE_LIMIT).decode()
            return text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")
        except Unreadable as error:
            # An empty path is the folder itself.
            reason = error.reason if path else "the path is empty"
        except UnicodeDecodeError:
            reason = "not UTF-8 text"
        # As written, not as evaluated: the path may itself come from the environment.
        shown = part.written if len(part.written) <= SHOWN_PATH else part.written[:SHOWN_PATH] + "..."
        hint = "give the path of a readable text file, relative to this YAML file"
        self._problems.append((f"cannot read the file {shown!r}: {reason}", hint))
        return ""
