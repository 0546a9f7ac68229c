# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Fruits! in one sitting · Fruits! en une séance
#
# From photographs in S3 to reduced vectors in a Delta table: images are loaded, a TensorFlow network whose weights
# are broadcast turns each into a vector, and PCA shortens the vectors. The functions that the `fruits` command calls
# do it; the parts that matter are done by hand beside them, as a notebook would.
#
# *Des photographies dans S3 aux vecteurs réduits dans une table Delta, pas à pas.*
#
# It takes about two minutes on two cores, needs no account and no network, and removes what it makes. `make setup`
# comes first, and it does not matter which folder the notebook is started in. Where a module is not found, the kernel
# is another Python than the project's: choose that of `.venv` (`.venv/bin/python -m ipykernel install --user --name
# fruits` shows it to Jupyter as *fruits*).

# %%
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import obstore
import pyarrow as pa
import pyspark.sql.functions as F
from pyspark.ml.feature import PCA as MllibPCA
from pyspark.ml.functions import array_to_vector

from batch import models, refresh
from batch.similar import nearest
from batch.spaces import Reduced
from conf.s3 import object_store
from conf.settings import load
from conf.spark import session, stop
from scripts.drop import drop
from scripts.fruit_photos import draw_bad_objects, draw_photos
from scripts.session import opened
from scripts.sql import tables
from streaming import stream
from streaming.decode import decode
from streaming.model import engine_of, load_model

# %% [markdown]
# ## 1. A place of its own · Un endroit à part
#
# An S3 server on this machine, over a folder that goes when the notebook is done; and Spark, on all cores. What is to
# be undone at the end goes on one stack, in the order in which it was made.
#
# Look at the settings: they are those of every `fruits` command (`fruits config` lists them). The last one chosen
# keeps Spark from making a folder elsewhere. On AWS it would be `load("aws", ["storage.bucket=…"])`, and the steps
# would be the same.

# %%
globals().get("undo", ExitStack()).close()  # what an earlier run of this cell made
undo = ExitStack()
folder = Path(undo.enter_context(TemporaryDirectory(prefix="fruits-")))
chosen = ["storage.endpoint=embedded", "storage.prefix=", "pca.k=32", f"spark.options.spark.sql.warehouse.dir={folder}"]
settings = undo.enter_context(opened(load("local", chosen), folder / "s3"))
storage = settings.storage
print(storage.uri("landing/"), storage.uri("tables/"), settings.model, settings.pca, sep="\n")

# %%
spark = session(settings, folder / "spark.log")
undo.callback(stop, spark)
print("Spark", spark.version)

# %% [markdown]
# ## 2. Drop photographs · Déposer des photographies
#
# Drawn ones, of twelve kinds of fruit, so that nothing needs to be downloaded. A photograph's folder is its label.
# Your own: `fruits drop photos/`, or `drop(storage, ...)` with pairs of a name and bytes, as here.

# %%
photos = list(draw_photos(300, seed=2026))
first, later = photos[:240], photos[240:]
dropped = drop(storage, ((f"{photo.label}/{photo.name}", photo.data) for photo in first))
print(f"{dropped.files} files, {dropped.bytes / 1e6:.1f} MB")

# %% [markdown]
# ## 3. Load the images from S3 · Charger les images depuis S3
#
# Spark lists the landing zone. Look at what is *not* selected: `content`, the bytes. Only keys go through Spark; each
# worker reads its share of the photographs straight from S3, and no image passes through the driver or a shuffle.

# %%
files = (
    spark.read.format("binaryFile")
    .option("recursiveFileLookup", "true")
    .load(storage.uri("landing/"))
    .select(F.split("path", f"//{storage.bucket}/")[1].alias("key"), "length")
    .withColumn("label", F.element_at(F.split("key", "/"), -2))
)
photographs, mean_kb = F.count("key").alias("photographs"), F.round(F.avg("length") / 1000, 1).alias("mean kB")
files.groupBy("label").agg(photographs, mean_kb).orderBy("label").show()

