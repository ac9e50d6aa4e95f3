#!/bin/sh
# Takes out of installed packages what no program needs while it runs, and compiles the rest. For the build stage of an
# image, with binutils there:   slim.sh SITE_PACKAGES [bytecode]
# bytecode: modules are kept as bytecode only, without their sources (tracebacks still name file and line).
set -eu
packages=$1 keep=${2:-sources}

# their own tests; numpy.testing, which scikit-learn imports, imports one module of them
find "$packages" -depth -type d \( -name tests -o -name test \) ! -path '*/numpy/_core/tests' -exec rm -rf {} +
if [ -d "$packages/numpy/_core/tests" ]; then
  find "$packages/numpy/_core/tests" -type f ! -name _natype.py ! -name __init__.py -delete
fi

# ONNX Runtime a second time, for programs in C, and its tools that prepare models
if [ -d "$packages/onnxruntime" ]; then
  rm -rf "$packages"/onnxruntime/capi/libonnxruntime.so* \
    "$packages/onnxruntime/transformers" "$packages/onnxruntime/quantization" "$packages/onnxruntime/tools"
fi

# Arrow's network clients: samples and evaluation sets are files here
if [ -d "$packages/pyarrow" ]; then
  find "$packages/pyarrow" -name '*flight*' -exec rm -rf {} +
  find "$packages/pyarrow" \( -name 'libarrow_s3*' -o -name '_s3fs*' \) -delete
fi

# what compilers and type checkers read
find "$packages" -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.tp' \
  -o -name '*.h' -o -name '*.hpp' -o -name '*.hh' -o -name '*.c' -o -name '*.cc' -o -name '*.cpp' -o -name '*.a' \
  -o -name '*.f90' -o -name '*.pyf' -o -name '*.proto' \) -delete

# symbols that only debuggers read
find "$packages" -type f -name '*.so*' -exec strip --strip-unneeded {} +

# libraries that are there twice, byte by byte the same
find "$packages" -type f -name '*.so*' -exec sha256sum {} + | sort | while read -r hash file; do
  if [ "$hash" = "${last:-}" ]; then ln -s -f -r "$first" "$file"; else last=$hash first=$file; fi
done

# by hash, never checked again: a file's time plays no part, and two builds are alike
if [ "$keep" = bytecode ]; then
  # skl2onnx reads its own source
  python -m compileall -q -b -x '/skl2onnx/' --invalidation-mode unchecked-hash "$packages"
  find "$packages" -name '*.pyc' ! -path '*/__pycache__/*' | while read -r file; do rm -f "${file%c}"; done
  python -m compileall -q --invalidation-mode unchecked-hash "$packages/skl2onnx"
else
  python -m compileall -q --invalidation-mode unchecked-hash "$packages"
fi
