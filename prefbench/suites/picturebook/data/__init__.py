"""Pictures and judgments to train on."""
