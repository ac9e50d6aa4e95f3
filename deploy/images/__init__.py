"""The images on their way out: built with a stamp, pushed to a registry, listed in a bill of materials.

::

    python -m deploy.images build [--platforms linux/amd64,linux/arm64]
    python -m deploy.images push --registry ghcr.io/me/loadproof
    python -m deploy.images push-ecr --region eu-central-1
    python -m deploy.images sbom --out sbom

``make images``, ``push``, ``push-ecr`` and ``sbom`` call it. All but the last two need only Python itself.
"""
