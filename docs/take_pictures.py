"""The pictures of the README, from a real run: ``make pictures`` (needs Chromium with its chromedriver).

Starts the local lab with the demo versions and Locust's web UI in front of it, runs the default experiment
from the start form, and takes Locust's tab while the load lasts and the report when it is over.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from loadtest.experiment.experiment import Experiment
from loadtest.lab.free_ports import HOST, free_port
from loadtest.lab.local.lab import LocalLab
from loadtest.workflows.prepare import resolve, train_if_absent

PICTURES = Path(__file__).parent / "pictures"
SECONDS_IN = 40
_WIDTH, _TAB, _REPORT = 1200, 1000, 1000


def main() -> None:
    """Take both pictures."""
    experiment = Experiment.load_file("compare")
    train_if_absent(experiment, print)
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, LocalLab(resolve(experiment), Path(folder), "shop") as lab:
        port = free_port(0)
        url = f"http://{HOST}:{port}"
        locust = [sys.executable, "-m", "locust", "-f", "loadtest/load/locustfile.py", "--web-host", HOST]
        environment = os.environ | {"LOADPROOF_RESULTS": f"{folder}/results"}
        with subprocess.Popen(
            [*locust, "--web-port", str(port), "--host", lab.endpoints.gateway], env=environment
        ) as process:
            try:
                _await(url)
                _take(_browser(), url)
            finally:
                process.terminate()


def _await(url: str) -> None:
    for _ in range(300):
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise SystemExit(f"{url}: Locust does not answer")


def _browser() -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or "chromium"
    for argument in ("headless", "no-sandbox", "disable-gpu", "hide-scrollbars"):
        options.add_argument(f"--{argument}")
    return webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver") or "chromedriver"))


def _take(browser: webdriver.Chrome, url: str) -> None:
    wait = WebDriverWait(browser, 200, ignored_exceptions=[Exception])
    try:
        browser.set_window_size(_WIDTH, _TAB)
        browser.get(url)
        wait.until(lambda b: b.find_element(By.CSS_SELECTOR, "button[type=submit]")).click()
        tab = "//*[@role='tab'][normalize-space()='Loadproof']"
        wait.until(lambda b: b.find_element(By.XPATH, tab)).click()
        wait.until(lambda b: b.find_element(By.ID, "loadproof"))
        time.sleep(SECONDS_IN)
        browser.save_screenshot(str(PICTURES / "locust.png"))
        browser.switch_to.frame("loadproof")
        report = wait.until(lambda b: b.find_element(By.ID, "report")).get_attribute("href")
        browser.set_window_size(_WIDTH, _REPORT)
        browser.get(str(report))
        browser.save_screenshot(str(PICTURES / "report.png"))
    finally:
        browser.quit()


if __name__ == "__main__":
    main()
