"""From stored pictures to numbers: the only place where numbers of a run are computed."""
