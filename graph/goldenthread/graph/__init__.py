"""What is kept and how it is walked: the model, the Store protocol, the stores, and the vault that seals before it is kept."""
