"""torchmetrics' image metrics as columns: `--metrics torchmetrics:NAME`."""
