"""reStructuredText through docutils, which may not include files, run code or fetch anything."""

import re
from collections.abc import Iterator
from typing import Any, cast

from docutils import nodes
from docutils.frontend import get_default_settings
from docutils.parsers.rst import Directive, Parser, directives, roles
from docutils.parsers.rst.languages import en
from docutils.utils import new_document, unescape

from ingest.errors import Unreadable
from ingest.readers.text import decode_warned
from ingest.types import Draft, Extract, File

DIRECTIVE = re.compile(r"\.\.[ \t]+(?:\|[^|\n]{1,200}\|[ \t]+)?([A-Za-z][\w:.+-]{0,60}?)[ \t]?::")
ROLE = re.compile(r":([A-Za-z][\w:.+-]{0,60}?):`|`:([A-Za-z][\w:.+-]{0,60}?):")
WITH_TARGET = re.compile(r"(.*\S)\s*<[^<>]*>", re.DOTALL)

FROM_ELSEWHERE = ("include", "literalinclude", "raw")
SILENT_DIRECTIVES = frozenset(
    """contents currentmodule default-domain default-role highlight include index literalinclude
    meta module py:module py:currentmodule raw sectionauthor sectnum tabularcolumns target-notes
    toctree title automodule autoclass autofunction automethod""".split()
)
"""What shows no text of its own: it sets something, or fetches text from somewhere else."""
CODE_DIRECTIVES = ("code", "code-block", "sourcecode", "parsed-literal", "prompt", "highlight")
SETTINGS: dict[str, Any] = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "_disable_config": True,
    "report_level": 5,
    "halt_level": 5,
    "warning_stream": False,
    "syntax_highlight": "none",
    "line_length_limit": 1_000_000,
}
SILENT = (nodes.comment, nodes.substitution_definition, nodes.target, nodes.pending)
SILENT += (nodes.raw, nodes.image, nodes.meta, nodes.decoration)  # type: ignore[assignment]
AS_TYPED = (nodes.literal_block, nodes.doctest_block, nodes.math_block)
LINES = (nodes.paragraph, nodes.term, nodes.classifier, nodes.attribution, nodes.caption)
LINES += (nodes.rubric, nodes.subtitle, nodes.title)  # type: ignore[assignment]
DEEPEST = 6


def read(file: File) -> Extract:
    """Read reStructuredText; directives and roles of Sphinx and others keep their words."""
    text, warnings = decode_warned(file.data)
    _learn(text)
    settings = get_default_settings(Parser)
    for name, value in SETTINGS.items():
        setattr(settings, name, value)
    document = new_document("document", settings)
    try:
        Parser().parse(text, document)
        draft = Draft()
        _Writer(draft, document).add(document, 0)
    except RecursionError as problem:
        raise Unreadable("It is nested too deeply.") from problem
    missing = sum(name.lower() in FROM_ELSEWHERE for name in DIRECTIVE.findall(text))
    unread = [f"In {missing} places it takes text from other files, which is not read here."]
    return draft.finish("", warnings=warnings, unread=unread if missing else ())


