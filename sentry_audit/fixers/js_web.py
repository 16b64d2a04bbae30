"""What the fixers of front ends share: the front end of a case as trees, edits by position, the style of a project."""

from __future__ import annotations

import re
from collections import Counter
from posixpath import dirname, join
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sentry_audit.fixing import Change, Edit, Refusal
from sentry_audit.javascript.analysis import Analysis
from sentry_audit.javascript.names import COMPONENTS, SUFFIXES
from sentry_audit.javascript.packages import discover
from sentry_audit.javascript.syntax import Source, options_object, string_of, text_of, walk
from sentry_audit.javascript.variables import PREFIXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sentry_audit.facts import Fact
    from sentry_audit.fixing import Case, Fixer
    from sentry_audit.javascript.inits import Init

_INDENT = re.compile(r"^(\t+| +)(?=\S)", re.MULTILINE)
_ENDS = re.compile(r"[\w)\]'\"`](;?)[ \t]*\r?$", re.MULTILINE)
_IMPORTS = re.compile(r"""^(?:import\b|export\b[^\n]*\bfrom\b|\} from\b)[^\n]*["'](;?)[ \t]*\r?$""", re.MULTILINE)
_FROM = re.compile(r"""(?:from|import|require\()\s*(["'])""")
_ENOUGH = 40


class NotClear(Exception):  # noqa: N818 - leaves an edit from any depth, with why it is left to a person
    """A mechanical edit is not clearly right; ``commands`` is what a person can paste."""

    def __init__(self, reason: str, *commands: str) -> None:
        super().__init__(reason)
        self.commands = commands

    @property
    def refusal(self) -> Refusal:
        """What is answered in place of a change."""
        return Refusal(reason=str(self), commands=self.commands)


def refusing(make: Callable[[Case], Change]) -> Fixer:
    """A fixer of what makes a change, or raises NotClear."""

    def fixer(case: Case) -> Change | Refusal:
        try:
            return make(case)
        except NotClear as error:
            return error.refusal

    fixer.__doc__ = make.__doc__
    return fixer


class Style(Struct, frozen=True):
    """How a file, or a project, is written."""

    quote: str = '"'
    semicolon: str = ";"
    indent: str = "  "
    end: str = "\n"

    @classmethod
    def of(cls, *texts: str) -> Style:
        """The style of most lines of ``texts``."""
        whole = "\n".join(texts)
        quotes = Counter(_FROM.findall(whole)) or Counter(re.findall(r"""["']""", whole))
        rows = Counter(match[1] for match in _ENDS.finditer(whole))
        imports = Counter(match[1] for match in _IMPORTS.finditer(whole))
        bare = imports[""] > imports[";"] if imports else rows[""] > 1 and rows[""] > rows[";"] * 99
        rungs = Counter(match[1] for match in _INDENT.finditer(whole))
        ends = sum("\r\n" in text for text in texts) * 2 > len(texts)
        return cls(
            quote="'" if quotes["'"] > quotes['"'] else '"',
            semicolon="" if bare else ";",
            indent=_unit(rungs),
            end="\r\n" if ends else "\n",
        )

    def quoted(self, text: str) -> str:
        """A string of the language."""
        return f"{self.quote}{text}{self.quote}"

    def written(self, text: str) -> str:
        """``text``, which is written with double quotes, semicolons and two blanks, in this style."""
        rows = []
        for row in text.split("\n"):
            body = row.lstrip(" ")
            depth = (len(row) - len(body)) // 2
            if not self.semicolon and body.endswith(";"):
                body = body[:-1]
            jsx = body.startswith("<")
            rows.append(self.indent * depth + (body if jsx or self.quote == '"' else body.replace('"', self.quote)))
        return self.end.join(rows)


def _unit(rungs: Counter[str]) -> str:
    """One step of indentation; two blanks where every step is a multiple of two."""
    tabs = sum(count for blanks, count in rungs.items() if blanks.startswith("\t"))
    twos = sum(count for blanks, count in rungs.items() if len(blanks) % 4 == 2)
    fours = sum(count for blanks, count in rungs.items() if len(blanks) == 4)
    if tabs > twos + fours:
        return "\t"
    return "    " if fours > twos * 4 else "  "


