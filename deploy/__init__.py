"""Where else the lab of compose.yaml runs: on a swarm, and on Kubernetes."""
