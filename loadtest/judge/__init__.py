"""From samples to a verdict: pure, so that a stored run can be judged again."""
