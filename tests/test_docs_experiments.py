"""docs/experiments.md is what the code says."""

from docs.experiment_reference import PAGE, meanings, page
from loadtest.experiment.experiment import PARTS, Experiment


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == page(), "run make docs"


def test_every_key_says_what_it_is():
    bare = {
        f"{name}.{key}"
        for name, part in {"experiment": Experiment, **PARTS}.items()
        for key in part.model_fields.keys() - meanings(part).keys() - PARTS.keys()
    }
    assert not bare


def test_every_table_of_the_file_has_its_part():
    assert set(PARTS) <= set(Experiment.model_fields)
    assert set(Experiment.model_fields) - set(PARTS) == {"name", "description", "confidence", "gates"}