# %% [markdown]
# One photograph of each kind, as the network will see it: turned upright, squashed to a square, three channels.
# `decode` also takes grey, transparent, animated and turned ones, and refuses what is damaged with a reason.

# %%
store = object_store(storage)


def picture(key, side=96):
    data = bytes(obstore.get(store, key).bytes())
    return decode(data, side, settings.images.max_pixels).pixels


def show(axis, key, **style):
    axis.imshow(picture(key))
    axis.set_title(key.split("/")[-2], fontsize=8, **style)
    axis.axis("off")


figure, axes = plt.subplots(2, 6, figsize=(8, 3), dpi=70)
for axis, photo in zip(axes.flat, first, strict=False):
    show(axis, f"{storage.landing}{photo.label}/{photo.name}")
plt.show()

# %% [markdown]
# ## 4. Broadcast the weights · Diffuser les poids
#
# The network is EfficientNet-Lite0, trained on ImageNet, in TensorFlow, up to its last hidden layer. `load_model` has
# TensorFlow convert it to what a worker loads fastest, a LiteRT flatbuffer: half a minute the first time, and kept in
# your cache.
#
# Look at what there is of each. The *recipe* is a few words that say what the network is, and travels with every
# task. The *payload*, the weights, is megabytes: `broadcast` sends it to each executor once, however many tasks there
# are.

# %%
model = load_model(settings.model.architecture, settings.model.weights, settings.model.engine)
weights = spark.sparkContext.broadcast(model.payload)
print(model.recipe)
print(f"payload: {len(model.payload) / 1e6:.1f} MB")

# %% [markdown]
# ### Vectorize, by hand · Vectoriser à la main
#
# `mapInArrow` hands a function its share of the rows as Arrow batches, in a Python process for each core. Look at
# where `weights.value` is read: `engine_of` builds the network from it at the first call in a process, and keeps it.
# So it is loaded once a core, not once a photograph or a task. The function closes over the recipe and the broadcast,
# never over the payload, which would then travel with each task.


# %%
def vectorizer(recipe, weights):
    def vectorize(batches):
        engine = engine_of(recipe, lambda: weights.value)
        store = object_store(storage)
        for batch in batches:
            keys = batch.column("key").to_pylist()
            bodies = (bytes(obstore.get(store, key).bytes()) for key in keys)
            pixels = [decode(body, recipe.side, settings.images.max_pixels).pixels for body in bodies]
            rows = list(engine.features(np.stack(pixels)))
            yield pa.RecordBatch.from_pydict({"key": keys, "features": pa.array(rows, pa.list_(pa.float32()))})

    return vectorize


keys = files.select("key")
by_hand = keys.mapInArrow(vectorizer(model.recipe, weights), "key STRING, features ARRAY<FLOAT>").toArrow()
print(f"{by_hand.num_rows} vectors of {len(by_hand['features'][0])} numbers")

# %% [markdown]
# The same with TensorFlow itself in the worker: here the weight arrays are broadcast, and the Keras network is
# rebuilt around them. It takes more memory and longer, and is what LiteRT is held to. Look at whether the two agree.

# %%
reference = load_model(settings.model.architecture, settings.model.weights, "tensorflow")
arrays = spark.sparkContext.broadcast(reference.payload)
few = keys.orderBy("key").limit(12)
by_tensorflow = few.mapInArrow(vectorizer(reference.recipe, arrays), "key STRING, features ARRAY<FLOAT>").toArrow()


def vectors_of(table):
    return dict(zip(table["key"].to_pylist(), map(np.array, table["features"].to_pylist()), strict=True))


litert, tensorflow = vectors_of(by_hand), vectors_of(by_tensorflow)
away = max(np.abs(tensorflow[key] - litert[key]).max() for key in tensorflow)
print(f"{len(tensorflow)} photographs by both engines, all numbers within 0.001: {away < 0.001}")

