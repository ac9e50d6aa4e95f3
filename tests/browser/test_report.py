"""report.html as a browser draws it: narrow and wide, light and dark."""

import base64

import pytest

from benchmarks.judging.run_of import write_run
from loadtest.workflows.stored_run import judge_run, open_run, write_reports

CONTRAST = """
const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3)
    .map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b };
const paper = light(getComputedStyle(document.body).backgroundColor);
const against = c => {
  if (c === 'none') return 1;
  const l = light(c);
  return (Math.max(l, paper) + 0.05) / (Math.min(l, paper) + 0.05) };
const of = (selector, what) =>
  [...document.querySelectorAll(selector)].map(e => against(getComputedStyle(e)[what]));
return [Math.min(...of('p, td, th, figcaption, h1, h2, .why', 'color'), ...of('svg text', 'fill')),
        // a dot is filled, or a ring
        Math.min(...of('polyline', 'stroke'),
                 ...of('circle', 'fill').map((fill, n) => Math.max(fill, of('circle', 'stroke')[n])))];
"""
"""The worst contrast of a text, and of a line or dot."""

DRAWN = """
return [...document.querySelectorAll('figure svg:has(polyline)')].map(svg => {
  const box = svg.getBoundingClientRect(), line = svg.querySelector('polyline').getBoundingClientRect();
  return [line.width / box.width, line.height, line.left >= box.left && line.right <= box.right]});
"""
"""The first line of each chart with lines: its share of the width, its height, and whether it lies inside."""

CUT = """
return [...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth)
    .map(e => e.getAttribute('aria-label'));
"""
"""The tables that are wider than the page."""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser") / "run"
    write_run(folder, 15_000)
    run = open_run(folder)
    write_reports(folder, run, judge_run(run))
    return folder / "report.html"


@pytest.mark.parametrize("width", [400, 500, 800, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_report(browser, report, width, scheme):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(report.as_uri())
    assert browser.get_log("browser") == []
    assert browser.find_element("tag name", "h1").location["y"] < 100
    charts = browser.execute_script(DRAWN)
    assert len(charts) == 4
    assert all(0.5 < share <= 1 and height > 5 and inside for share, height, inside in charts)
    # tables scroll by themselves, the page never does sideways
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    cut = browser.execute_script(CUT)
    # what is out of sight is the candidate's column, or where an interval lies
    assert "Gates" not in cut
    if width >= 800:
        assert cut == []
    text, line = browser.execute_script(CONTRAST)
    assert text >= 4.5  # WCAG 2.2, 1.4.3
    assert line >= 3  # 1.4.11


def test_it_prints_on_a_few_pages(browser, report):
    browser.get(report.as_uri())
    pdf = base64.b64decode(browser.print_page())
    assert 1 <= pdf.count(b"/Type /Page\n") <= 6


def test_it_is_small(report):
    assert report.stat().st_size < 300_000
