"""What is particular to our own model; laws of all models are in test_laws.py."""

import torch

from narformer.models.relational import relations


def test_relations_are_made_where_the_batch_is():
    assert relations(torch.zeros(2, 3, 3, device="meta")).device.type == "meta"