class Patch:
    """Edits of one parsed file, by the positions of its nodes; all else stays byte for byte."""

    def __init__(self, source: Source) -> None:
        if source.path.endswith(COMPONENTS):
            raise NotClear(f"{source.path} is a single-file component: its script is left to you")
        self.source = source
        self.bytes = source.text.encode()
        self.style = Style.of(source.text)
        self._parts: list[tuple[int, int, bytes]] = []

    def insert(self, at: int, text: str) -> None:
        """Put ``text`` at a position in bytes."""
        self._parts.append((at, at, text.encode()))

    def replace(self, node: Any, text: str) -> None:
        """Put ``text`` in the place of a node."""
        self._parts.append((node.start_byte, node.end_byte, text.encode()))

    def replace_range(self, start: int, end: int, text: str) -> None:
        """Put ``text`` in the place of bytes."""
        self._parts.append((start, end, text.encode()))

    def cut(self, start: int, end: int) -> None:
        """Take bytes out."""
        self._parts.append((start, end, b""))

    def quoted(self, text: str, near: Any) -> str:
        """A string in the quotes of those in ``near``, where they agree, else in those of the file."""
        quotes = {text_of(node)[0] for node in walk(near) if node.type == "string"}
        if len(quotes) != 1:
            return self.style.quoted(text)
        quote = quotes.pop()
        return f"{quote}{text}{quote}"

    def indent_of(self, node: Any) -> str:
        """The blanks in front of the line on which a node begins."""
        start = self.bytes.rfind(b"\n", 0, node.start_byte) + 1
        row = self.bytes[start : node.start_byte]
        return row[: len(row) - len(row.lstrip())].decode()

    def edit(self) -> Edit:
        """The whole file after the edits. Raises NotClear if it would not parse."""
        after = self.bytes
        ordered = sorted(self._parts, key=lambda part: (part[0], part[1]))
        for start, end, given in reversed(ordered):
            after = after[:start] + given + after[end:]
        text = after.decode()
        if (line := Source(self.source.path, text).error_line()) is not None:
            raise NotClear(f"line {line} of {self.source.path} would not parse after the edit")
        return Edit(self.source.path, text)


def analysis_of(case: Case) -> Analysis:
    """The front end of a case, read once per state of the files. Raises NotClear for a component that is none."""
    name = case.component.name

    def read() -> Analysis | None:
        found, _ = discover(case.files)
        frontend = next((item for item in found if item.fact.path == case.component.path), None)
        if frontend is None:
            return None
        analysis = Analysis(case.files, frontend)
        analysis.facts()
        return analysis

    analysis = case.program.remember(("front end", name), read) if case.component.ecosystem == "npm" else None
    if analysis is None:
        raise NotClear(f"{name} is no front end")
    return analysis


def bad_of(case: Case) -> list[Fact]:
    """The facts of this finding: a check may have several."""
    return [fact for fact in case.bad if fact.evidence == case.finding.evidence] or list(case.bad)


def package_of(analysis: Analysis) -> str:
    """The SDK that code may import. Raises NotClear where the front end depends on none."""
    if not analysis.package:
        raise NotClear(f"{analysis.frontend.manifest.path} has no Sentry SDK yet: nothing could be imported")
    return analysis.package


def parsed(analysis: Analysis, path: str) -> Source:
    """A file of the front end. Raises NotClear if it is not there or does not parse."""
    source = analysis.source(path)
    if source is None:
        raise NotClear(f"{path} could not be parsed")
    return source


def project_style(analysis: Analysis, near: str = "") -> Style:
    """How the project is written: the files beside ``near`` first, then all."""
    paths = [path for path in analysis.loading.code if path.endswith(SUFFIXES)]
    paths = [path for path in paths if analysis.frontend.within(path)]
    beside = [path for path in paths if dirname(path) == dirname(near)] if near else []
    texts = [analysis.files.text(path) or "" for path in [*beside, *paths][:_ENOUGH]]
    return Style.of(*[text for text in texts if "import" in text] or texts)


def is_typed(analysis: Analysis) -> bool:
    """Whether the front end is written in TypeScript."""
    return join(analysis.frontend.folder, "tsconfig.json") in analysis.files.paths or any(
        path.endswith((".ts", ".tsx")) and not path.endswith(".d.ts")
        for path in analysis.loading.code
        if analysis.frontend.within(path) and ".config." not in path
    )


