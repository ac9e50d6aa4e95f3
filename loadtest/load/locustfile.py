"""For the ``locust`` command: ``locust -f loadtest/load/locustfile.py --host http://127.0.0.1:8080``.

Wiring only. LOADPROOF_EXPERIMENT names the experiment; see ``loadtest.load.settings``.
"""

import gc
from typing import Any

from locust import events

from loadtest.data.without_pandas import keep_pandas_out
from loadtest.load.cluster.locust_messages import survive_strangers
from loadtest.load.cluster.wiring import Arrivals
from loadtest.load.sending.driver import Generator
from loadtest.load.web.locust_ui import add_options, start

__all__ = ["Arrivals", "Generator"]

keep_pandas_out()
# what is imported stays; Python looks for garbage in it a last time at the end, for a fifth of a second
gc.freeze()
survive_strangers()
hooks: Any = events
hooks.init_command_line_parser.add_listener(add_options)
hooks.init.add_listener(start)
