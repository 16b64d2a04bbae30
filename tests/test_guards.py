"""Guards of the DSN in Python: what stands between a real DSN and ``sentry_sdk.init``."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING
from urllib.parse import urlparse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentry_audit.facts import Component, DsnGuard, SdkInit
from sentry_audit.guard import SAMPLES, judge, pattern
from sentry_audit.python.analysis import Code
from sentry_audit.python.components import Service
from sentry_audit.python.evaluation import Evaluator
from sentry_audit.python.program import Program
from sentry_audit.python.results import OPEN, Frame, Known, Raised, Result
from sentry_audit.python.values import Resolver, Scope
from tests.trees import FASTAPI, SDK, Texts, audit, findings, message, statuses

if TYPE_CHECKING:
    from pathlib import Path

    from sentry_audit.facts import Fact

HEAD = """\
import os, re, sys
import logging
from urllib.parse import urlparse, urlsplit
import sentry_sdk
from sentry_sdk.utils import BadDsn, Dsn
dsn = os.getenv("SENTRY_DSN")
ENV = os.getenv("APP_ENV", "development")
PLACEHOLDERS = ["changeme", "YOUR_DSN", "example.com"]
HOSTS = ("o450.ingest.sentry.io", "sentry.io")
REAL = re.compile(r"^https://\\w+@[\\w.]+/\\d+$", re.I)
OLD = re.compile(r"^https://\\w+@sentry\\.io/\\d+$")
"""
HELPERS = """\
def is_valid(value: str | None) -> bool:
    if not value or not isinstance(value, str):
        return False
    if any(word in value for word in PLACEHOLDERS):
        return False
    return value.startswith("https://")

def is_old(value, host="@sentry.io"):
    value = value.strip()
    return value.startswith("https://") and host in value

def looks_fake(value):
    for word in PLACEHOLDERS:
        if word in value:
            return True
    return False

def parses(value):
    try:
        Dsn(value)
    except BadDsn:
        return False
    return True

def by_host(value):
    try:
        parsed = urlparse(value)
        if parsed.scheme not in {"http", "https"}:
            raise ValueError("scheme")
        key, _, host = parsed.netloc.partition("@")
        return bool(key) and host == "sentry.io"
    except ValueError:
        return False

def by_length(value):
    match value.count("@"):
        case 0:
            return False
        case 1:
            return len(value) > 20
        case _:
            return False
