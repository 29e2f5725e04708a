"""Reproduction of the paper: its experiments in several processes, and one report."""

import functools
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from keras_micromag.models.base import DivergenceError
from keras_micromag.paper import datasets, figures, folder, reports, study, workers
from keras_micromag.utils import checks


def reproduce(
    out: str | os.PathLike,
    *,
    data_dir: str | os.PathLike | None = None,
    experiments: Sequence[str] = study.EXPERIMENTS,
    jobs: int = 2,
    plan: study.Plan | None = None,
    progress: Callable[[str], object] = print,
) -> dict[study.Piece, dict]:
    """Run the experiments of the paper, and write tables and figures of the results.

    Each piece, a training with its measurements, has its own file, which is written as soon as the
    piece is finished. The same command continues after the last file, and repeats nothing.

    Args:
        out: folder for all files.
        data_dir: folder of the data sets, that of TFDS if None. Data sets are built if they do not
            exist.
        experiments: names in `study.EXPERIMENTS`. The report has all results in the folder, also
            those of earlier runs.
        jobs: number of processes, each on one core.
        plan: settings of the experiments; the defaults if None.
        progress: is called with a line of text for each piece.

    Returns:
        {piece: result} of all results in the folder.

    Raises:
        ValueError: for an unknown experiment, fewer magnets than the plan takes, or a folder with a
            run of other settings or one that another process is at work in.
        DivergenceError: with the names of the pieces that diverged, after all others are finished
            and reported.
        ChildProcessError: when a process was killed.
    """
    out = Path(out)
    for experiment in experiments:
        checks.one_of(experiment, "experiments", study.EXPERIMENTS)
    jobs = checks.count(jobs, "jobs")
    plan = plan or study.Plan()
    unseen, _ = datasets.load(plan.test, data_dir)
    most = max(plan.folds, plan.loss_folds, plan.grid_folds)
    if most > len(unseen.magnetization):
        raise ValueError(
            f"`plan` must have at most {len(unseen.magnetization)} repetitions, one for each "
            f"magnet; received {most}."
        )
    if "learning" in experiments:
        datasets.require_magnets(plan.train, max(plan.magnets))
        datasets.build(plan.train, data_dir)  # here, since several processes must not
    folder.prepare(out, {"plan": plan.settings()})
    with folder.locked(out, wait=False):
        for name in ("pieces", "models"):
            (out / name).mkdir(exist_ok=True)

        run = functools.partial(study.run_piece, plan=plan, out=out, data_dir=data_dir)
        stages = study.pieces(plan, experiments)
        began, done, total = time.perf_counter(), 0, sum(map(len, stages))
        diverged = {}
        progress(f"{total} pieces, {jobs} at a time; those that an earlier run has done are read.")
        for stage in stages:
            for piece, result in workers.map_in_processes(run, stage, jobs):
                done += 1
                minutes = (time.perf_counter() - began) / 60
                summary = reports.summary(result)
                progress(f"[{done}/{total}, {minutes:.0f} min] {piece.name}: {summary}")
                if "diverged" in result:
                    diverged[piece.name] = result["diverged"]
        results = {
            piece: json.loads(path.read_text(encoding="utf-8"))
            for stage in study.pieces(plan)
            for piece in stage
            if (path := out / "pieces" / f"{piece.name}.json").exists()
        }
        measured = {piece.name: result["measures"] for piece, result in results.items()}
        folder.write_json(out / folder.METRICS, measured)
        lattice = datasets.lattice_of(plan.test)
        drawn = figures.draw_study(out, plan, unseen, lattice, results)
        text = reports.of_study(plan, results, drawn)
        folder.write_text(out / folder.REPORT, text)
        if diverged:
            errors = "; ".join(f"{name}: {sentence}" for name, sentence in diverged.items())
            raise DivergenceError(f"The report lacks what diverged: {errors}")
        return results
