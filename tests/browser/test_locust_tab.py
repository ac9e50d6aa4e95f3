"""Locust's web UI as a person uses it: fill in the form, watch the tab, see the verdict, open the report."""

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from tests.integration.locust_process import Page, locust, until

pytestmark = pytest.mark.integration

THEME = "return document.getElementById('loadproof').contentDocument.documentElement.dataset.theme"


@pytest.fixture
def page(browser):
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    browser.set_window_size(1400, 1400)
    yield browser
    browser.switch_to.default_content()


def wait_for(browser, what, seconds=120):
    return WebDriverWait(browser, seconds, ignored_exceptions=[Exception]).until(what)


def fill_in(browser, name, text):
    field = wait_for(browser, lambda b: b.find_element(By.NAME, name))
    wait_for(browser, lambda _: field.is_displayed() and field.is_enabled())
    if field.tag_name == "select":
        Select(field).select_by_visible_text(text)
        return
    field.clear()
    field.send_keys(text)


def begins(browser, pages):
    """Whether Locust begins at a click: Chromium drops it where a container comes or goes on this machine."""
    browser.find_element(By.CSS_SELECTOR, "button[type=submit]").click()
    return until(lambda: pages.stats()["state"] != "ready", seconds=10)


def texts(browser, selector):
    return [element.text for element in browser.find_elements(By.CSS_SELECTOR, selector)]


def test_a_person_compares_two_versions(page, double, job):
    folder = job(rate=30, duration=60)
    pages = Page()
    with double(delays=[0.005, 0.02]) as server, locust(folder, *pages.options, "--host", server.url):
        until(pages.is_up)
        page.get(pages.url)
        wait_for(page, lambda b: b.find_element(By.XPATH, "//*[text()='Custom parameters']")).click()
        assert [page.find_element(By.NAME, n).tag_name for n in ("experiment", "traffic")]
        fill_in(page, "rate", "60")
        fill_in(page, "duration", "240s")
        wait_for(page, lambda b: begins(b, pages))
        wait_for(
            page, lambda b: b.find_element(By.XPATH, "//*[@role='tab'][normalize-space()='Loadproof']")
        ).click()
        wait_for(page, lambda b: b.find_element(By.ID, "loadproof"))
        page.switch_to.frame("loadproof")
        # numbers move
        answers = "#versions tr:first-child td[data-role=candidate]"
        first = wait_for(page, lambda b: _number(b.find_element(By.CSS_SELECTOR, answers).text))
        wait_for(page, lambda b: _number(b.find_element(By.CSS_SELECTOR, answers).text) > first)
        wait_for(page, lambda b: len(b.find_elements(By.CSS_SELECTOR, "#latency polyline")) == 4)
        # the tab follows Locust's button for its theme
        page.switch_to.default_content()
        assert page.execute_script(THEME) == "light"
        page.find_elements(By.CSS_SELECTOR, "header button")[-1].click()
        wait_for(page, lambda b: b.execute_script(THEME) == "dark")
        page.switch_to.frame("loadproof")
        # the gates are looked at while the load lasts
        wait_for(page, lambda b: "…" in b.find_element(By.CSS_SELECTOR, "#gates .word").text)
        wait_for(page, lambda b: "over all analyses together" in b.find_element(By.ID, "claim").text)
        # enough of it; the verdict, each gate's interval, and the report
        pages.stop()
        wait_for(page, lambda b: b.find_element(By.ID, "report"))
        # what is shown is drawn anew once a second, also while it is read or clicked
        word = wait_for(page, lambda b: b.find_element(By.ID, "word").text)
        assert word.split()[1] in ("PASS", "FAIL", "INCONCLUSIVE")
        wait_for(page, lambda b: "accuracy >= stable - 1pp" in texts(b, "#gates code"))
        wait_for(page, lambda b: any("to" in text for text in texts(b, "#gates td.n")))
        assert page.find_elements(By.CSS_SELECTOR, "#gates svg circle")
        wait_for(page, lambda b: b.find_element(By.ID, "report").click() or True)
        page.switch_to.window(page.window_handles[-1])
        assert wait_for(page, lambda b: b.find_element(By.TAG_NAME, "h1")).text == word
        assert page.find_elements(By.CSS_SELECTOR, "figure svg polyline")
        page.close()
        page.switch_to.window(page.window_handles[0])
        severe = [line["message"] for line in page.get_log("browser") if line["level"] == "SEVERE"]
        # Chromium drops a request when a container comes or goes on this machine; the page asks again
        assert [message for message in severe if "ERR_NETWORK_CHANGED" not in message] == []
        page.get("about:blank")  # asks no more
    assert "Traceback" not in (folder / "locust.log").read_text()


def _number(text):
    return int(text.replace(",", "")) if text.strip("–") else 0
