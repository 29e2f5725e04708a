#!/usr/bin/env bash
# A search on a cluster: task 0 is KerasTuner's chief, all others are workers.
#
#     sbatch --ntasks 9 tuning/slurm.sh rollout --trials 200 --out /shared/rollout --data-dir /shared/data
#
# --out and --data-dir must be folders that all nodes see; the data sets must have been built.
#SBATCH --job-name=tuning
#SBATCH --cpus-per-task=1
#SBATCH --requeue
set -euo pipefail

# Outside of srun this is the job's script; it starts itself once for each task.
if [[ -z ${SLURM_STEP_ID:-} ]]; then
    KERASTUNER_ORACLE_IP=$(hostname -I | cut -d' ' -f1)
    export KERASTUNER_ORACLE_IP
    export KERASTUNER_ORACLE_PORT=$((20000 + SLURM_JOB_ID % 20000))
    script=$(scontrol show job "$SLURM_JOB_ID" | sed -n 's/^ *Command=\([^ ]*\).*/\1/p')
    exec srun --kill-on-bad-exit=1 bash "$script" "$@"
fi
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1
if [[ $SLURM_PROCID == 0 ]]; then
    export KERASTUNER_TUNER_ID=chief
    exec python -m tuning "$@"
fi
export KERASTUNER_TUNER_ID=worker$SLURM_PROCID
# A worker that ends by a signal gets its trial back when it comes again under its name.
for _ in 1 2 3 4 5; do
    status=0
    python -m tuning "$@" || status=$?
    [[ $status -gt 128 ]] || exit "$status"
done
exit "$status"
