"""Real data: scikit-learn's bundled handwritten digits, 8 by 8 pixels, in two versions."""

from __future__ import annotations

import pandas as pd
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from contract.model_toml import Input
from services.trainer.demo import Demo, Rows, Version


def train(seed: int) -> Demo:
    """Hold out half of the digits and fit both versions on the other half."""
    digits = load_digits()
    pixels = pd.DataFrame(digits.data, columns=digits.feature_names)
    seen, unseen, seen_labels, unseen_labels = train_test_split(
        pixels, digits.target, test_size=0.5, stratify=digits.target, random_state=seed
    )
    linear, support = make_pipeline(StandardScaler(), LogisticRegression()), SVC(C=10)
    with threadpool_limits(1):  # sums must not depend on the number of cores
        for classifier in (linear, support):
            classifier.fit(seen.to_numpy(), seen_labels)
    return Demo(
        input=Input("features", "FP64", (-1, len(pixels.columns)), tuple(pixels.columns)),
        label="digit",
        training=Rows(seen, seen_labels),
        evaluation=Rows(unseen, unseen_labels),
        versions={
            "v1": Version(linear, "logistic regression"),
            "v2": Version(support, "support vectors: better, and slower"),
        },
    )
