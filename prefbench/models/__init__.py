"""Weights and the models they load into: backbones, language models, feature extractors."""
