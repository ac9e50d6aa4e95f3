"""For all tests."""

import signal

# a runner started in the background hands down an ignored Ctrl-C, which these tests send for real
signal.signal(signal.SIGINT, signal.default_int_handler)
