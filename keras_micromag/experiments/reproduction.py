"""Every experiment of the paper, with as many processes as one likes, and one report."""

import dataclasses
import functools
import json
import time
from pathlib import Path

from keras_micromag.experiments import figures, folder, loops, reports, study, workers
from keras_micromag.physics import checks

METRICS = "metrics.json"


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
        ValueError: for an unknown experiment, or a folder that holds a run of other settings.
        ChildProcessError: when a process was killed.
    """
    for experiment in experiments:
        checks.one_of(experiment, "experiments", study.EXPERIMENTS)
    jobs = checks.count(jobs, "jobs")
    plan = plan or study.Plan()
    folder.settle(out, {"plan": dataclasses.asdict(plan)})
    for name in ("pieces", "models"):
        (out / name).mkdir(exist_ok=True)
    unseen, _ = loops.all_loops(plan.test, data_dir)
    if "learning" in experiments:
        loops.first_moments(plan.train, 1, data_dir)

    do = functools.partial(study.do, plan=plan, out=out, data_dir=data_dir)
    stages = study.pieces(plan, experiments)
    began, done, total = time.perf_counter(), 0, sum(map(len, stages))
    for stage in stages:
        for piece, found in workers.each(do, stage, jobs):
            done += 1
            minutes = (time.perf_counter() - began) / 60
            progress(
                f"[{done}/{total}, {minutes:.0f} min] {piece.name}: {found['seconds']:.0f} s, "
                f"{reports.in_short(found)}"
            )
    everything = {
        piece: json.loads(path.read_text(encoding="utf-8"))
        for stage in study.pieces(plan)
        for piece in stage
        if (path := out / "pieces" / f"{piece.name}.json").exists()
    }
    measured = {piece.name: found["measures"] for piece, found in everything.items()}
    folder.write_json(out / METRICS, measured)
    drawn = figures.draw_study(out, plan, unseen, everything)
    text = reports.of_study(plan, everything, drawn)
    folder.write_text(out / reports.REPORT, text)
    return everything
