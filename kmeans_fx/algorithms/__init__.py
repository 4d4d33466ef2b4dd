"""One loop a file over the same parts."""
