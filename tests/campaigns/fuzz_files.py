"""Damaged files for the readers of the package; see `fuzz`."""

import io
import json
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np
from numpy.random import Generator

from keras_micromag import physics
from keras_micromag.models import LatentHysteresis, RecursiveRolloutModel, autoencoder, predictor
from keras_micromag.paper.prediction import predicted_loops
from tests.campaigns import damage
from tests.campaigns.sandbox import Call
from tests.physics.io.neper.files import two_tetrahedra

CELL = "  *ori\n   rodrigues:active\n   0.1 0.2 0.3\n   0.3 0.1 0.2\n  *crysym\n   hexagonal\n"


def written(write: Callable[[Path], object], suffix: str = "") -> bytes:
    """Return the content of the file that a function writes."""
    with TemporaryDirectory() as folder:
        path = Path(folder, f"file{suffix}")
        write(path)
        return path.read_bytes()


@cache
def polycrystal() -> physics.Microstructure:
    """Return four irregular grains."""
    return physics.voronoi_grains(4, 100e-9, seed=1, gap=0.0, relaxation=2)


# -------------------------------------------------------------------------------------------------
# Grains
# -------------------------------------------------------------------------------------------------


@cache
def tessellations() -> list[bytes]:
    """Return intact `.tess` files."""
    axes = physics.random_easy_axes(4, seed=1)
    return [
        two_tetrahedra("3.4", cell=CELL).encode(),
        two_tetrahedra("2.0").encode(),
        written(lambda path: physics.write_neper(path, polycrystal(), easy_axes=axes)),
        written(lambda path: physics.write_neper(path, physics.cubic_grains((2, 1, 1), gap=0.0))),
    ]


def tess(rng: Generator, folder: Path) -> Call:
    """Return a reader of a damaged `.tess` file, which makes a magnet of its cells."""
    path = folder / "grains.tess"
    path.write_bytes(damage.as_file(rng, damage.pick(rng, tessellations()), is_text=True))
    gap = damage.pick(rng, (0.0, 1e-9))
    unit = damage.pick(rng, (1e-6, 1e-7))
    return Call(lambda: physics.read_neper(path, unit=unit).microstructure(gap=gap, depth=1e-9))


@cache
def meshes() -> list[tuple[str, bytes, bool]]:
    """Return intact files of surface meshes: suffix, content, and whether it is text."""
    import trimesh

    bodies = [*magnet().grains, polycrystal().grains[0].translated([0.0, 0.0, 300e-9])]
    vertices = np.concatenate([body.vertices for body in bodies]) * 1e9
    first = np.cumsum([0, *(len(body.vertices) for body in bodies)])
    faces = [
        [start + i for i in face]
        for start, body in zip(first, bodies, strict=False)
        for face in body.faces
    ]
    rows = [" ".join(map(repr, row)) for row in vertices.tolist()]
    loops = [" ".join(map(str, [len(face), *face])) for face in faces]
    off = "\n".join(["OFF", f"{len(rows)} {len(loops)} 0", *rows, *loops])
    head = ["ply", "format ascii 1.0", f"element vertex {len(rows)}"]
    head += [f"property float {axis}" for axis in "xyz"]
    head += [f"element face {len(loops)}", "property list uchar int vertex_indices", "end_header"]
    corners = [" ".join(f"{i + 1}//1" for i in face) for face in faces]
    obj = [*(f"v {row}" for row in rows), "vn 0 0 1", *(f"f {corner}" for corner in corners)]
    triangles = [(face[0], a, b) for face in faces for a, b in pairwise(face[1:])]
    mesh = trimesh.Trimesh(vertices, triangles, process=False)

    def exported(kind):
        content = mesh.export(file_type=kind)
        return content if isinstance(content, bytes) else content.encode()

    return [
        ("off", off.encode(), True),
        ("ply", "\n".join([*head, *rows, *loops]).encode(), True),
        ("obj", "\n".join(obj).encode(), True),
        ("ply", exported("ply"), False),
        ("stl", exported("stl"), False),
        ("stl", exported("stl_ascii"), True),
        ("glb", exported("glb"), False),
    ]


def mesh_files(rng: Generator, folder: Path) -> Call:
    """Return a reader of a damaged file of a surface mesh, which makes a magnet of its bodies."""
    suffix, content, is_text = damage.pick(rng, meshes())
    path = folder / f"grains.{suffix}"
    path.write_bytes(damage.as_file(rng, content, is_text))
    return Call(lambda: physics.Microstructure(physics.read_surfaces(path, unit=1e-9), depth=1e-9))


