"""The table of live searches says what was found, and a bar that is missed is named."""

from benchmarks.capacity import report


def search(found, low, high, share=0.3):
    return {
        "service_ms": 5.0, "truth": 190.0, "found": found, "interval": [low, high],
        "requests_of_a_sweep": share, "seconds": 60.0,
    }  # fmt: skip


WHERE = {"cpus": 2, "cpu": "some", "kernel": "6", "python": "3.13"}


def test_a_table():
    text = report.table(
        {"machine": WHERE, "searches": [search(195.0, 185.0, 205.0), search(150.0, 145.0, 155.0)]}
    )
    assert "| 5 ms | 190.0/s | 195.0/s | 185.0 to 205.0 | +2.6% | yes | 0.30 |" in text
    assert "| -21.1% | no |" in text
    assert "1 of 2 intervals cover, 1 of 2 answers are within 5%" in text


def test_bars():
    good = {"machine": WHERE, "searches": [search(195.0, 185.0, 205.0)] * 9 + [search(193.0, 191.0, 200.0)]}
    assert all(report.bars(good).values())
    # two that miss, far off, with as many requests as a sweep
    bad = {"machine": WHERE, "searches": [*good["searches"][:8], *[search(100.0, 90.0, 110.0, 1.0)] * 2]}
    assert not any(report.bars(bad).values())
    assert report.bars({"machine": WHERE, "searches": []}) == {}
