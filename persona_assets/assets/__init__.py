"""The assets, one module per stage of the graph, thin: what reads what, and what it leaves."""
