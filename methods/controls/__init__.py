"""Controls: methods that exist to expose a metric."""
