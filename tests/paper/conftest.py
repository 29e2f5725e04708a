import pytest

from keras_micromag import recipes
from keras_micromag.paper.training import train
from tests.paper.quick import OTHERS, QUICK


@pytest.fixture(scope="package")
def run(tmp_path_factory):
    """A finished run: its folder, its settings as arguments, and its metrics."""
    out = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(recipes.RECIPES, "default", QUICK)
        arguments = {"data_dir": out / "data", "magnets": 4, "test": "tiny", "train": OTHERS}
        yield out, arguments, train(out, **arguments, progress=False)
