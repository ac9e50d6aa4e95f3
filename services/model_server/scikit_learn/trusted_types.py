"""What a skops file may hold beside what skops trusts by itself, and why that is safe.

::

    PLAIN      scikit-learn's own Python objects: they only hold settings and arrays, which NumPy checks
               when they are used
    FUNCTIONS  functions of scikit-learn and NumPy that compute on arrays; none touches a file, a process or
               memory
    CHECKED    what C code follows without checking: ``tree_check`` checks it, or builds it again
"""

from __future__ import annotations

import inspect

from sklearn.feature_selection import _univariate_selection
from sklearn.gaussian_process import kernels
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.model_selection import _split

PLAIN = (
    "builtins.object",  # by which a ColumnTransformer chooses columns, as by the next four
    "numpy.floating",
    "numpy.generic",
    "numpy.integer",
    "numpy.number",
    "functools.partial",  # of one of FUNCTIONS: check_model sees to it
    "numpy.dtype",  # skops reads it from the header of an empty array
    "sklearn._loss.loss.HalfTweedieLoss",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.compose._column_transformer._RemainderColsList",  # up to scikit-learn 1.6
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    # experimental: skops knows what scikit-learn lists without being asked for these
    "sklearn.impute._iterative.IterativeImputer",
    "sklearn.impute._iterative._ImputerTriplet",
    "sklearn.metrics._scorer._CurveScorer",
    "sklearn.metrics._scorer._MultimetricScorer",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.model_selection._search_successive_halving.HalvingGridSearchCV",
    "sklearn.model_selection._search_successive_halving.HalvingRandomSearchCV",
    "sklearn.model_selection._search_successive_halving._SubsampleMetaSplitter",
    "sklearn.multiclass._ConstantPredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
    *(
        # how a search split its rows; it predicts without them
        f"{_split.__name__}.{name}"
        for name, kind in vars(_split).items()
        if inspect.isclass(kind) and issubclass(kind, _split.BaseCrossValidator | _split.BaseShuffleSplit)
    ),
    *(
        f"{kernels.__name__}.{name}"
        for name, kind in vars(kernels).items()
        if inspect.isclass(kind) and issubclass(kind, kernels.Kernel)
    ),
)

PARTIAL_OF = ("check_array",)
"""The functions that histogram boosting keeps with their arguments."""

FUNCTIONS = (
    "numpy.max",
    "numpy.mean",
    "numpy.median",
    "numpy.min",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "sklearn.utils.validation.check_array",
    *(
        f"{_univariate_selection.__name__}.{name}"
        for name in ("chi2", "f_classif", "f_oneway", "f_regression", "r_regression")
    ),
    "sklearn.feature_selection._mutual_info.mutual_info_classif",
    "sklearn.feature_selection._mutual_info.mutual_info_regression",
    *sorted(
        f"{score.__module__}.{score.__name__}"
        for score in (get_scorer(name)._score_func for name in get_scorer_names())
    ),
)

CHECKED = (
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    *(
        f"sklearn.metrics._dist_metrics.{name}Distance64"
        for name in ("Chebyshev", "Euclidean", "Manhattan", "Minkowski")
    ),
    "scipy.interpolate._bsplines.BSpline",
)

TRUSTED = frozenset((*PLAIN, *FUNCTIONS, *CHECKED))
