"""Texts, of scikit-learn's pages on its data sets: every answer is the library's, or the library gives it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.decomposition import LatentDirichletAllocation, TruncatedSVD
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.feature_selection import SelectKBest, chi2
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge, RidgeClassifier, SGDClassifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, MultinomialNB
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import Binarizer, MaxAbsScaler, Normalizer, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from services.model_server.columns import Columns, column
from services.model_server.examples import write_examples
from services.model_server.scikit_learn.direct.linear import linear, on_entries, one_on_cells
from services.model_server.scikit_learn.direct.pipeline import DirectPipeline, difference
from services.model_server.scikit_learn.direct.step import Unsure
from services.model_server.scikit_learn.estimator import Estimator
from services.model_server.tensors import TensorSpec
from tests.services.model_server.scikit_learn.direct.agreement import answers_are_the_library_s


def _texts() -> pd.DataFrame:
    rows = [
        {"text": line, "source": number, "length": float(len(line)), "kind": line[:1].strip() or "blank"}
        for number, load in enumerate((load_wine, load_breast_cancer, load_diabetes))
        for line in load().DESCR.splitlines()
    ]
    return pd.DataFrame(rows).astype({"text": object, "kind": object})


FRAME = _texts()
SPEC = (
    TensorSpec("text", "BYTES", (-1,)),
    TensorSpec("length", "FP64", (-1,)),
    TensorSpec("kind", "BYTES", (-1,)),
)
THREE, TWO, VALUE = FRAME["source"], FRAME["source"] == 1, FRAME["length"] + 1


def beside(vectorizer: Any, **options: Any) -> ColumnTransformer:
    """Text beside other columns."""
    return ColumnTransformer(
        [
            ("text", vectorizer, "text"),
            ("length", make_pipeline(SimpleImputer(), StandardScaler()), ["length"]),
            ("kind", OneHotEncoder(handle_unknown="ignore"), ["kind"]),
        ],
        **options,
    )


FEW = TfidfVectorizer(max_features=60)
CASES: dict[str, tuple[Any, Any]] = {
    # one text column: every vectorizer, every option that changes numbers, every linear model
    "tf-idf": (make_pipeline(TfidfVectorizer(), LogisticRegression()), TWO),
    "counts": (make_pipeline(CountVectorizer(), MultinomialNB()), THREE),
    "words there or not": (make_pipeline(CountVectorizer(binary=True), BernoulliNB()), TWO),
    "counts made binary": (make_pipeline(CountVectorizer(), BernoulliNB(binarize=1.0)), THREE),
    "complement": (make_pipeline(TfidfVectorizer(stop_words="english"), ComplementNB()), THREE),
    "pairs": (make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LinearSVC()), THREE),
    "letters": (make_pipeline(TfidfVectorizer(analyzer="char", ngram_range=(1, 3)), SGDClassifier(
        loss="log_loss", random_state=0)), THREE),
    "within words": (make_pipeline(CountVectorizer(analyzer="char_wb", ngram_range=(2, 4)),
        TfidfTransformer(norm="l1", use_idf=False), Ridge()), VALUE),
    "hashed": (make_pipeline(HashingVectorizer(n_features=2**10), LogisticRegression()), THREE),
    "hashed, one sign": (make_pipeline(HashingVectorizer(alternate_sign=False, norm="max"),
        PoissonRegressor()), VALUE),
    "own words": (make_pipeline(CountVectorizer(vocabulary=["the", "data", "of", "iris"], lowercase=False,
        strip_accents="unicode", token_pattern=r"[a-z]+"), LogisticRegression()), TWO),
    # steps behind a vectorizer
    "selected": (make_pipeline(TfidfVectorizer(), SelectKBest(chi2, k=40), LogisticRegression()), TWO),
    "scaled": (make_pipeline(CountVectorizer(), MaxAbsScaler(), StandardScaler(with_mean=False), Normalizer(),
        LogisticRegression()), TWO),
    "cut": (make_pipeline(CountVectorizer(), Binarizer(threshold=1.0), LogisticRegression()), TWO),
    "projected": (make_pipeline(TfidfVectorizer(), TruncatedSVD(8, random_state=0),
        RandomForestClassifier(10, random_state=0)), TWO),
    "two vectorizers": (make_pipeline(FeatureUnion([("words", TfidfVectorizer()), ("letters",
        TfidfVectorizer(analyzer="char"))], transformer_weights={"letters": 0.5}), RidgeClassifier()), TWO),
    # trees take what is sparse as a matrix
    "forest": (make_pipeline(FEW, RandomForestClassifier(10, random_state=0)), THREE),
    "boosting": (make_pipeline(FEW, GradientBoostingClassifier(n_estimators=5, random_state=0)), TWO),
    # beside other columns: sparse, made dense, and projected
    "beside": (make_pipeline(beside(TfidfVectorizer()), LogisticRegression()), TWO),
    "beside, weighted": (make_pipeline(beside(HashingVectorizer(n_features=256), transformer_weights={
        "text": 3.0}), RandomForestClassifier(10, random_state=0)), TWO),
    "beside, dense": (make_pipeline(beside(FEW, sparse_threshold=0.0), StandardScaler(), Ridge()), VALUE),
    "beside, projected": (make_pipeline(beside(make_pipeline(TfidfVectorizer(), TruncatedSVD(5))),
        LogisticRegression()), TWO),
}  # fmt: skip


def _columns(frame: pd.DataFrame, spec: tuple[TensorSpec, ...]) -> Columns:
    return Columns({one.name: frame[one.name].to_numpy() for one in spec})


def _served(tmp_path: Path, model: Any, labels: Any) -> tuple[Estimator, Any, tuple[TensorSpec, ...]]:
    """The model behind the server's interface, fitted on a series where it begins with a vectorizer."""
    spec = SPEC if isinstance(model[0], ColumnTransformer) else SPEC[:1]
    frame: Any = FRAME[[one.name for one in spec]] if len(spec) > 1 else FRAME["text"]
    model = clone(model).fit(frame, labels)
    write_examples(tmp_path, {name: a.tolist() for name, a in _columns(FRAME[:10], spec).arrays.items()})
    task = "regression" if labels is VALUE else "classification"
    return Estimator(model, tmp_path / "model.skops", task, spec), frame, spec


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore:Found unknown categories")
def test_every_answer_is_the_library_s(case: str, tmp_path: Path) -> None:
    server, frame, spec = _served(tmp_path, *CASES[case])
    assert server.fastest(spec, "")[1:] == ("direct", "labels equal scikit-learn's, numbers within 1e-06")
    answers_are_the_library_s(server, frame, _columns(FRAME, spec))


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        # counts of single precision
        (make_pipeline(TfidfVectorizer(dtype=np.float32), Ridge()),
         "the step 'tfidfvectorizer' gives float32"),
        # what is not known behind a vectorizer
        (make_pipeline(CountVectorizer(), LatentDirichletAllocation(2, max_iter=1), Ridge()),
         "the step 'latentdirichletallocation' takes a sparse matrix"),
    ],
)  # fmt: skip
def test_what_is_not_known_stays_with_the_library(model: Any, reason: str, tmp_path: Path) -> None:
    server, _, spec = _served(tmp_path, model, VALUE)
    assert server.fastest(spec, "")[1:] == ("scikit-learn", reason)


