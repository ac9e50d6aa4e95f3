"""The ``loadproof`` command: one file per verb, joined by ``main``. May import workflows and all below."""
