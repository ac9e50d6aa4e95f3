"""Takes a finished verdict to other tools: MLflow, a webhook, HTTP. May import judge, canary and below."""
