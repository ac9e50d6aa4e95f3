"""What ``kill -9`` costs a run: killed at random moments, then judged by the next command."""
