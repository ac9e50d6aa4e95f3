"""The applications, each as its server's own documentation shows it, and the models behind them."""
