"""Flask, Django and Celery, each broken in one way: red for just that. FastAPI's are in test_verify_apps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.verifying import copied, prove

if TYPE_CHECKING:
    from pathlib import Path

DSN = 'dsn=os.environ.get("SENTRY_DSN")'
ANSWER = "        return self.get_response(request)\n"
SILENT = """
    def process_exception(self, request, exception):
        from django.http import JsonResponse
        return JsonResponse({}, status=500)
"""
#: (the application, the file, the old text, the new one), what is red then and why.
BROKEN: dict[str, tuple[tuple[str, str, str, str], dict[str, str]]] = {
    "flask: an empty DSN": (("flask", "shop.py", DSN, 'dsn=""'), {"init": "no-dsn"}),
    "flask: a handler for everything": (
        ("flask", "shop.py", "@app.errorhandler(OutOfStock)\ndef out_of_stock(error):\n    sentry_sdk.capture_exception(error)\n",
         "@app.errorhandler(Exception)\ndef out_of_stock(error):\n"),
        {"error": "not-captured"},
    ),
    "flask: no integrations": (
        ("flask", "shop.py", "    before_send=scrub,\n", "    before_send=scrub,\n    default_integrations=False,\n"),
        {"error": "no-integration"},
    ),
    "django: an empty DSN": (("django", "site_/settings.py", DSN, 'dsn=""'), {"init": "no-dsn"}),
    "django: middleware that answers for everything": (
        ("django", "site_/middleware.py", ANSWER, ANSWER + SILENT),
        {"error": "not-captured"},
    ),
    "django: another environment": (
        ("django", "site_/settings.py", 'os.environ.get("SENTRY_ENVIRONMENT")', '"production"'),
        {"environment": "wrong-environment"},
    ),
    "django: bodies and headers": (
        ("django", "site_/settings.py", "    before_send=scrub,\n    before_send_transaction=scrub,\n", ""), {"no-pii": "leak"},
    ),
    "celery: an empty DSN": (("celery", "tasks.py", DSN, 'dsn=""'), {"init": "no-dsn"}),
    "celery: no init": (
        ("celery", "tasks.py", "sentry_sdk.init(", "dict("), {"init": "no-init"},
    ),
    "celery: a release that is a constant": (
        ("celery", "tasks.py", 'os.environ.get("SENTRY_RELEASE")', '"latest"'), {"release": "no-release"},
    ),
    # Without its own integration the log of Celery brings the error: only without any is it lost.
    "celery: no integrations": (
        ("celery", "tasks.py", f"    {DSN},\n", f"    {DSN},\n    default_integrations=False,\n"),
        {"error": "no-integration"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", BROKEN)
def test_an_application_that_is_broken_in_one_way_is_red_for_just_that(how: str, tmp_path: Path) -> None:
    (name, path, old, new), wanted = BROKEN[how]
    found = prove(copied(name, tmp_path, {path: (old, new)}))
    problems = [item.problem for item in found.proofs.values() if item.problem]
    assert {proof: reason for proof, reason in found.red.items() if proof in wanted} == wanted, (found.red, problems)
    assert set(found.red) - {"handled-error"} <= set(wanted), (found.red, problems)
