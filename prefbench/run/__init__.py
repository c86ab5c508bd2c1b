"""From a history to stored pictures: prepare a run, draw it, keep its folder."""
