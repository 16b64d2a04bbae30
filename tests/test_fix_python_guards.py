"""Guards in front of ``sentry_sdk.init`` that keep real DSNs out: what is left of them asks whether a DSN is set."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from sentry_audit.app import Request, check
from sentry_audit.model import Status
from sentry_audit.rehearsing import plan
from tests.test_guards import RAISES, SETTINGS, program
from tests.trees import FASTAPI, SDK, write

if TYPE_CHECKING:
    from pathlib import Path

BAD = {Status.GAP, Status.UNKNOWN, Status.ERROR}
URL = "URL = os.getenv('APP_DSN')\n"


def fixed(root: Path, files: dict[str, str], path: str = "main.py") -> tuple[list[str], list[str]]:
    """(the rows that went, the rows that came) of the file ``path``; the gap is closed, and no other opened."""
    write(root, files)
    request = Request(root=root, environments=("production",))
    before = {(item.check, item.component) for item in check(request)[0].findings if item.status in BAD}
    made = plan(request, ("frontend-dsn-guard",), repo=True, cloud=False, unproven=False, progress=None).plan
    assert made.steps, made.left
    written = {change.path: change.after or "" for step in made.steps for change in step.files}
    write(root, written)
    after = {(item.check, item.component) for item in check(request)[0].findings if item.status in BAD}
    assert not any(name == "frontend-dsn-guard" for name, _ in after)
    assert after <= before
    ast.parse(written[path])
    old, new = files[path].splitlines(), written[path].splitlines()
    return [row for row in old if row not in new], [row for row in new if row not in old]


def refused(root: Path, files: dict[str, str]) -> str:
    write(root, files)
    request = Request(root=root, environments=("production",))
    made = plan(request, ("frontend-dsn-guard",), repo=True, cloud=False, unproven=False, progress=None).plan
    assert not made.steps
    return made.left[0].reason


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("dsn and '@sentry.io' in dsn", "dsn"),
        ("'@sentry.io' in dsn", "dsn"),
        ("dsn and dsn.strip().lower().find('@sentry.io') != -1", "dsn"),
        ("dsn and len(dsn) < 40", "dsn"),
        ("dsn and OLD.match(dsn)", "dsn"),
        ("dsn and urlparse(dsn).hostname in HOSTS", "dsn"),
        ("dsn if '@sentry.io' in dsn else None", "dsn"),
        ("bool(dsn and '@sentry.io' in dsn)", "bool(dsn)"),
        ("ENV != 'test' and dsn and '@sentry.io' in dsn", "ENV != 'test' and dsn"),
        ("ENV != 'test' and '@sentry.io' in dsn", "ENV != 'test' and dsn"),
        ("'@sentry.io' in dsn and (ENV == 'x' or ENV != 'test')", "(ENV == 'x' or ENV != 'test') and dsn"),
        ("dsn and dsn.startswith('https://') and '@sentry.io' in dsn", "dsn and dsn.startswith('https://')"),
        ("not (not dsn or '@sentry.io' not in dsn)", "dsn"),
    ],
)
def test_the_condition_asks_only_whether_a_dsn_is_set(tmp_path: Path, condition: str, expected: str) -> None:
    gone, came = fixed(tmp_path, program(condition))
    assert gone == [f"if {condition}:"]
    assert came in ([f"if {expected}:"], [f"if not (not {expected}):"], [f"if not not {expected}:"])


@pytest.mark.parametrize(
    ("body", "gone", "came"),
    [
        ("if not dsn or '@sentry.io' not in dsn:\n    sys.exit('no')\nsentry_sdk.init(dsn=dsn)\n", 1, ["if not dsn:"]),
        ("def start():\n    if '@sentry.io' not in dsn:\n        return\n    sentry_sdk.init(dsn)\nstart()\n", 1, ["    if not dsn:"]),
        ("def start():\n    # Only real DSNs\n    if dsn and '@sentry.io' not in dsn:\n        return\n    sentry_sdk.init(dsn)\nstart()\n", 3, []),  # noqa: E501
        ("assert not dsn or '@sentry.io' in dsn\nsentry_sdk.init(dsn=dsn)\n", 1, []),
        ("OK = (\n    dsn\n    and '@sentry.io' in dsn\n)\nif OK:\n    sentry_sdk.init(dsn=dsn)\n", 4, ["OK = bool(dsn)"]),
        ("host = urlparse(dsn).hostname\nif host == 'sentry.io':\n    sentry_sdk.init(dsn=dsn)\n", 1, ["if dsn:"]),
        ("def start(url):\n    sentry_sdk.init(dsn=url)\nif '@sentry.io' in dsn:\n    start(dsn)\n", 1, ["if dsn:"]),
        ("def start(url):\n    if '@sentry.io' in url:\n        sentry_sdk.init(dsn=url)\nstart(dsn)\n", 1, ["    if url:"]),
        ("def check(url):\n    if '@sentry.io' not in url:\n        raise ValueError(url)\ncheck(dsn)\nsentry_sdk.init(dsn=dsn)\n", 1, ["    if not url:"]),  # noqa: E501
        ("if dsn and is_old(dsn):\n    sentry_sdk.init(dsn=dsn)\n", 1, []),  # such a row is there already
        ("if dsn and by_host(dsn):\n    sentry_sdk.init(dsn=dsn)\n", 1, ["        return bool(key)"]),
        (f"{URL}sentry_sdk.init(dsn=URL if '@sentry.io' in URL else '')\n", 1, ["sentry_sdk.init(dsn=URL)"]),
        (f"{URL}if '@sentry.io' not in URL:\n    URL = ''\nsentry_sdk.init(dsn=URL)\n", 2, []),
        ("URL = fetch().text\nif not (URL.startswith('http') and '@sentry.io' in URL):\n    URL = None\nif URL is not None:\n    sentry_sdk.init(dsn=URL)\n", 1, ["if not URL.startswith('http'):"]),  # noqa: E501
    ],
)  # fmt: skip
def test_every_form_of_a_guard_is_opened(tmp_path: Path, body: str, gone: int, came: list[str]) -> None:
    went, new = fixed(tmp_path, program("", body))
    assert (len(went), new) == (gone, came)


@pytest.mark.parametrize(
    ("annotation", "body", "rows"),
    [
        ("str | None", "@field_validator('sentry_dsn')\n    @classmethod\n    def real(cls, v):\n" + RAISES, 7),
        ("str | None", "@field_validator('sentry_dsn')\n    @classmethod\n    def real(cls, v):\n        return v if '@sentry.io' in v else None\n", 5),  # noqa: E501
        ("str | None", "@model_validator(mode='after')\n    def real(self):\n        if not self.other:\n            raise ValueError('other')\n        if self.sentry_dsn and not self.sentry_dsn.endswith('@sentry.io/1'):\n            raise ValueError('no DSN')\n        return self\n", 2),  # noqa: E501
        ("Annotated[str | None, AfterValidator(only_old)]", "", 2),
        ("Annotated[str | None, Field(pattern=r'^https://\\w+@sentry\\.io/')]", "", 1),
    ],
)  # fmt: skip
def test_validators_of_the_settings_field_let_real_dsns_through(
    tmp_path: Path, annotation: str, body: str, rows: int
) -> None:
    code = SETTINGS.format(annotation, f"    {body}" if body else "")
    gone, _ = fixed(tmp_path, {"requirements.txt": SDK + "pydantic-settings\n", "main.py": code + FASTAPI})
    assert len(gone) == rows


def test_a_validator_that_does_nothing_any_more_goes_with_its_import(tmp_path: Path) -> None:
    code = (
        "import sentry_sdk\nfrom pydantic import field_validator\nfrom pydantic_settings import BaseSettings\n\n\n"
        "class Settings(BaseSettings):\n    sentry_dsn: str | None = None\n\n"
        f"    @field_validator('sentry_dsn')\n    @classmethod\n    def real(cls, v):\n{RAISES}\n\n"
        "settings = Settings()\nif settings.sentry_dsn:\n    sentry_sdk.init(dsn=settings.sentry_dsn)\n"
    )
    fixed(tmp_path, {"requirements.txt": SDK + "pydantic-settings\n", "main.py": code + FASTAPI})
    assert (tmp_path / "main.py").read_text() == (
        "import sentry_sdk\nfrom pydantic_settings import BaseSettings\n\n\n"
        "class Settings(BaseSettings):\n    sentry_dsn: str | None = None\n\n\n"
        f"settings = Settings()\nif settings.sentry_dsn:\n    sentry_sdk.init(dsn=settings.sentry_dsn)\n{FASTAPI}"
    )


def test_a_property_of_the_settings_is_opened(tmp_path: Path) -> None:
    body = "@property\n    def has_sentry(self):\n        return '@sentry.io' in self.sentry_dsn\n"
    code = SETTINGS.format("str", f"    {body}").replace("if settings.sentry_dsn:", "if settings.has_sentry:")
    _, came = fixed(tmp_path, {"requirements.txt": SDK + "pydantic-settings\n", "main.py": code + FASTAPI})
    assert came == ["        return bool(self.sentry_dsn)"]


def test_a_match_statement_is_left_to_a_person(tmp_path: Path) -> None:
    body = "match is_old(dsn):\n    case True:\n        sentry_sdk.init(dsn=dsn)\n    case _:\n        pass\n"
    assert "part of a match statement" in refused(tmp_path, program("", body))


def test_a_guard_with_remarks_between_its_parts_is_left_to_a_person(tmp_path: Path) -> None:
    body = "if (\n    dsn  # set\n    and '@sentry.io' in dsn  # real\n):\n    sentry_sdk.init(dsn=dsn)\n"
    assert "remarks between its parts" in refused(tmp_path, program("", body))