class _Writer:
    """Adds what docutils made of a text to a draft."""

    def __init__(self, draft: Draft, document: nodes.document) -> None:
        self._draft = draft
        self._replaced = document.substitution_defs

    def add(self, parent: nodes.Node, depth: int) -> None:
        """Add the blocks below a node that stands so many sections deep."""
        for node in parent.children:
            if isinstance(node, SILENT):
                continue
            if isinstance(node, nodes.title) and isinstance(parent, nodes.section):
                self._draft.add(self._text(node), min(depth, DEEPEST))
            elif isinstance(node, AS_TYPED):
                self._draft.add(self._text(node).strip("\n"))
            elif isinstance(node, LINES):
                self._draft.add(_folded(self._text(node)))
            else:
                self._add_whole(node, depth)

    def _add_whole(self, node: nodes.Node, depth: int) -> None:
        """Add a node that is a block of its own kind, or only holds others."""
        if isinstance(node, nodes.line_block):
            self._draft.add(
                "\n".join(self._text(line).strip() for line in node.findall(nodes.line))
            )
        elif isinstance(node, nodes.row):
            self._draft.add(" | ".join(_folded(self._text(cell)) for cell in node.children))
        elif isinstance(node, nodes.field | nodes.option_list_item):
            self._add_pair(node, depth)
        elif isinstance(node, nodes.footnote | nodes.citation):
            self._add_note(node, depth)
        elif isinstance(node, nodes.system_message):
            for source in node.findall(nodes.literal_block):  # what docutils could not make out
                self._draft.add(source.astext())
        elif not isinstance(node, nodes.label):
            self._draft.tables += isinstance(node, nodes.table)
            self.add(node, depth + isinstance(node, nodes.section))

    def _add_pair(self, node: nodes.Node, depth: int) -> None:
        """Add a field or an option with what is said of it."""
        name, said = node.children[0], node.children[-1]
        if len(said.children) > 1:
            self._draft.add(_folded(self._text(name)))
            self.add(said, depth)
            return
        between = ": " if isinstance(node, nodes.field) else "  "
        self._draft.add(_folded(self._text(name)) + between + _folded(self._text(said)))

    def _add_note(self, node: nodes.Node, depth: int) -> None:
        """Add a footnote or citation behind its label."""
        label = next((_folded(n.astext()) for n in node.findall(nodes.label)), "")
        first = next((n for n in node.children if isinstance(n, nodes.paragraph)), None)
        words = _folded(self._text(first)) if first else ""
        self._draft.add(f"[{label}] {words}" if label else words)
        for rest in node.children:
            if rest is not first and not isinstance(rest, nodes.label):
                holder = nodes.container()
                holder.children = [rest]
                self.add(holder, depth)

    def _text(self, node: nodes.Node) -> str:
        return "".join(self._pieces(node))

    def _pieces(self, node: nodes.Node) -> Iterator[str]:
        if isinstance(node, nodes.Text):
            yield node.astext()
        elif isinstance(node, nodes.substitution_reference):
            defined = self._replaced.get(node.get("refname", ""), node)
            yield defined.astext()
        elif isinstance(node, nodes.footnote_reference | nodes.citation_reference):
            yield f"[{node.astext()}]" if node.astext() else ""
        elif not isinstance(node, SILENT) and not isinstance(node, nodes.system_message):
            for child in node.children:
                yield from self._pieces(child)
            if isinstance(node, nodes.Body | nodes.Part):
                yield " "


def _learn(text: str) -> None:
    """Make docutils take the directives and roles that it does not know for what they hold."""
    for name in {name.lower() for name in DIRECTIVE.findall(text)}:
        if name in SILENT_DIRECTIVES:
            directives.register_directive(name, _Silent)
        elif name in CODE_DIRECTIVES:
            directives.register_directive(name, _Code)
        elif name not in en.directives:
            directives.register_directive(name, _Unknown)
    for name in {(a or b).lower() for a, b in ROLE.findall(text)}:
        if name not in en.roles or name == "raw":
            roles.register_local_role(name, cast("Any", _words))  # its types are too narrow


class _AnyOption(dict[str, Any]):
    """An option table that knows every option, and takes it as it is."""

    def __missing__(self, name: str) -> Any:
        return directives.unchanged


class _Unknown(Directive):
    """A directive of another program: its arguments and its content are text."""

    optional_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = _AnyOption(caption=directives.unchanged)

    def run(self) -> list[nodes.Node]:
        """Return the text as paragraphs."""
        holder = nodes.container()
        for line in (self.options.get("caption"), *self.arguments):
            if line:
                inline, _ = self.state.inline_text(line, self.lineno)
                holder += nodes.paragraph(line, "", *inline)
        self.state.nested_parse(self.content, self.content_offset, holder)
        return [holder]


class _Code(_Unknown):
    """Code, which stays as it is typed."""

    def run(self) -> list[nodes.Node]:
        """Return the code under its caption."""
        caption = self.options.get("caption", "")
        code = "\n".join(self.content)
        return [nodes.caption(caption, caption), nodes.literal_block(code, code)]


class _Silent(_Unknown):
    """A directive that shows nothing."""

    def run(self) -> list[nodes.Node]:
        """Return nothing."""
        return []


def _words(
    _name: str, raw: str, text: str, *_place: object
) -> tuple[list[nodes.Node], list[nodes.Node]]:
    """Return the words of a role that only links or marks: “title <target>” shows its title."""
    words = unescape(text)
    titled = WITH_TARGET.fullmatch(words)
    shown = titled[1] if titled else words.rpartition(".")[2] if words[:1] == "~" else words
    return [nodes.inline(raw, shown.lstrip("!"))], []


def _folded(text: str) -> str:
    return " ".join(text.split())
