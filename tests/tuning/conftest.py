import pytest

import tfds_esw
from tests.paper.quick import OTHERS
from tests.tuning import quick


@pytest.fixture(scope="package")
def data(tmp_path_factory):
    """The folder with `tiny` built, and with what is tested by."""
    folder = tmp_path_factory.mktemp("data")
    for config in ("tiny", OTHERS):
        tfds_esw.Builder(config=config, data_dir=folder).download_and_prepare()
    return folder


@pytest.fixture(scope="package")
def prepared(tmp_path_factory):
    """The folder in which the autoencoder of `hypermodel` is kept."""
    return tmp_path_factory.mktemp("hypermodel")


@pytest.fixture(scope="package")
def hypermodel(prepared, data):
    """A `RolloutHyperModel` on `tiny`."""
    return quick.hypermodel(str(prepared), data)
