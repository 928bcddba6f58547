"""The roads of a network into the house, in the order in which they are taken."""

ROADS = ("module", "dynamo", "torchscript", "ort-extended", "ort-all", "int8-dynamic", "int8-static")
