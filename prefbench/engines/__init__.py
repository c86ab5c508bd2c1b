"""Many workers for one run: who draws, in which process and on which device, changes no image and no row."""
