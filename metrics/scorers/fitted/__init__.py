"""`fitted`: a scorer that needs no trained model of preference, only judgments."""
