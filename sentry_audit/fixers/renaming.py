"""What gives a front end's build a variable, under another name: dotenv files, the Dockerfile, what builds the image."""

from __future__ import annotations

import re
from posixpath import basename, dirname
from typing import TYPE_CHECKING

from sentry_audit.deployment.workflows import is_workflow
from sentry_audit.fixers.bundles import builds, images
from sentry_audit.fixers.definitions import edits
from sentry_audit.fixers.passing import pass_to
from sentry_audit.fixers.texts import row_end, row_start
from sentry_audit.fixing import Edit, Refusal

if TYPE_CHECKING:
    from sentry_audit.facts import Deployment
    from sentry_audit.fixers.definitions import Placed
    from sentry_audit.fixers.spelling import Spelling
    from sentry_audit.fixing import Case


def dotenv(case: Case, path: str, old: str, new: str, *, kept: bool) -> Edit | None:
    """The front end's dotenv file with ``new`` in the place of ``old``, or beside it (``kept``); None for another file.

    Both bundlers with a prefix of their own expand ``$NAME`` (dotenv-expand), so a value stands there once.
    """
    if not basename(path).startswith(".env") or dirname(path) != case.component.folder:
        return None
    text = case.files.text(path) or ""
    row = re.compile(rf"(?m)^(?P<lead>[ \t]*(?:export[ \t]+)?){re.escape(old)}(?P<is>[ \t]*=)(?P<value>[^\r\n]*)")
    if not kept:
        return Edit(path, row.sub(rf"\g<lead>{new}\g<is>\g<value>", text))
    if re.search(rf"(?m)^[ \t]*(?:export[ \t]+)?{re.escape(new)}[ \t]*=", text):
        return None

    def beside(match: re.Match[str]) -> str:
        value = f"${old}" if match["value"].strip(" \t\"'") else ""
        return f"{match[0]}{line_end}{match['lead']}{new}{match['is']}{value}"

    line_end = "\r\n" if "\r\n" in text else "\n"
    return Edit(path, row.sub(beside, text))


def renamed(case: Case, old: str, new: str) -> tuple[Edit, ...] | Refusal:
    """The Dockerfiles that bundle the front end, and what builds it, with ``new`` in the place of ``old``.

    A step of a pipeline, whose variable other steps may read too, is given ``new`` beside it.
    """
    placed: Placed = []
    whole: list[Edit] = []
    word = re.compile(rf"(?<![\w$]){re.escape(old)}(?!\w)|(?<=\$){re.escape(old)}(?!\w)")
    for image in images(case):
        text = case.files.text(image.path) or ""
        if old in image.args or old in dict(image.env):
            whole.append(Edit(image.path, word.sub(new, text)))
    for item in builds(case):
        setting = next((one for one in item.settings if one.name == old and one.sort != "mount"), None)
        if setting is None or any(one.name == new for one in item.settings):
            continue
        if item.resource == "bundle":
            more = pass_to(case, item, new, lambda spelling, _: _same(spelling, old))
        else:
            more = _key(case, item, setting.line or item.line or 1, old, new)
        if isinstance(more, Refusal):
            return more
        placed += more
    return (*whole, *(edits(case, placed)))


def _same(spelling: Spelling, old: str) -> str:
    """The value of the old variable, where both are given to one step."""
    return f"${{{{ env.{old} }}}}" if is_workflow(spelling.deployment.path) else f"${old}"


def _key(case: Case, item: Deployment, line: int, old: str, new: str) -> Placed | Refusal:
    """The name of a build argument, put in front of what it is given."""
    text = case.files.text(item.path) or ""
    match = re.compile(rf"(?<![\w$.{{/:]){re.escape(old)}(?=\s*[=:])").search(text, row_start(text, line))
    if match is None or match.start() > row_end(text, row_start(text, line) + 4000):
        return Refusal(reason=f"{item.path}:{line} gives the build {old} in a way that was not followed")
    # The old name is part of the new one in all but rare cases: what is put in front of it makes it the new one.
    if new.endswith(old):
        return [(item.path, (match.start(), new.removesuffix(old)))]
    return Refusal(reason=f"{item.path}:{line} gives the build {old}: give it {new}")
