"""Models in the form of other programs, each of which makes the same vectors of the same features."""

from typing import IO, TYPE_CHECKING

import numpy as np

from batch.models import Model

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.ml import PipelineModel
    from pyspark.sql import SparkSession
    from sklearn.decomposition import PCA
    from sklearn.pipeline import Pipeline


def write_npz(model: Model, file: "Path | IO[bytes]") -> None:
    """Write the arrays of a model, for anything that has numpy; nothing in the file is pickled.

    The vectors are ``(x - mean) / scale @ components.T``, divided by ``sqrt(explained_variance)`` where `whiten`.

    Raises
    ------
    OSError
        Where the file cannot be written.
    """
    pca = model.pca
    np.savez(
        file,
        components=pca.components_,
        mean=pca.mean_,
        scale=pca.scale_,
        explained_variance=pca.explained_variance_,
        explained_variance_ratio=pca.explained_variance_ratio_,
        scree=pca.scree_,
        noise_variance=np.float64(pca.noise_variance_),
        whiten=np.bool_(pca.whiten),
        n=np.int64(pca.n_samples_),
        pca_version=np.int64(model.pca_version),
        features_version=np.int64(model.features_version),
        model_id=np.str_(model.model_id),
    )


def to_sklearn(model: Model) -> "PCA | Pipeline":
    """scikit-learn's PCA with the attributes that `fit` would have given it; behind a StandardScaler if standardized.

    Raises
    ------
    ImportError
        Where scikit-learn is not installed: Fruits! itself does without.
    """
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fitted = model.pca
    n, d = fitted.n_samples_, len(fitted.mean_)
    pca = PCA(fitted.k_, whiten=fitted.whiten)
    pca.n_components_, pca.n_samples_, pca.n_features_in_ = fitted.k_, n, d
    pca.components_ = fitted.components_.copy()
    pca.mean_ = np.zeros(d) if fitted.standardize else fitted.mean_.copy()
    pca.explained_variance_ = fitted.explained_variance_.copy()
    pca.explained_variance_ratio_ = fitted.explained_variance_ratio_.copy()
    pca.singular_values_ = np.sqrt(fitted.explained_variance_ * (n - 1))
    pca.noise_variance_ = fitted.noise_variance_
    if not fitted.standardize:
        return pca
    scaler = StandardScaler()
    scaler.mean_, scaler.scale_, scaler.var_ = fitted.mean_.copy(), fitted.scale_.copy(), fitted.scale_**2
    scaler.n_samples_seen_, scaler.n_features_in_ = n, d
    return make_pipeline(scaler, pca)


def to_mllib(
    spark: "SparkSession", model: Model, features: str = "features", output: str = "reduced"
) -> "PipelineModel":
    """Spark MLlib's PCAModel as the last stage of a pipeline, which can be saved and loaded as any other.

    Before it a scaler subtracts the mean, which MLlib's PCAModel by itself does not. Needs a session with a JVM of its
    own, not Spark Connect.

    Parameters
    ----------
    features
        Column of vectors: `pyspark.ml.functions.array_to_vector` makes them of the features table's.
    output
        Column to add.
    """
    from pyspark.ml import PipelineModel
    from pyspark.ml.common import _py2java
    from pyspark.ml.feature import PCAModel, StandardScalerModel
    from pyspark.ml.linalg import DenseMatrix, Vectors

    context, pca = spark.sparkContext, model.pca
    # MLlib does not whiten.
    axes = pca.components_ / (np.sqrt(pca.explained_variance_)[:, np.newaxis] if pca.whiten else 1)
    mean, scale, ratios, matrix = (
        _py2java(context, value)
        for value in (
            Vectors.dense(pca.mean_),
            Vectors.dense(pca.scale_),
            Vectors.dense(pca.explained_variance_ratio_),
            # By columns: the rows of axes.
            DenseMatrix(len(pca.mean_), pca.k_, axes.ravel()),
        )
    )
    package = context._jvm.org.apache.spark.ml.feature
    centred = f"{features} less their mean"
    scaler = StandardScalerModel(package.StandardScalerModel(f"fruits_scaler_{model.pca_version}", scale, mean))
    scaler.setInputCol(features).setOutputCol(centred)._set(withMean=True, withStd=True)
    projection = PCAModel(package.PCAModel(f"fruits_pca_{model.pca_version}", matrix, ratios))
    projection.setInputCol(centred).setOutputCol(output)._set(k=pca.k_)
    return PipelineModel([scaler, projection])