"""


def facts(files: dict[str, str]) -> list[Fact]:
    """What the analysis says of the component that ``main.py`` starts."""
    found = Program(Texts(files))
    service = Service(Component(name="shop", path="."), entries=("main.py",))
    return Code(found, (), [service]).analyse(service, "staging").facts


def verdict(files: dict[str, str]) -> str:
    """What the check would say: skipped without a guard."""
    guards = [fact for fact in facts(files) if isinstance(fact, DsnGuard)]
    if any(not fact.keeps_real for fact in guards):
        return "gap"
    return "unknown" if any(fact.unknown for fact in guards) else "pass" if guards else "skipped"


def program(condition: str, wrap: str = "if {}:\n    sentry_sdk.init(dsn=dsn)\n") -> dict[str, str]:
    code = HEAD + HELPERS + wrap.format(condition) + FASTAPI
    return {"requirements.txt": SDK, "main.py": code}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("dsn", "skipped"),
        ("dsn is not None and ENV != 'test'", "skipped"),
        ("dsn and '@sentry.io' in dsn", "gap"),
        ("dsn and 'sentry.io' in dsn", "pass"),
        ("dsn and 'YOUR_DSN' not in dsn", "pass"),
        ("dsn and dsn.startswith('https://')", "pass"),
        ("dsn and dsn.startswith(('http://', 'https://')) and not dsn.endswith('.io')", "pass"),
        ("dsn and dsn.endswith('sentry.io')", "gap"),
        ("dsn and dsn.strip().lower().find('@sentry.io') != -1", "gap"),
        ("dsn and dsn.index('@sentry.io') > 0", "gap"),
        ("dsn and dsn.count('@') == 1", "pass"),
        ("dsn and len(dsn) > 20 and '...' not in dsn", "pass"),
        ("dsn and len(dsn) < 40", "gap"),
        ("dsn and dsn[:8] == 'https://'", "pass"),
        ("dsn and dsn[:5] == 'http:'", "gap"),
        ("dsn and re.match(r'https://.+@.+', dsn)", "pass"),
        ("dsn and re.fullmatch(r'https://[a-f0-9]+@sentry\\.io/[0-9]+', dsn)", "gap"),
        ("dsn and re.search(r'SENTRY\\.IO', dsn, re.IGNORECASE)", "pass"),
        ("dsn and re.search(r'SENTRY\\.IO', dsn)", "gap"),
        ("dsn and REAL.match(dsn)", "pass"),
        ("dsn and OLD.match(dsn)", "gap"),
        ("dsn and urlparse(dsn).scheme == 'https'", "pass"),
        ("dsn and urlparse(dsn).hostname == 'sentry.io'", "gap"),
        ("dsn and urlparse(dsn).hostname.endswith('.sentry.io')", "pass"),
        ("dsn and urlparse(dsn).hostname in HOSTS", "gap"),
        ("dsn and not any(word in dsn for word in PLACEHOLDERS)", "pass"),
        ("dsn and any(host in dsn for host in HOSTS)", "pass"),
        ("isinstance(dsn, str) and bool(dsn)", "skipped"),
        ("isinstance(dsn, str) and dsn.startswith('http')", "pass"),
        ("dsn not in ('', None, 'YOUR_DSN')", "pass"),
        ("dsn != 'https://public@sentry.example.com/1'", "pass"),
        ("dsn == 'on'", "gap"),
        ("is_valid(dsn)", "pass"),
        ("dsn and is_old(dsn)", "gap"),
        ("dsn and is_old(dsn, host='@')", "pass"),
        ("dsn and not looks_fake(dsn)", "pass"),
        ("dsn and parses(dsn)", "pass"),
        ("dsn and by_host(dsn)", "gap"),
        ("dsn and by_length(dsn)", "pass"),
        ("dsn and validators.url(dsn)", "unknown"),
        ("dsn and ENV == 'nowhere' and '@sentry.io' in dsn", "skipped"),
        ("dsn and (ENV == 'nowhere' or 'sentry.io' in dsn)", "pass"),
        ("len(dsn or '') > 10", "pass"),
        ("dsn if '@sentry.io' in dsn else None", "gap"),
    ],
)
def test_a_condition_is_asked_about_real_dsns(condition: str, expected: str) -> None:
    assert verdict(program(condition)) == expected
    [init] = [fact for fact in facts(program(condition)) if isinstance(fact, SdkInit)]
    if "nowhere" not in condition:
        assert init.enabled
        assert bool(init.unknown) is (expected == "unknown")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("if not dsn or '@sentry.io' not in dsn:\n    sys.exit('no')\nsentry_sdk.init(dsn=dsn)\n", "gap"),
        ("def start():\n    if not dsn:\n        return\n    elif '@sentry.io' not in dsn:\n        return\n    sentry_sdk.init(dsn)\nstart()\n", "gap"),  # noqa: E501
        ("def start():\n    for word in PLACEHOLDERS:\n        if word in dsn:\n            return\n    sentry_sdk.init(dsn)\nstart()\n", "pass"),  # noqa: E501
        ("def start():\n    for word in ('ingest',):\n        if word in dsn:\n            return\n    sentry_sdk.init(dsn)\nstart()\n", "gap"),  # noqa: E501
        ("assert '@sentry.io' in dsn\nsentry_sdk.init(dsn=dsn)\n", "gap"),
        ("OK = bool(\n    dsn\n    and len(dsn) > 20\n    and dsn.startswith('https://')\n)\nif OK:\n    sentry_sdk.init(dsn=dsn)\n", "pass"),  # noqa: E501
        ("host = urlparse(dsn).hostname\nif host == 'sentry.io':\n    sentry_sdk.init(dsn=dsn)\n", "gap"),
        ("scheme, rest = dsn.split('://', 1)\nif rest.endswith('@sentry.io'):\n    sentry_sdk.init(dsn=dsn)\n", "gap"),
        ("match is_old(dsn):\n    case True:\n        sentry_sdk.init(dsn=dsn)\n    case _:\n        pass\n", "gap"),
        ("match parses(dsn):\n    case False:\n        pass\n    case _:\n        sentry_sdk.init(dsn=dsn)\n", "pass"),
        ("def start(url):\n    if url.startswith('https://'):\n        sentry_sdk.init(dsn=url)\nstart(dsn)\n", "pass"),
        ("def start(url):\n    sentry_sdk.init(dsn=url)\nif '@sentry.io' in dsn:\n    start(dsn)\n", "gap"),
        ("def check(url):\n    if '@sentry.io' not in url:\n        raise ValueError(url)\ncheck(dsn)\nsentry_sdk.init(dsn=dsn)\n", "gap"),
        ("def start():\n    def good(url):\n        pattern = r'^https?://[^@]+@[\\w.-]+(?::\\d+)?/\\d+$'\n        return bool(re.match(pattern, url))\n    if dsn and good(dsn):\n        sentry_sdk.init(dsn=dsn)\nstart()\n", "pass"),  # noqa: E501
        ("def start():\n    parts = dsn.replace('https://', '').split('@')\n    if len(parts) != 2 or not parts[1].startswith('o'):\n        return\n    sentry_sdk.init(dsn=dsn)\nstart()\n", "pass"),  # noqa: E501
        ("parsed = urlsplit(dsn.strip())\nif parsed.scheme == 'https' and parsed.username and parsed.path not in ('', '/'):\n    sentry_sdk.init(dsn=dsn)\n", "pass"),  # noqa: E501
        ("key = os.getenv('SENTRY_KEY')\nif key and key.startswith('x'):\n    sentry_sdk.init(dsn=dsn)\n", "skipped"),
        ("logging.info('dsn is %s', dsn)\nsentry_sdk.init(dsn=dsn)\n", "skipped"),
    ],
)  # fmt: skip
def test_every_form_of_a_guard(body: str, expected: str) -> None:
    assert verdict(program("", body)) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("URL = os.getenv('APP_DSN')\nsentry_sdk.init(dsn=URL if '@sentry.io' in URL else '')\n", "gap"),
        ("URL = os.getenv('APP_DSN')\nsentry_sdk.init(dsn=URL if 'sentry.io' in URL else None)\n", "pass"),
        ("URL = os.getenv('APP_DSN')\nif '@sentry.io' not in URL:\n    URL = ''\nsentry_sdk.init(dsn=URL)\n", "gap"),
        ("URL = os.getenv('APP_DSN')\nif URL and not URL.startswith('https'):\n    URL = None\nif URL:\n    sentry_sdk.init(dsn=URL)\n", "pass"),  # noqa: E501
        ("URL = fetch().text\nif not (URL.startswith('http') and '@sentry.io' in URL):\n    URL = None\nif URL is not None:\n    sentry_sdk.init(dsn=URL)\n", "gap"),  # noqa: E501
        # given None, the SDK reads SENTRY_DSN by itself
        ("sentry_sdk.init(dsn=dsn if '@sentry.io' in dsn else None)\n", "skipped"),
    ],
)  # fmt: skip
def test_an_argument_that_is_empty_for_real_dsns(body: str, expected: str) -> None:
    assert verdict(program("", body)) == expected


SETTINGS = """\
import re
from typing import Annotated
import sentry_sdk
from pydantic import AfterValidator, Field, field_validator, model_validator, validator
from pydantic_settings import BaseSettings