# -------------------------------------------------------------------------------------------------
# Archives
# -------------------------------------------------------------------------------------------------


@cache
def magnet() -> physics.Microstructure:
    """Return eight cubic grains."""
    return physics.cubic_grains((2, 2, 2))


@cache
def loops(method: str = "steps") -> physics.Hysteresis:
    """Return short loops of three magnets."""
    axes = physics.random_easy_axes((3, 8), seed=1)
    field = np.linspace(8.0, -8.0, 5)
    return physics.simulate(magnet(), axes, field=field, method=method, progress=False)


@cache
def arrays_files() -> dict[str, list[bytes]]:
    """Return intact `.npz` files by what they hold."""
    return {
        "loops": [written(loops(method).save) for method in ("steps", "events")],
        "operator": [
            written(physics.demag_operator(magnet(), kind).save)
            for kind in ("dense", "lattice", "hierarchical")
        ],
    }


@cache
def checkpoint() -> dict[str, bytes]:
    """Return the files of a complete checkpoint by name."""
    with TemporaryDirectory() as folder:
        resumed(Path(folder))
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def resumed(folder: Path) -> physics.Hysteresis:
    """Return the loop of a checkpoint."""
    axes = physics.random_easy_axes(8, seed=1)
    field = np.linspace(8.0, -8.0, 5)
    return physics.simulate(magnet(), axes, field=field, progress=False, checkpoint=folder)


def _array_member(rng, name, content):
    """Return a damaged `.npy` member: another array, or other bytes."""
    if rng.random() < 0.3:
        return damage.bytes_(rng, content)
    stored = np.load(io.BytesIO(content))
    result = io.BytesIO()
    np.save(result, damage.array(rng, stored, objects=False), allow_pickle=False)
    return result.getvalue()


def npz(rng: Generator, folder: Path) -> Call:
    """Return a reader of damaged loops, of a damaged operator, or of a damaged checkpoint."""
    kind = damage.pick(rng, ("loops", "operator", "checkpoint"))
    if kind == "checkpoint":
        return _damaged_checkpoint(rng, folder / "checkpoint")
    path = folder / "file.npz"
    content = damage.pick(rng, arrays_files()[kind])
    path.write_bytes(damage.archive(rng, content, _array_member))
    if kind == "loops":
        return Call(lambda: use(physics.Hysteresis.load(path)))
    moments = np.ones((8, 3))
    return Call(lambda: physics.DemagOperator.load(path, magnet())(moments))


def _damaged_checkpoint(rng, folder):
    folder.mkdir()
    files = dict(checkpoint())
    name = damage.pick(rng, [name for name in files if files[name]])
    if name.endswith(".npz"):
        files[name] = damage.archive(rng, files[name], _array_member)
    elif rng.random() < 0.5:
        files[name] = json.dumps(damage.json_(rng, json.loads(files[name]))).encode()
    else:
        files[name] = damage.as_file(rng, files[name], is_text=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return Call(lambda: resumed(folder))


def use(loops: physics.Hysteresis) -> None:
    """Read everything off loops."""
    loops.coercivity(), loops.remanence(), loops.energy_product()
    _ = loops.mean_magnetization, loops.magnetization_along_field, loops.switching_fields
    loops.to_xarray()
    if loops.magnetization.ndim == 4 and len(loops.magnetization):
        loops[0]
    loops.save("copy.npz")
    Path("copy.npz").unlink()


# -------------------------------------------------------------------------------------------------
# Models
# -------------------------------------------------------------------------------------------------


@cache
def model_file() -> bytes:
    """Return an intact `.keras` file of a small model that `keras-micromag predict` takes."""
    keras.utils.set_random_seed(1)
    rollout = RecursiveRolloutModel(predictor(2, 2, hidden_layers=1, width=4), 2, 2)
    whole = autoencoder((2, 2, 2), 2, units=(4,))
    model = LatentHysteresis(whole, rollout, trained_along=np.linspace(8.0, -8.0, 5))
    return written(model.save, ".keras")


def _model_member(rng, name, content):
    """Return a damaged member of a `.keras` file."""
    if name.endswith(".json") and rng.random() < 0.8:
        return json.dumps(damage.json_(rng, json.loads(content))).encode()
    return damage.as_file(rng, content, name.endswith(".json"))


def keras_files(rng: Generator, folder: Path) -> Call:
    """Return a prediction with a damaged `.keras` file."""
    path = folder / "model.keras"
    path.write_bytes(damage.archive(rng, model_file(), _model_member))
    return Call(lambda: predicted_loops(path, loops()))
