"""Every experiment of the paper, with as many processes as one likes, and one report."""

import functools
import json
import time
from pathlib import Path

from keras_micromag.models.base import DivergenceError
from keras_micromag.paper import datasets, figures, folder, reports, study, workers
from keras_micromag.utils import checks


def reproduce(
    out: Path,
    *,
    data_dir=None,
    experiments=study.EXPERIMENTS,
    jobs: int = 2,
    plan: study.Plan | None = None,
    progress=print,
) -> dict:
    """Do the experiments of the paper, and write tables and figures of what was found.

    Each piece, a training and what is measured of it, is kept in a file of its own as soon as it is
    done: the same command goes on after the last one, and does nothing twice.

    Args:
        out: folder for everything that is made.
        data_dir: of the data sets, TFDS's own if None; they are built where they are not there.
        experiments: of `study.EXPERIMENTS`. The report holds what was found up to now by any run.
        jobs: how many processes, each on one core.
        plan: the experiments' settings; the defaults if None.
        progress: is told of each piece, in a line.

    Returns:
        {piece: what was found}, of all that is in the folder.

    Raises:
        ValueError: for an unknown experiment, fewer magnets than the plan takes, or a folder that
            holds a run of other settings.
        DivergenceError: naming the pieces that diverged, when all others are done and reported.
        ChildProcessError: when a process was killed.
    """
    out = Path(out)
    for experiment in experiments:
        checks.one_of(experiment, "experiments", study.EXPERIMENTS)
    jobs = checks.count(jobs, "jobs")
    plan = plan or study.Plan()
    unseen, lattice = datasets.all_loops(plan.test, data_dir)
    most = max(plan.folds, plan.loss_folds, plan.grid_folds)
    if most > len(unseen.magnetization):
        raise ValueError(
            f"`plan` must have at most {len(unseen.magnetization)} repetitions, one for each "
            f"magnet; received {most}."
        )
    if "learning" in experiments:
        datasets.require(plan.train, max(plan.magnets), data_dir)
    folder.settle(out, {"plan": plan.settings()})
    for name in ("pieces", "models"):
        (out / name).mkdir(exist_ok=True)

    do = functools.partial(study.do, plan=plan, out=out, data_dir=data_dir)
    stages = study.pieces(plan, experiments)
    began, done, total = time.perf_counter(), 0, sum(map(len, stages))
    diverged = {}
    progress(f"{total} pieces, {jobs} at a time; those that an earlier run has done are read.")
    for stage in stages:
        for piece, found in workers.each(do, stage, jobs):
            done += 1
            minutes = (time.perf_counter() - began) / 60
            progress(f"[{done}/{total}, {minutes:.0f} min] {piece.name}: {reports.in_short(found)}")
            if "diverged" in found:
                diverged[piece.name] = found["diverged"]
    everything = {
        piece: json.loads(path.read_text(encoding="utf-8"))
        for stage in study.pieces(plan)
        for piece in stage
        if (path := out / "pieces" / f"{piece.name}.json").exists()
    }
    measured = {piece.name: found["measures"] for piece, found in everything.items()}
    folder.write_json(out / folder.METRICS, measured)
    drawn = figures.draw_study(out, plan, unseen, lattice, everything)
    text = reports.of_study(plan, everything, drawn)
    folder.write_text(out / folder.REPORT, text)
    if diverged:
        told = "; ".join(f"{name}: {sentence}" for name, sentence in diverged.items())
        raise DivergenceError(f"The report lacks what diverged: {told}")
    return everything
