"""A verdict for machines: verdict.json, junit.xml and the Markdown of a pull-request comment."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from loadtest.experiment.experiment import Experiment
from loadtest.judge.rate_sweep import RatesVerdict
from loadtest.judge.verdict import Verdict, Word
from loadtest.report.templating import templates


def to_json(verdict: Verdict) -> str:
    """verdict.json, schema 1."""
    return verdict.model_dump_json(indent=2) + "\n"


def to_junit(verdict: Verdict) -> str:
    """junit.xml: one test case a gate, and one for the measurement itself.

    FAIL is a failure; INCONCLUSIVE and INVALID are errors, since nothing was shown.
    """
    return _junit([_suite(f"loadproof.{verdict.experiment}", verdict)])


def rates_to_junit(verdict: RatesVerdict) -> str:
    """junit.xml of a run at several rates: a suite a rate."""
    return _junit(
        [_suite(f"loadproof.{verdict.experiment}.{at.rate:g} per second", at.verdict) for at in verdict.rates]
    )


def _suite(name: str, verdict: Verdict) -> ET.Element:
    suite = ET.Element("testsuite", name=name, time=f"{verdict.load.duration_s:.3f}")
    measurement = ET.SubElement(suite, "testcase", classname=name, name="measurement is valid")
    if verdict.verdict is Word.INVALID:
        ET.SubElement(measurement, "error", message=verdict.reason, type=Word.INVALID)
    for gate in verdict.gates:
        case = ET.SubElement(suite, "testcase", classname=name, name=gate.name)
        if gate.verdict is Word.FAIL:
            ET.SubElement(case, "failure", message=gate.reason, type=gate.verdict)
        elif gate.verdict is not Word.PASS:
            ET.SubElement(case, "error", message=gate.reason, type=gate.verdict)
    for kind in ("failure", "error"):
        suite.set(f"{kind}s", str(len(suite.findall(f"testcase/{kind}"))))
    suite.set("tests", str(len(suite.findall("testcase"))))
    return suite


def _junit(suites: list[ET.Element]) -> str:
    root = ET.Element("testsuites")
    root.extend(suites)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def to_markdown(verdict: Verdict, experiment: Experiment) -> str:
    """summary.md: fit for a pull-request comment."""
    return templates().get_template("summary.md.j2").render(verdict=verdict, versions=experiment.versions)
