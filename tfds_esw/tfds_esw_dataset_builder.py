"""The TFDS builder: features, splits, and their generation on one machine or on many."""

import functools
import math
import os
import warnings
from importlib.util import find_spec
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from etils import epath
from tensorflow_datasets.core import example_serializer
from tensorflow_datasets.core import writer as writer_lib
from tensorflow_datasets.core.utils import shard_utils

import keras_micromag
from keras_micromag.utils import checks
from keras_micromag.utils.progress import counter
from keras_micromag.utils.versions import versions
from tfds_esw.batch_cache import BATCH, BatchCache
from tfds_esw.config import CONFIGS, Config, metadata

_SHARD_BYTES = 128 << 20
"""Largest shard by default, since all of a shard is in memory while it is written."""


class Builder(tfds.core.ShardBasedBuilder):
    """Hysteresis loops of multigrain magnets by the embedded Stoner-Wohlfarth method.

    Args:
        file_format: a format of TFDS; by default that of existing data, else `tfrecord`, or
            `array_record` where TensorFlow, which reads the former, is not installed.
        **kwargs: TFDS's.

    Raises:
        ValueError: for another format, or a `data_dir` that TFDS could not find again.
    """

    VERSION = tfds.core.Version("3.1.0")
    RELEASE_NOTES: ClassVar = {
        "3.1.0": "`real`; temperature, exchange and sweep rate. All else is as in 3.0.0.",
        "3.0.0": "`tiny`, `textures` and `polycrystal` are calibrated on micromagnetics.",
        "2.0.0": "`textures` and `polycrystal` are simulated by events, and have `avalanches`.",
        "1.0.0": "First release.",
    }
    BUILDER_CONFIGS = CONFIGS
    builder_config_cls = Config

    def __init__(self, *, file_format: str | None = None, **kwargs):
        if set("*?[\0") & set(str(kwargs.get("data_dir"))):
            raise ValueError(
                "`data_dir` must be the name of a folder, with none of *, ? and [, which TFDS "
                f"takes for a pattern; received {str(kwargs['data_dir'])!r}."
            )
        try:
            super().__init__(file_format=file_format, **kwargs)
        except ValueError as error:
            if not (file_format and "file format" in str(error).lower()):
                raise
            known = ", ".join(known.value for known in tfds.core.FileFormat)
            raise ValueError(
                f"`file_format` must be one of {known}, and that of the data set in `data_dir` if "
                f"there is one; received {file_format!r}."
            ) from error
        self._most: int | None = None  # simulations in each split that were asked for; None: all
        if not (file_format or self.is_prepared() or find_spec("tensorflow")):
            self.info.set_file_format("array_record", override=True)

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        t, g = config.steps, config.most_grains
        tensors = {
            "index": ((), np.int64, "of the simulation in its configuration"),
            "seed": ((), np.int64, "of the configuration"),
            "cone": ((), np.float64, "half angle of the easy axes' cone in degrees"),
            "Js": ((), np.float64, "saturation polarisation in tesla"),
            "Ku": ((), np.float64, "anisotropy constant in J/m3"),
            "A": ((), np.float64, "exchange stiffness in J/m"),
            "Kd": ((), np.float64, "shape anisotropy constant in J/m3"),
            "field": ((t,), np.float64, "applied mu0*H in tesla"),
            "easy_axes": ((g, 3), np.float64, "unit vectors"),
            "magnetization": ((t, g, 3), np.float32, "unit moments of the grains"),
            "converged": ((t,), np.bool_, "whether the state is an equilibrium"),
            "iterations": ((t,), np.int32, "products with the matrix; 0 where interpolated"),
            "sample_weights": ((t,), np.float64, "weight of each state in training (Eq. 8)"),
            "switching_fields": ((g,), np.float64, "mu0*H in tesla where each grain reversed"),
            "coercivity": ((), np.float64, "in tesla"),
            "remanence": ((), np.float64, "polarisation of the body at zero field in tesla"),
            "energy_product": ((), np.float64, "(BH)max of the body in J/m3"),
        }
        if config.temperature is not None:
            tensors["temperature"] = ((), np.float64, "in K, at which Js, Ku, A and Kd are given")
        if config.exchange is not None:
            tensors["exchange"] = ((), np.float64, "across grain boundaries, in J/m²")
        if config.method == "events":
            tensors["avalanches"] = (
                (g,),
                np.int32,
                "number of the avalanche that reversed it",
            )
        if config.material_varies:
            tensors |= {
                "grain_Js": ((g,), np.float64, "saturation polarisation of each grain in tesla"),
                "grain_Ku": ((g,), np.float64, "anisotropy constant of each grain in J/m3"),
            }
        if config.grains is not None:
            tensors |= {
                "grains": ((), np.int64, "number of grains; the rest of each row is padding"),
                "volumes": ((g,), np.float64, "of the grains in m3; 0 marks padding"),
                "centroids": ((g, 3), np.float64, "of the grains in m"),
                "contact_areas": ((g, g), np.float64, "in m2, between neighbours; else 0"),
                "packing_fraction": ((), np.float64, "magnetic share of the body's volume"),
            }
        # Bytes build and read 20 times faster than lists of numbers, and keep all of a float64.
        encoding = tfds.features.Encoding.BYTES
        info = self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    name: tfds.features.Tensor(shape=shape, dtype=dtype, encoding=encoding, doc=doc)
                    for name, (shape, dtype, doc) in tensors.items()
                }
            ),
            metadata=tfds.core.MetadataDict(),
            homepage="https://arxiv.org/abs/2205.03708",
            disable_shuffling=True,
        )
        # TFDS's bucket has nothing about it, and each look there leaves a temporary folder.
        info.initialize_from_bucket = lambda: None  # type: ignore[method-assign]
        return info

    # ---------------------------------------------------------------------------------------------
    # Building
    # ---------------------------------------------------------------------------------------------

    def download_and_prepare(self, *, download_config=None, **kwargs):
        """Build the data set, as TFDS does, but resume a build that was killed.

        Batches that a killed build finished are stored beside the data set and used again; they are
        removed once the data set is complete. A data set that was built with
        `max_examples_per_split` is used again only where no more simulations are asked for.

        Raises:
            ValueError: for a configuration that cannot be simulated, before anything is written;
                when the existing data set has fewer simulations than are asked for.
            OSError: when `data_dir` cannot be written, or another process builds the same there.
        """
        download_config = download_config or tfds.download.DownloadConfig()
        for name in ("max_examples_per_split", "num_shards"):
            if getattr(download_config, name) is not None:
                checks.count(getattr(download_config, name), name)
        mode, most = download_config.download_mode, download_config.max_examples_per_split
        complete = self.is_prepared() and not mode.overwrite_dataset
        if complete:
            self._batches.clear_if_unlocked()
        update = mode == tfds.download.GenerateMode.UPDATE_DATASET_INFO
        if complete and not update and (missing := self._missing(most)):
            raise ValueError(
                f"{missing}: remove its folder and build it again, or ask for no more by "
                "`max_examples_per_split`."
            )
        self._most = most
        if complete or update:
            super().download_and_prepare(download_config=download_config, **kwargs)
            return
        from tfds_esw import simulations  # here, since only a build needs Keras

        self.builder_config.require_unchanged()
        simulations.check(self.builder_config)
        with self._batches.locked():
            self._batches.remove_unfinished()
            for unfinished in self.data_path.parent.glob(f"incomplete.*_{self.version}"):
                unfinished.rmtree()
            super().download_and_prepare(download_config=download_config, **kwargs)
            self._batches.clear()

    @functools.cached_property
    def _batches(self):
        name = f"{self.builder_config.digest[:16]}-{self.version}"
        folder = epath.Path(self.data_dir_root) / self.name / ".kept" / name
        features = {
            name: np.broadcast_to(np.zeros((), feature.np_dtype), (BATCH, *feature.shape))
            for name, feature in self.info.features.items()
        }
        return BatchCache(folder, features)

    def _download_and_prepare(self, dl_manager, download_config):
        from tfds_esw import simulations

        self._download_config = download_config
        if download_config.beam_options or download_config.beam_runner:
            self._on_beam()
        else:
            simulations_in_all = sum(map(len, self._chosen().values()))
            with counter("simulations", simulations_in_all) as self._count:
                super()._download_and_prepare(dl_manager, download_config)
        files = self.data_path.glob(f"{self.name}-*")
        config = self.builder_config
        self.info.metadata.update(
            # Irregular grains differ from magnet to magnet.
            structure=simulations.structure(config).get_config() if config.grains is None else None,
            parameters=config.parameters,
            versions=versions(),
            files={file.name: file.stat().length for file in sorted(files)},
        )

    def _shard_iterators_per_split(self, dl_manager):
        # Written as they are simulated. TFDS's writer for generators would hold up to 1 GB of
        # examples in memory, or all of them twice on disk, to sort what is in order already.
        return {
            name: [functools.partial(self._generate_examples, part) for part in self._shards(all_)]
            for name, all_ in self._chosen().items()
        }

    def _generate_examples(self, indices: range):
        """Yield keys and examples of the simulations `indices`, in order."""
        for key_example in _generate(self.builder_config, self._batches, indices):
            yield key_example
            self._count()

    def _on_beam(self):
        """Write the same shards by Beam's workers; only their names go through Beam."""
        import apache_beam as beam
        import keras

        splits = {}  # by name: the parts of its indices, the files for them, their template
        for name, indices in self._chosen().items():
            parts = self._shards(indices)
            template = self._get_filename_template(name)
            splits[name] = parts, template.sharded_filepaths(len(parts)), template
        tasks = [
            (str(path), part)
            for parts, paths, _ in splits.values()
            for path, part in zip(paths, parts, strict=True)
        ]
        writer = writer_lib.ShardWriter(
            features=self.info.features,
            serializer=example_serializer.ExampleSerializer(
                self.info.features.get_serialized_info()
            ),
            example_writer=self._example_writer(),
        )
        write = functools.partial(
            _write, writer, self.builder_config, self._batches, keras.backend.backend()
        )
        options = self._download_config.beam_options
        with beam.Pipeline(runner=self._download_config.beam_runner, options=options) as pipeline:
            # Reshuffled, so that tasks go to whichever worker is free.
            _ = pipeline | beam.Create(tasks) | beam.Reshuffle() | beam.Map(write)
        self.info.set_splits(
            tfds.core.splits.SplitDict(
                [
                    tfds.core.SplitInfo(
                        name=name,
                        shard_lengths=[len(part) for part in parts],
                        num_bytes=sum(path.stat().length for path in paths),
                        filename_template=template,
                    )
                    for name, (parts, paths, template) in splits.items()
                ]
            )
        )

    def _chosen(self) -> dict[str, range]:
        """Return the indices of the simulations in each split."""
        most = self._download_config.max_examples_per_split
        return {n: self.builder_config.indices(n)[:most] for n in self.builder_config.splits}

    def _shards(self, indices: range) -> list[range]:
        """Divide `indices` into the parts for each shard: of complete batches, if possible."""
        n = self._download_config.num_shards
        if n:
            ends = shard_utils.get_shard_boundaries(len(indices), min(n, len(indices)))
        else:
            features = self.info.features.values()
            size = sum(math.prod(f.shape) * np.dtype(f.np_dtype).itemsize for f in features)
            first, last = indices[0] // BATCH, indices[-1] // BATCH
            most = min(self._download_config.max_shard_size, _SHARD_BYTES)
            n = min(-(-size * len(indices) // most), last - first + 1)
            ends = shard_utils.get_shard_boundaries(last - first + 1, n)
            ends = [min((first + end) * BATCH - indices[0], len(indices)) for end in ends]
        return [indices[a:b] for a, b in zip([0, *ends], ends, strict=False)]

    # ---------------------------------------------------------------------------------------------
    # Reading
    # ---------------------------------------------------------------------------------------------

    def as_dataset(self, *args, **kwargs):
        """Return a `tf.data.Dataset`, as TFDS does.

        Warns where `max_examples_per_split` left out simulations, unless this builder's
        `download_and_prepare` was called with it.

        Raises:
            ValueError: where there are no data, or the metadata or a file's length are not as they
                were built.
        """
        self._check_data()
        return super().as_dataset(*args, **kwargs)

    def as_data_source(self, *args, **kwargs):
        """Return a random-access data source, as TFDS does.

        Warns as `as_dataset` does.

        Raises:
            ValueError: as `as_dataset`, or where the format does not allow random access.
        """
        self._check_data()
        stored = self.info.available_file_formats()
        if not stored & tfds.core.FileFormat.with_random_access():
            raise ValueError(
                f"{self.data_path} must be of the format array_record for a data source, and is "
                f"{self.info.file_format.value}: give another `data_dir`, or read it with "
                "`as_dataset`."
            )
        return super().as_data_source(*args, **kwargs)

    def _check_data(self):
        if not self.is_prepared():
            raise ValueError(
                f"{self.info.full_name} must be built before it is read, by download_and_prepare; "
                f"{self.data_path} holds no data set."
            )
        for name, length in metadata(self.info)["files"].items():
            path = self.data_path / name
            actual = path.stat().length if path.exists() else 0
            if actual != length:
                raise ValueError(
                    f"{path} must have {length} bytes, as it was built; it has {actual}: remove "
                    "its folder and build it again."
                )
        if missing := self._missing(self._most):
            warnings.warn(f"{missing}.", stacklevel=3)

    def _missing(self, most: int | None) -> str | None:
        """Return the words for a data set with fewer simulations than asked for; else None."""
        asked = metadata(self.info)["parameters"]["splits"]
        short = [
            f"{self.info.splits[name].num_examples} of the {n} simulations of {name!r}"
            for name, n in asked.items()
            if self.info.splits[name].num_examples < min(n, most or n)
        ]
        if not short:
            return None
        return (
            f"{self.data_path} holds only {', '.join(short)}, since it was built with "
            "`max_examples_per_split`"
        )


def _generate(config: Config, batches: BatchCache, indices: range):
    """Yield keys and examples of the simulations `indices`, and store batches not stored yet."""
    from tfds_esw import simulations

    for number in range(indices[0] // BATCH, indices[-1] // BATCH + 1):
        name = batch_name(number)
        batch = batches.load(name)
        if batch is None:
            batch = simulations.batch(config, number)
            batches.save(name, batch)
        for row, index in enumerate(batch["index"].tolist()):
            if index in indices:
                yield index, {feature: values[row] for feature, values in batch.items()}


def batch_name(number: int) -> str:
    """Return the name under which batch `number` is stored; others for other backends, versions."""
    import keras

    return f"{number:08d}-{keras_micromag.__version__}-{keras.backend.backend()}"


def _write(writer, config, batches, backend, task) -> None:
    """Write a shard in a Beam worker, atomically."""
    os.environ.setdefault("KERAS_BACKEND", backend)
    path, indices = task
    with tfds.core.utils.incomplete_file(epath.Path(path)) as partial:
        writer.write(examples=_generate(config, batches, indices), path=partial)
