"""A model that ran polars would never answer in a forked worker: it is refused where it is loaded."""

from pathlib import Path

import pytest

from services.model_server.errors import VersionError
from services.model_server.lost_threads import refuse_lost_threads


@pytest.mark.parametrize(
    ("threads", "refused"),
    [
        (["python"], False),
        # BLAS' own wait for work, and are started anew
        (["python", "python"], False),
        (["python", "polars-0", "polars-1"], True),
        # imported, and not run
        (["python", "polars-ooc-clea"], False),
        # no such list, as on macOS
        ([], False),
    ],
)
def test_threads_of_polars_are_found(tmp_path: Path, threads: list[str], refused: bool) -> None:
    for place, name in enumerate(threads):
        (tmp_path / str(place)).mkdir()
        (tmp_path / str(place) / "comm").write_text(f"{name}\n")
    if refused:
        with pytest.raises(VersionError, match=r"runs polars, .*set_output"):
            refuse_lost_threads(Path("model.joblib"), tmp_path)
    else:
        refuse_lost_threads(Path("model.joblib"), tmp_path)


def test_a_thread_that_ends_meanwhile_is_none_of_them(tmp_path: Path) -> None:
    # what cannot be read: a thread's name is gone as soon as it has ended
    (tmp_path / "1" / "comm").mkdir(parents=True)
    refuse_lost_threads(Path("model.joblib"), tmp_path)
