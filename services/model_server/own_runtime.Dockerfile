# The model server on the packages of one version: its requirements.txt, and what the server needs beside.
# Built by `loadproof` with that list as the only file of the context.
ARG SERVER=loadproof/model-server:0.1.0
FROM python:3.13-slim-trixie AS packages
COPY requirements.txt /tmp/
# only wheels: a package that must be built would run its code here
RUN --mount=type=cache,target=/root/.cache/pip,sharing=locked \
    python -m venv --without-pip /opt/own \
    && pip --python /opt/own/bin/python install --disable-pip-version-check --quiet --only-binary :all: \
         -r /tmp/requirements.txt \
    # LightGBM's wheel wants the OpenMP library of a system, which slim images lack; scikit-learn's has a copy
    && for copy in /opt/own/lib/python3*/site-packages/scikit_learn.libs/libgomp-*.so.1*; do \
         if [ -e "$copy" ]; then ln -s "$copy" /opt/own/lib/libgomp.so.1; fi; done

# hadolint ignore=DL3006
FROM ${SERVER}
COPY --from=packages /opt/own /opt/own
ENV PATH=/opt/own/bin:$PATH \
    LD_LIBRARY_PATH=/opt/own/lib
# the server's own bill of materials says nothing of these packages
LABEL dev.loadproof.sbom=""