def reads(analysis: Analysis, name: str) -> str:
    """How code that browsers load reads the variable ``name``, which is given its bundler's prefix.

    Raises NotClear for a bundler that has no prefix.
    """
    framework = analysis.frontend.framework
    if framework in {"nextjs", "cra", "gatsby", "vue"}:
        return f"process.env.{PREFIXES[framework][0]}{name}"
    if framework in {"vite", "remix", "sveltekit"}:
        known = next((item for item in analysis.variables.values() if item.evidence is not None), None)
        if known is not None and known.evidence is not None and "process.env" in known.evidence.saw:
            raise NotClear(
                f"{known.evidence} reads {known.name}, which the bundler is told of by its name: tell it of {name} too"
            )
        given = re.search(r"envPrefix\s*:\s*(\[[^\]]*\]|[\"'][^\"']*[\"'])", analysis.config("vite.config"))
        prefixes = re.findall(r"[\"']([A-Z_]+)[\"']", given[1]) if given else []
        usual = PREFIXES[framework][-1]  # SvelteKit's own is for $env, which fails where a variable is not set
        return f"import.meta.env.{usual if usual in prefixes or not prefixes else prefixes[0]}{name}"
    raise NotClear(f"how a {framework} front end reads a variable of its build is not known well enough to write it")


def init_at(analysis: Analysis, fact: Fact) -> Init:
    """The init that a fact speaks of. Raises NotClear if it was not found again."""
    places = {(item.path, item.line) for item in fact.evidence}
    inits = analysis.loaded or analysis.inits
    for item in (*inits, *(item for item, _ in analysis.served)):
        nodes = [item.call, item.given]
        rows = [(node.start_point[0] + 1, node.end_point[0] + 1) for node in nodes]
        lines = [line for path, line in places if path == item.source.path and line]
        if any(first <= line <= last for line in lines for first, last in rows):
            return item
    if len(inits) == 1 and not analysis.served:
        return inits[0]
    raise NotClear("the init that is meant was not found again")


def options_node(item: Init) -> Any:
    """The object that init is given. Raises NotClear if it is none."""
    node = options_object(item.call)
    if node is None:
        raise NotClear(f"the options of init at {item.evidence} are no object that could be edited")
    return node


def pair_of(node: Any, key: str) -> Any:
    """The entry ``key`` of an object: a pair, a shorthand or a method; None if it has none."""
    for child in node.named_children:
        name = child.child_by_field_name("key") or child.child_by_field_name("name") or child
        if child.type in {"pair", "shorthand_property_identifier", "method_definition"}:
            if text_of(name).strip("\"'") == key:
                return child
    return None


def add_entry(patch: Patch, node: Any, entry: str, after: str = "") -> None:
    """Add an entry to an object, behind ``after`` or at its end, as its other entries are set."""
    children = [child for child in node.named_children if child.type != "comment"]
    anchor = (pair_of(node, after) if after else None) or (children[-1] if children else None)
    if anchor is None:
        patch.insert(node.start_byte + 1, f" {entry} ")
        return
    lined = node.start_point[0] != anchor.start_point[0]
    gap = f"{patch.style.end}{patch.indent_of(anchor)}" if lined else " "
    comma = anchor.next_sibling if anchor.next_sibling is not None and anchor.next_sibling.type == "," else None
    last = comma or anchor
    remark = last.next_sibling
    if remark is not None and remark.type == "comment" and remark.start_point[0] == last.end_point[0]:
        last = remark  # what is said of an entry stays on its line
    if comma is None:
        patch.insert(anchor.end_byte, ",")
    patch.insert(
        last.end_byte, f"{gap}{entry}" + ("," if comma is not None and (lined or anchor != children[-1]) else "")
    )


def answered(summary: str, edits: Iterable[Edit], safety: str = "safe") -> Change:
    """A change of files; the same file is edited once."""
    return Change(summary=summary, safety=safety, edits=tuple(edits))


def folder_of_sources(analysis: Analysis) -> str:
    """Where Next.js looks for its files: ``src`` if the pages or the app are there, else the front end's folder."""
    folder = analysis.frontend.folder
    inner = join(folder, "src")
    starts = (f"{inner}/app/", f"{inner}/pages/")
    return inner if any(path.startswith(starts) for path in analysis.loading.code) else folder


def named(paths: Sequence[str]) -> str:
    """Paths in a sentence."""
    return paths[0] if len(paths) == 1 else f"{', '.join(paths[:-1])} and {paths[-1]}"


def module_of(node: Any) -> str:
    """The module of an import statement."""
    return string_of(node.child_by_field_name("source")) or ""
