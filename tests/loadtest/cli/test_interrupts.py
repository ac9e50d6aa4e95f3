import pytest

from loadtest.cli.interrupts import told_in_one_line
from loadtest.errors import Interrupted


def test_ctrl_c_is_told_with_what_was_noted_on_its_way():
    interrupt = KeyboardInterrupt()
    interrupt.add_note("(120 samples are kept in here)")
    said = r"what was started is stopped \(120 samples are kept in here\)$"
    with pytest.raises(Interrupted, match=said), told_in_one_line():
        raise interrupt


def test_anything_else_passes():
    with pytest.raises(ZeroDivisionError), told_in_one_line():
        raise ZeroDivisionError