# %% [markdown]
# ## 5. The same, as a stream · La même chose, en flux
#
# The cells above leave out most of the work: to take new photographs only, each exactly once whatever is killed when;
# to count bad files rather than die of one; to have many reads under way at a time. `stream.run` does that, and the
# rest as above. With `once=True` it returns when all that has landed is in the Delta table `features`; without, it
# watches.

# %%
summary = stream.run(spark, settings, once=True)
print(f"{summary.features} features, {summary.rejects.total()} rejects, {summary.decodes} decodes")

# %%
features = spark.read.format("delta").load(storage.table_uri("features"))
features.printSchema()
streamed = vectors_of(features.select("key", "features").toArrow())
equal = all(np.array_equal(streamed[key], litert[key]) for key in litert)
print(f"{len(streamed)} rows, the same numbers as by hand: {equal}")

# %% [markdown]
# Now sixty more photographs land, and six files that are no photographs. Look at what the second run does: the new
# ones and nothing else, and each bad file becomes a row of `rejects` that says why.

# %%
drop(storage, ((f"{photo.label}/{photo.name}", photo.data) for photo in later))
drop(storage, ((f"{bad.label}/{bad.name}", bad.data) for bad in draw_bad_objects(seed=2026)))
again = stream.run(spark, settings, once=True)
print(f"{again.features} features, {again.rejects.total()} rejects")

rejects = spark.read.format("delta").load(storage.table_uri("rejects"))
rejects.select("key", "reason", "detail").orderBy("key").show(truncate=50)

# %% [markdown]
# ## 6. PCA, ours · L'ACP, la nôtre
#
# `refresh.run` fits a PCA on all rows and publishes two things: the model in `pca_models`, and every photograph's
# vector in `reduced`. Workers sum up n, the mean and the scatter matrix of their rows by BLAS; the driver finds the
# axes. The result is exact, not an approximation. Look at the share of the variance that 32 of 1,280 dimensions keep.

# %%
refreshed = refresh.run(spark, settings)
ratios = np.array(refreshed.explained_variance_ratio)
print(f"{refreshed.n} rows, {refreshed.d} features, {refreshed.k} components: {ratios.sum():.1%} of the variance")
print("components for a share of it:", refreshed.components_for)

# %% [markdown]
# ## 7. PCA by Spark MLlib · L'ACP de Spark MLlib
#
# The class that Spark brings, on the same rows.

# %%
table = spark.read.format("delta").load(storage.table_uri("features"))
rows = table.select("key", array_to_vector("features").alias("features")).cache()
rows.count()  # so that the fit finds them in memory
start = time.perf_counter()
mllib = MllibPCA(k=refreshed.k, inputCol="features", outputCol="reduced").fit(rows)
seconds = time.perf_counter() - start

# %% [markdown]
# Look at three things. The explained variance agrees. So do the axes, up to sign, which no PCA determines: the cosine
# of each with its counterpart is 1 or -1. (Ours keep their signs from one refit to the next.) And the seconds, ours
# with the reading of the rows. The JVM of this profile compiles lightly, which suits short runs and slows MLlib:
# [docs/benchmarks.md](../docs/benchmarks.md) compares the two on 40,000 rows, each as fast as it can be.

# %%
pca = models.load(storage, refreshed.pca_version).pca
same_variance = np.abs(mllib.explainedVariance.toArray() - ratios).max()
turns = np.sum(mllib.pc.toArray().T * pca.components_, axis=1)
print(f"explained variance within 1e-9: {same_variance < 1e-9}")
print(f"smallest cosine, whatever its sign: {np.abs(turns).min():.6f}")
print(f"MLlib {seconds:.1f} s, ours {refreshed.seconds['fit']:.1f} s")

# %% [markdown]
# One difference remains: MLlib's `transform` does not subtract the mean, ours does. Look at a row: up to sign, the
# two are apart by the mean on the axes.

