"""TFDS's own tests of a builder."""

from typing import ClassVar

import pytest

pytest.importorskip("dill", reason="tfds.testing wants it")

import tensorflow_datasets as tfds

import tfds_esw
from tfds_esw.config import CONFIGS

pytestmark = pytest.mark.integration


class TestBuilder(tfds.testing.DatasetBuilderTestCase):
    """Registered, prepared, read, reloaded; valid tags; no local paths in keys."""

    DATASET_CLASS = tfds_esw.Builder
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar = ["tiny"]
    SPLITS = next(config.splits for config in CONFIGS if config.name == "tiny")
    EXAMPLE_DIR = __file__.rpartition("/")[0]  # nothing is downloaded
    SKIP_TF1_GRAPH_MODE = True
