"""The HTML report in a browser: readable in both themes, narrow and wide, by keyboard, on paper; and safe."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from sentry_audit.model import Evidence, Link, Remedy, Rule, Severity, Status, Waiver
from sentry_audit.reporters.base import RenderOptions
from sentry_audit.reporters.html_ import render
from tests.browser import chromium, needs_browser
from tests.test_reporters import finding, report, rich_report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from sentry_audit.model import Report

HOSTILE = """"><script>document.title='owned'</script><img src=x onerror="document.title='owned'">`"""


def full_report() -> Report:
    waiver = Waiver(
        reason="it moves <b>soon</b>", until="2027-01-31", owner="team-a", ticket="OPS-1", place=Evidence("w.yaml", 4)
    )
    rule = Rule(id="backend-gap", title="t", why="Because `x` is <dark>.", area="backend", severity=Severity.HIGH,
                refs=("https://docs.sentry.io/a?b=1&c=2", "javascript:alert(1)"), permissions=("run.services.get",))  # fmt: skip
    base = rich_report()
    waived = finding("backend-waived", Status.WAIVED, waiver=waiver, severity=Severity.LOW)
    hostile = finding(f"x{HOSTILE}", message=HOSTILE, component=HOSTILE, evidence=(Evidence(HOSTILE, 1, saw=HOSTILE),), hint=HOSTILE,
                      remedy=Remedy(HOSTILE, "safe", True, HOSTILE, f"--- a\n+++ b\n+{HOSTILE}\n"))  # fmt: skip
    return replace(base, findings=(*base.findings, waived, hostile), rules=(rule,), headline=HOSTILE)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [given["href"] or ""] if "href" in given else []
        assert not any(name.startswith("on") for name in given)
        if tag not in {"meta", "br", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_every_tag_is_closed_every_id_is_there_once_and_links_are_safe() -> None:
    tags = Tags()
    tags.feed(render([full_report(), replace(full_report(), environment="production")], RenderOptions()))
    assert tags.open == []
    assert len(tags.ids) - len(set(tags.ids)) == 0
    assert set(tags.links) == {"#main", "https://docs.sentry.io/a?b=1&c=2"}


def test_nothing_outside_the_file_is_asked_for() -> None:
    text = render([full_report()], RenderOptions())
    assert not re.search(r"<(link|img|iframe|script)[^>]* (src|href)=", text)
    assert "@import" not in text
    assert "url(" not in text


def test_the_order_and_words_of_a_report() -> None:
    text = render([full_report()], RenderOptions())
    heads = [
        "NOT READY",
        "The chain of api to Sentry",
        "Gaps (",
        "Not decided (",
        "that crashed",
        "Waived (",
        "Passed (",
        "Skipped (",
    ]
    places = [text.index(head) for head in heads]
    assert places == sorted(places)
    assert "it moves &lt;b&gt;soon&lt;/b&gt;" in text
    assert "Because <code>x</code> is &lt;dark&gt;." in text


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def address(tmp_path: Path) -> str:
    other = replace(report(finding("cloud-a", environment="production", link=Link.SECRET)), environment="production")
    file = tmp_path / "report.html"
    file.write_text(render([full_report(), other], RenderOptions()), encoding="utf-8")
    return file.as_uri()


def opened(browser: Browser, address: str, **context: Any) -> tuple[Page, list[str]]:
    page = browser.new_context(**context).new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(address)
    return page, wrong


@needs_browser
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_reads_well_in_both_themes_narrow_and_wide(browser: Browser, address: str, theme: Any, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page, wrong = opened(
        browser, address, color_scheme=theme, viewport={"width": width, "height": 800}, bypass_csp=True
    )
    page.locator("details.finding:visible").first.evaluate("item => { item.open = true }")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    results = Axe().run(page)
    assert [(item["id"], [node["html"] for node in item["nodes"]]) for item in results.response["violations"]] == []
    assert wrong == []
    page.context.close()


@needs_browser
def test_text_of_the_repository_never_runs(browser: Browser, address: str) -> None:
    page, wrong = opened(browser, address)
    page.locator("#open").click()
    assert page.title() == "sentry-audit: staging, production"
    assert page.locator("img").count() == 0
    assert wrong == []
    page.context.close()


def shown(page: Page) -> list[str]:
    return page.locator("details.finding:visible .id").all_inner_texts()


@needs_browser
def test_filters_work_by_keyboard_and_say_what_they_show(browser: Browser, address: str) -> None:
    page, _ = opened(browser, address)
    assert "backend-ok" not in shown(page)
    page.get_by_label("pass", exact=True).focus()
    page.keyboard.press("Space")
    assert "backend-ok" in shown(page)
    page.get_by_label("Component").select_option("worker")
    assert set(shown(page)) == {"backend-low", "backend-ok"}
    page.get_by_label("low", exact=True).uncheck()
    assert shown(page) == ["backend-ok"]
    assert page.locator("#shown").inner_text().startswith("1 of ")
    page.get_by_role("button", name="Reset").click()
    page.get_by_label("Environment").select_option("production")
    page.wait_for_function("document.querySelectorAll('details.finding:not([hidden])').length === 1")
    assert shown(page) == ["cloud-a"]
    page.get_by_label("Words").fill("nothing like it")
    assert shown(page) == []
    assert page.locator("section.findings:visible").count() == 0
    page.context.close()


@needs_browser
def test_a_finding_opens_by_keyboard_and_by_its_address(browser: Browser, address: str) -> None:
    page, _ = opened(browser, address)
    first = page.locator("details.finding:visible").first
    first.locator("summary").focus()
    page.keyboard.press("Enter")
    assert first.evaluate("item => item.open")
    hidden = page.locator("details.finding[data-status=pass]").first
    name = hidden.get_attribute("id")
    page.goto(f"{address}#{name}")
    page.wait_for_function("name => document.getElementById(name).open", arg=name)
    assert hidden.is_visible()
    page.context.close()


@needs_browser
def test_on_paper_everything_is_open_and_the_filters_are_gone(browser: Browser, address: str, tmp_path: Path) -> None:
    page, _ = opened(browser, address)
    page.emulate_media(media="print")
    assert not page.locator("form.filters").is_visible()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details.finding:visible").evaluate_all("items => items.every((item) => item.open)")
    page.pdf(path=tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    page.context.close()


@needs_browser
def test_without_scripts_everything_is_there(browser: Browser, address: str) -> None:
    page, _ = opened(browser, address, java_script_enabled=False)
    assert not page.locator("form.filters").is_visible()
    assert "backend-ok" in shown(page)
    page.context.close()
