"""The canary: how much of the traffic the candidate gets, who decided that and why."""
