"""The model server: Flask, speaking the Open Inference Protocol v2."""
