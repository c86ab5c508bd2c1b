"""The learned personal scorer that ships: model, data, training, quality."""
