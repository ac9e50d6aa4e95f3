"""Pages in a real browser: Chromium without a screen, where it and its driver are installed."""

import shutil

import pytest
from selenium import webdriver

from tests.integration.conftest import double, job  # noqa: F401 - fixtures

QUIET = ("quic", "background-networking", "component-update", "sync", "gpu", "dev-shm-usage")


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """A Chromium that keeps what pages write to their console."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("no Chromium with its chromedriver on the PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("headless", "no-sandbox", "no-first-run", *(f"disable-{name}" for name in QUIET)):
        options.add_argument(f"--{argument}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    running = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield running
    running.quit()


@pytest.fixture(autouse=True)
def fresh(browser):
    """Each test begins with an empty page and an empty console."""
    browser.get("about:blank")
    browser.get_log("browser")
