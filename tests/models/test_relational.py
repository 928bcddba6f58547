"""What is particular to our own model; laws of all models are in test_laws.py."""

import pytest
import torch

from narformer.models.relational import Relational, relations
from narformer.tokens import Batch


def test_relations_are_made_where_the_batch_is():
    assert relations(torch.zeros(2, 3, 3, device="meta")).device.type == "meta"


@pytest.mark.parametrize("option", ["relations", "graph_step", "both"])
def test_each_way_to_know_the_edges_can_be_left_out(option):
    """Only with both gone is one inner edge more or less no difference; the sinks are the same."""
    off = dict.fromkeys(("relations", "graph_step") if option == "both" else (option,), False)
    torch.manual_seed(0)
    model = Relational(Relational.Config(kinds=3, features=0, whole=0, width=8, heads=2, layers=2, inner=8, **off))
    if model.config.relations:
        torch.nn.init.normal_(model.relation)
    kind = torch.tensor([[0, 1, 1, 2]])
    chain = torch.diag(torch.ones(3), 1)[None]
    more = chain.clone()
    more[0, 0, 2] = 1
    with torch.inference_mode():
        one, other = (
            model.eval()(Batch(torch.zeros(1, 4, 0), kind, adj, kind >= 0, torch.zeros(1, 0))) for adj in (chain, more)
        )
    assert torch.allclose(one, other) == (option == "both")
    assert sum(parameter.requires_grad for parameter in model.parameters()) == len(list(model.parameters())) - (
        not model.config.relations
    )
