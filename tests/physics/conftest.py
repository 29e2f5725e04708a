import pytest

from tests.keras_parts import precision


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """Each that is computed in, on any backend."""
    with precision(request.param):
        yield request.param
