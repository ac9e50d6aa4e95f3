"""The model server's metrics that others read, as they stand on its page."""

FEEDBACK = "loadproof_feedback_total"
USER_OUTCOMES = "loadproof_user_outcomes_total"
PREDICTIONS = "loadproof_predictions_total"
BATCH_ROWS = "loadproof_batch_rows"

CPU_LIMIT_CORES = "loadproof_cpu_limit_cores"
CPU_PERIODS = "loadproof_cpu_periods_total"
CPU_THROTTLED_PERIODS = "loadproof_cpu_throttled_periods_total"
CPU_THROTTLED_SECONDS = "loadproof_cpu_throttled_seconds_total"