# %%
row = mllib.transform(rows).orderBy("key").select("features", "reduced").first()
theirs = row["reduced"].toArray() * np.sign(turns)
ours = pca.transform(row["features"].toArray()[np.newaxis])[0]
print("apart by the mean:", np.allclose(theirs - ours, pca.components_ @ pca.mean_, atol=1e-3))

# %% [markdown]
# ## 8. Saved to S3 as Delta, and read back · Enregistré sur S3 en Delta, et relu
#
# The refresh has saved the vectors already. Look at the history: `reduced` was filled by one commit, so a reader sees
# the vectors of one model, the old or the new, and never a mix.

# %%
reduced = spark.read.format("delta").load(storage.table_uri("reduced"))
reduced.printSchema()
spark.sql(f"DESCRIBE HISTORY delta.`{storage.table_uri('reduced')}`").select("version", "operation").show()
print(f"{reduced.count()} rows of {reduced.select(F.size('reduced')).distinct().head()[0]} numbers")

# %% [markdown]
# Other readers of Delta open it as well: this is DuckDB, without Spark, as `fruits query` asks it. Look at which
# kinds the network finds most alike.

# %%
QUESTION = """
SELECT a.label, b.label AS looks_like, round(avg(list_distance(a.reduced, b.reduced)), 1) AS distance
FROM reduced a JOIN reduced b ON a.label < b.label
GROUP BY ALL ORDER BY distance LIMIT 5
"""
with tables(storage) as asked:
    print(asked.ask(QUESTION).read_all().to_pandas().to_string(index=False))

# %% [markdown]
# ## 9. Look at the result · Regarder le résultat
#
# Every photograph on the first two axes. Look for kinds that lie together: the network was never told what a fruit is
# called, and PCA knows no labels.

# %%
seen = reduced.select("key", "label", "reduced").orderBy("key").toPandas()
points = np.stack([np.array(vector) for vector in seen["reduced"]])
figure, axis = plt.subplots(figsize=(8, 4.5), dpi=70)
colours = plt.get_cmap("tab20")
for number, label in enumerate(sorted(set(seen["label"]))):
    mine = points[seen["label"] == label]
    axis.scatter(mine[:, 0], mine[:, 1], s=18, color=colours(number), label=label)
axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
axis.set_xlabel(f"component 1 ({ratios[0]:.0%} of the variance)")
axis.set_ylabel(f"component 2 ({ratios[1]:.0%})")
plt.show()

# %% [markdown]
# The scree: what each component explains, and what all up to it do. Look for where the bars become flat.

# %%
figure, axis = plt.subplots(figsize=(8, 3), dpi=70)
numbers = np.arange(1, len(ratios) + 1)
axis.bar(numbers, ratios, color="tab:green", label="each")
axis.plot(numbers, ratios.cumsum(), color="tab:red", marker=".", label="cumulative")
axis.set_xlabel("component")
axis.set_ylabel("share of the variance")
axis.set_ylim(0, 1)
axis.legend(loc="center right")
plt.show()

# %% [markdown]
# And what the vectors are for: in each line, a photograph and the four nearest to it. Look at which kinds are mixed
# up.

# %%
space = Reduced(storage)
asked_for = [f"{storage.landing}{photo.label}/{photo.name}" for photo in later[:4]]
figure, axes = plt.subplots(4, 5, figsize=(6, 5.4), dpi=60)
for line, key in zip(axes, asked_for, strict=True):
    found = nearest(space, space.find(key), 4, leave_out=key)
    show(line[0], key, weight="bold")
    for axis, one in zip(line[1:], found, strict=True):
        show(axis, one.key)
plt.show()

# %% [markdown]
# ## 10. Leave nothing behind · Ne rien laisser
#
# Spark stops, then the S3 server, then the folder goes. The [README](../README.md) has the same steps in a place that
# stays; [docs/from-notebook-to-service.md](../docs/from-notebook-to-service.md) says which cell became which part of
# the service, and why.

# %%
undo.close()
print("still there:", folder.exists())
