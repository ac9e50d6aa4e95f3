"""For the ``locust`` command: ``locust -f loadtest/load/locustfile.py --host http://127.0.0.1:8080``.

Wiring only. LOADPROOF_EXPERIMENT names the experiment; see ``loadtest.load.settings``.
"""

from typing import Any

from locust import events

from loadtest.load.cluster.locust_messages import survive_strangers
from loadtest.load.cluster.wiring import Arrivals
from loadtest.load.sending.driver import Generator
from loadtest.load.web.locust_ui import add_options, start

__all__ = ["Arrivals", "Generator"]

survive_strangers()
hooks: Any = events
hooks.init_command_line_parser.add_listener(add_options)
hooks.init.add_listener(start)