def test_a_missing_text_is_refused_as_the_library_refuses_it(tmp_path: Path) -> None:
    server, _, spec = _served(tmp_path, *CASES["tf-idf"])
    assert server.fastest(spec, "")[1] == "direct"
    with pytest.raises((ValueError, AttributeError)):
        server.run(Columns({"text": np.array([None], object)}), frozenset(["predict"]))


VECTORIZERS = st.builds(
    TfidfVectorizer,
    analyzer=st.sampled_from(["word", "char", "char_wb"]),
    ngram_range=st.sampled_from([(1, 1), (1, 2), (2, 3)]),
    strip_accents=st.sampled_from([None, "ascii", "unicode"]),
    lowercase=st.booleans(),
    binary=st.booleans(),
    sublinear_tf=st.booleans(),
    use_idf=st.booleans(),
    norm=st.sampled_from([None, "l1", "l2"]),
) | st.builds(
    HashingVectorizer,
    analyzer=st.sampled_from(["word", "char"]),
    n_features=st.sampled_from([1, 7, 2**20]),
    alternate_sign=st.booleans(),
    binary=st.booleans(),
    norm=st.sampled_from([None, "l1", "l2", "max"]),
)


@pytest.mark.parametrize("model", [Ridge(), LogisticRegression(max_iter=20)])
@pytest.mark.parametrize(
    ("places", "values"),
    [
        ([0, 1], [1.0, np.inf]),
        ([0], [np.nan]),
        # finite, but not what it is multiplied by
        ([0, 1], [1e308, 1e308]),
        # the order of the sum decides
        ([0, 1, 2], [1e15, -1e15, 0.1]),
    ],
)
def test_a_score_that_is_not_sure_is_for_the_library(
    model: Any, places: list[int], values: list[float]
) -> None:
    model.fit(csr_matrix(np.eye(3)), [0, 1, 1])
    model.coef_ = np.full(model.coef_.shape, 10.0)
    run = on_entries(linear(model))
    with pytest.raises(Unsure):
        run([(places, values)], frozenset(["predict"]))
    if on_cells := one_on_cells(linear(model)):
        with pytest.raises(Unsure):
            on_cells([(*values, *[0.0] * (3 - len(values)))], frozenset(["predict"]))


LAST = (LogisticRegression(max_iter=20), Ridge(), RandomForestClassifier(3, random_state=0), LinearSVC())
words = st.sampled_from(["Wine", "data", "the", "of", "Ärzte", "ﬁt", "", "x" * 300]) | st.text(max_size=5)
documents = st.lists(st.lists(words, max_size=6).map(" ".join), min_size=1, max_size=4)


@settings(suppress_health_check=list(HealthCheck))
@given(documents, VECTORIZERS, st.sampled_from(LAST))
def test_answers_agree(texts: list[str], vectorizer: Any, last: Any) -> None:
    model = make_pipeline(vectorizer, last)
    names = frozenset(["predict", *(["predict_proba"] if hasattr(last, "predict_proba") else [])])
    # the server checks no parameters, either
    unchecked = config_context(skip_parameter_validation=True)
    with warnings.catch_warnings(), np.errstate(all="ignore"), unchecked:
        warnings.simplefilter("ignore")
        if isinstance(last, RandomForestClassifier) and getattr(vectorizer, "n_features", 0) > 10**6:
            # no forest is fitted on a million columns in a test
            vectorizer.set_params(n_features=512)
        model.fit(FRAME["text"][::4], TWO[::4])
        asked = Columns({"text": column(texts, "BYTES")})
        made = DirectPipeline(model, asked, onnx=True)
        try:
            got = made.run(asked, names)
        except Unsure as reason:
            event(f"declined: {type(reason).__name__}")
            return
        wanted = {name: np.asarray(getattr(model, name)(texts)) for name in names}
    event("compared")
    assert difference(got, wanted, names) == ""
