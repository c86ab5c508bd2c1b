"""What a model that starts from nothing is taught beside answers; models that read images already do without."""