def only_old(value):
    if value and "@sentry.io" not in value:
        raise ValueError("no DSN")
    return value

class Settings(BaseSettings):
    other: str = "x"
    sentry_dsn: {} = None
{}
settings = Settings()
if settings.sentry_dsn:
    sentry_sdk.init(dsn=settings.sentry_dsn)
"""
RAISES = "        if v and '@sentry.io' not in v:\n            raise ValueError('no DSN')\n        return v\n"


@pytest.mark.parametrize(
    ("annotation", "body", "expected"),
    [
        ("str | None", "", "skipped"),
        ("str | None", "@field_validator('sentry_dsn', mode='before')\n    @classmethod\n    def blank(cls, v):\n        return None if v == '' else v\n", "skipped"),  # noqa: E501
        ("str | None", "@validator('sentry_dsn', pre=True)\n    def blank(cls, v):\n        if len(v) == 0:\n            return None\n        return v\n", "pass"),  # noqa: E501
        ("str | None", "@field_validator('sentry_dsn')\n    @classmethod\n    def real(cls, v):\n" + RAISES, "gap"),
        ("str | None", "@field_validator('other')\n    @classmethod\n    def real(cls, v):\n" + RAISES, "skipped"),
        ("str | None", "@field_validator('sentry_dsn')\n    @classmethod\n    def real(cls, v):\n        return v if v and v.startswith('https://') else None\n", "pass"),  # noqa: E501
        ("str | None", "@field_validator('sentry_dsn')\n    @classmethod\n    def real(cls, v):\n        return v if '@sentry.io' in v else None\n", "gap"),  # noqa: E501
        ("str | None", "@model_validator(mode='after')\n    def real(self):\n        if not self.other:\n            raise ValueError('other')\n        if self.sentry_dsn and not self.sentry_dsn.endswith('@sentry.io/1'):\n            raise ValueError('no DSN')\n        return self\n", "gap"),  # noqa: E501
        ("Annotated[str | None, AfterValidator(only_old)]", "", "gap"),
        ("Annotated[str | None, Field(pattern=r'^https://\\w+@sentry\\.io/')]", "", "gap"),
        ("Annotated[str | None, Field(pattern=r'^https://')]", "", "pass"),
        ("str | None", "@property\n    def has_sentry(self):\n        return bool(self.sentry_dsn) and '@sentry.io' in self.sentry_dsn\n", "skipped"),  # noqa: E501
    ],
)  # fmt: skip
def test_validators_of_the_settings_field(annotation: str, body: str, expected: str) -> None:
    code = SETTINGS.format(annotation, f"    {body}" if body else "")
    assert verdict({"main.py": code + FASTAPI}) == expected


def test_a_property_of_the_settings_is_followed(tmp_path: Path) -> None:
    body = "@property\n    def has_sentry(self):\n        return '@sentry.io' in self.sentry_dsn\n"
    code = SETTINGS.format("str", f"    {body}").replace("if settings.sentry_dsn:", "if settings.has_sentry:")
    report = audit(tmp_path, {"requirements.txt": SDK + "pydantic-settings\n", "main.py": code + FASTAPI})
    assert "settings.has_sentry keeps out the DSNs of sentry.io (US)" in message(report, "frontend-dsn-guard")


def test_the_gap_says_which_dsns_and_where(tmp_path: Path) -> None:
    report = audit(tmp_path, program("dsn and '@sentry.io' in dsn"))
    [finding] = findings(report, "frontend-dsn-guard")
    assert "keeps out the DSNs of sentry.io (US), sentry.io (EU), sentry.io (older), self-hosted" in finding.message
    assert finding.evidence[0].path == "main.py"


def test_an_undecided_guard_is_unknown_in_both_checks(tmp_path: Path) -> None:
    report = audit(tmp_path, program("dsn and check_remote(dsn.encode())"))
    assert "check_remote" in message(report, "frontend-dsn-guard")
    assert statuses(report, "frontend-dsn-guard") == statuses(report, "backend-init-enabled") == {"unknown"}


def test_a_pattern_that_may_never_end_is_not_tried() -> None:
    assert pattern(r"(\w+)+@sentry\.io") is None
    assert pattern(r"(") is None
    assert pattern(r"^https://(\w+\.)+io") is not None


# --- the evaluator against Python itself ---------------------------------------------------------

MODULE = 'import os, re\nfrom urllib.parse import urlparse\ndsn = os.environ["SENTRY_DSN"]\n'
PIECES = st.sampled_from(["", "@", "https://", "sentry.io", "@sentry.io", ".ingest.", "/7", "acme", "a", "ZZ"]).map(
    repr
)
NUMBERS = st.integers(-3, 60).map(str)
TEXTS = st.recursive(
    st.just("dsn"),
    lambda text: st.one_of(
        st.builds("{}.strip()".format, text),
        st.builds("{}.upper()".format, text),
        st.builds("{}[{}:]".format, text, NUMBERS),
        st.builds("{}[:{}]".format, text, NUMBERS),
        st.builds("{}.replace({}, {})".format, text, PIECES, PIECES),
        st.builds("{}.split({})[-1]".format, text, PIECES),
        st.builds("{}.partition({})[2]".format, text, PIECES),
        st.builds("(urlparse({}).hostname or '')".format, text),
        st.builds("urlparse({}).scheme".format, text),
        st.builds("f'{{{}}}x'".format, st.just("dsn")),
        st.builds("({} or {})".format, text, PIECES),
    ),
    max_leaves=4,
)
TERMS = st.one_of(
    st.builds("{} in {}".format, PIECES, TEXTS),
    st.builds("{} not in {}".format, PIECES, TEXTS),
    st.builds("{}.startswith({})".format, TEXTS, PIECES),
    st.builds("{}.endswith(({}, {}))".format, TEXTS, PIECES, PIECES),
    st.builds("{}.find({}) > {}".format, TEXTS, PIECES, NUMBERS),
    st.builds("{}.index({}) >= 0".format, TEXTS, PIECES),
    st.builds("0 < {}.count({}) < 3".format, TEXTS, PIECES),
    st.builds("len({}) > {}".format, TEXTS, NUMBERS),
    st.builds("{} == {}".format, TEXTS, TEXTS),
    st.builds(
        "re.search(r'^https://\\w+@{}', {}) is not None".format, st.sampled_from(["[a-z.]+", "sentry", r"\w+/"]), TEXTS
    ),
    st.builds("re.match({}, {}, re.I)".format, st.sampled_from(["'HTTPS'", "'o'", "'.*io'"]), TEXTS),
    st.builds("any(x in {} for x in [{}, {}])".format, TEXTS, PIECES, PIECES),
    st.builds("all(c.isalnum() for c in {} if c != {})".format, TEXTS, PIECES),
    st.builds("isinstance({}, (str, int))".format, TEXTS),
    st.builds("bool({})".format, TEXTS),
)
GUARDS = st.recursive(
    TERMS,
    lambda term: st.one_of(
        st.builds("({} and {})".format, term, term),
        st.builds("({} or {})".format, term, term),
        st.builds("(not {})".format, term),
        st.builds("({} if {} else {})".format, term, term, term),
    ),
    max_leaves=4,
)


def python(guard: str, dsn: str) -> object:
    try:
        return bool(eval(guard, {"dsn": dsn, "re": re, "urlparse": urlparse}))
    except (ValueError, LookupError, TypeError) as error:
        return type(error).__name__


def ours(guard: str, dsn: str, head: str = MODULE) -> object:
    program = Program(Texts({"main.py": f"{head}if {guard}:\n    pass\n"}))
    module = program.module("main.py")
    assert module is not None
    test = next(node.test for node in module.nodes if isinstance(node, ast.If))
    evaluator = Evaluator(Resolver(program), Known(frozenset({"SENTRY_DSN"})), Result(dsn, True))
    try:
        return evaluator.truth(test, Frame(Scope(module))).value
    except Raised as error:
        return str(error)


@settings(max_examples=40, deadline=None)
@given(GUARDS)
def test_the_evaluator_agrees_with_python(guard: str) -> None:
    for _, sample in SAMPLES:
        assert ours(guard, sample) == python(guard, sample), guard


@settings(max_examples=40, deadline=None)
@given(GUARDS)
def test_what_does_not_concern_the_dsn_never_keeps_it_out(guard: str) -> None:
    for _, sample in SAMPLES[:2]:
        plain = python(guard, sample)
        either = ours(f"({guard}) or FLAG", sample, MODULE + "FLAG = load()\n")
        both = ours(f"({guard}) and FLAG", sample, MODULE + "FLAG = load()\n")
        assert either == (OPEN if plain is False else plain)
        assert both == (OPEN if plain is True else plain)


def test_the_verdict_of_nothing_is_a_pass() -> None:
    assert judge(lambda _: True).fact("x", (), about=False) is None
