# For the batch scripts of this folder, which read it in the project's folder.
#
#   run_or_requeue OPTIONS-OF-SRUN... -- COMMAND [OPTIONS]...
#
# runs a command of cli.py with srun. If it was asked to stop and SLURM does not end the job itself, the job goes back
# into the queue, once, under its number; the same command then goes on. The training writes its checkpoint, whoever asks:
#   - SIGUSR1, or SIGTERM at the command alone: the time limit comes near (--signal), a preemption with a time of grace,
#     `scancel --signal=USR1 JOB`. The script puts the job back.
#   - SIGTERM at the script, too: SLURM cancels the job, or preempts it and puts it back itself.

PYTHON="${PYTHON:-.venv/bin/python}"
if ! command -v "$PYTHON" > /dev/null; then
    echo "error: there is no $PYTHON in $PWD: \`make install\` makes .venv there; \$PYTHON may name another Python" >&2
    exit 2
fi
export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"
export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}" # srun does not take it over from sbatch

run_or_requeue() {
    local options=() is_ended_by_slurm="" status=0 held=()
    while [[ $1 != -- ]]; do
        options+=("$1")
        shift
    done
    shift
    # A signal waits until Python can handle it. RHEL 8's env cannot do this: there, one in the first tenths of a second
    # ends Python, with the same status.
    if env --block-signal=USR1 true 2> /dev/null; then held=(env --block-signal=USR1 --block-signal=TERM); fi
    trap 'is_ended_by_slurm=yes' TERM
    trap : USR1
    srun "${options[@]}" "${held[@]}" "$PYTHON" cli.py "$@" || status=$?
    if [[ -z $is_ended_by_slurm && ($status == 138 || $status == 143) ]]; then # of SIGUSR1 and SIGTERM
        echo "job $SLURM_JOB_ID goes back into the queue" >&2
        scontrol requeue "$SLURM_JOB_ID"
        sleep 60 & # in which SLURM ends this script: one that ended by itself would leave a failed job
        wait || true
    fi
    return "$status"
}
