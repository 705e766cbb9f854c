"""From a variable's blocks to runs of values and exact gaps; rows of a group by tick. Pure."""
