"""``python -m loadtest.load.worker_process ...`` is ``locust ...``, which Ctrl-C also ends while it loads.

``loadproof worker`` becomes it with SIGINT blocked, since Python would answer Ctrl-C with a traceback until
``loadtest.load.web.locust_ui.start`` has joined the master.
"""

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])

from locust.main import main  # noqa: E402

if __name__ == "__main__":
    main()  # type: ignore[no-untyped-call]  # locust is partly untyped
