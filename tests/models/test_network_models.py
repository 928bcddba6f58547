"""Laws of the models that read whole networks, Packed without padding, and their equations as slow loops."""

import math
from dataclasses import fields, replace

import pytest
import torch
from safetensors.torch import load, save
from torch import nn
from torch.nn import functional

from narformer.models import MODELS
from narformer.models.kernel_sum import BYTES, EDGE
from narformer.network import Architecture, Op
from narformer.predictors.build import make_model, make_tokenizer
from narformer.tokens import Batch, Packed, packed
from narformer.tokens.kernels import FEATURES

FLOAT64 = 1e-10
# Each model: its tokenizer with options, and its own options, at a size for tests.
CASES = {
    "brp-nas": ("nnlp", {}, {"width": 12, "layers": 3}),
    "kernel-sum": ("kernels", {}, {"width": 8, "members": 2}),
    "narformer": ("narformer-network", {"length": 2}, {"heads": 6, "depths": (2, 1, 1, 1), "head": "mlp"}),
    "narformer-v2": (
        "narformer-v2-network",
        {},
        {"width": 16, "groups": 4, "blocks": 2, "pooling": "sum", "layer_fusion": False},
    ),
    "nnlp": ("nnlp", {}, {"width": 12}),
    "tpu-cost": ("kernels", {}, {"width": 12}),
}
MAP, SMALL = (1, 6, 8, 8), (1, 6, 4, 4)
INPUT, RELU = Op.of("Input", MAP), Op.of("Relu", MAP)
CONV = Op.of("Conv", MAP, kernel_shape=(3, 3), pads=(1, 1, 1, 1))
WIDE = Op.of("Conv", MAP, kernel_shape=(5, 5), pads=(2, 2, 2, 2))
POOL = Op.of("MaxPool", SMALL, kernel_shape=(2, 2), strides=(2, 2))
NETWORKS = (
    Architecture((INPUT, CONV, RELU, POOL), ((0, 1), (1, 2), (2, 3)), "chain"),
    Architecture((INPUT, CONV, POOL, POOL, Op.of("Mul", SMALL)), ((0, 1), (1, 2), (1, 3), (2, 4), (3, 4)), "diamond"),
    Architecture((INPUT, WIDE, Op.of("Add", MAP), CONV), ((0, 1), (1, 2), (1, 2), (2, 3)), "x + x"),
    Architecture((INPUT,), (), "single"),  # and no kernel at all
)
every_model = pytest.mark.parametrize("name", CASES)


def build(name, seed=1, attributes=1, **options):
    """The batch of NETWORKS, and the model with the scales of its features; both in float64."""
    tokenizer_name, written, sizes = CASES[name]
    tokenizer = make_tokenizer(tokenizer_name, written, ())
    batch = tokenizer.batch(NETWORKS).double()
    model = make_model(name, sizes | options, tokenizer, seed, attributes).double().eval()
    model.precision = torch.float64
    model.standardise(batch, torch.ones(len(batch), attributes))
    if name == "kernel-sum":  # its last layer begins with zeros, which hide all others
        nn.init.normal_(model.out.weight, std=0.3, generator=torch.Generator().manual_seed(seed))
        nn.init.normal_(model.apart, std=0.3, generator=torch.Generator().manual_seed(seed))
    return batch, model


def answers(model, batch):
    with torch.inference_mode():
        return model(batch)


def reordered(batch, seed=0):
    """The same networks with the nodes of each in another order, and the edges."""
    generator = torch.Generator().manual_seed(seed)
    order = (batch.owner_N + torch.rand(len(batch.kind_N), generator=generator) * 0.9).argsort()
    edges = (batch.owner_N[batch.edge_2Y[0]] + torch.rand(batch.edge_2Y.shape[1], generator=generator) * 0.9).argsort()
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    return replace(
        batch, x_NF=batch.x_NF[order], kind_N=batch.kind_N[order], edge_2Y=place[batch.edge_2Y][:, edges]
    ), order


def padded(batch):
    """The Batch of a Packed one."""
    x_BNF, mask_BN = batch.padded()
    B, N = mask_BN.shape
    column_N = mask_BN.nonzero()[:, 1]
    source_Y, target_Y = batch.edge_2Y
    kind_BN = torch.zeros(B, N, dtype=torch.int64).index_put((batch.owner_N, column_N), batch.kind_N)
    adj_BNN = x_BNF.new_zeros(B, N, N)
    adj_BNN[batch.owner_N[source_Y], column_N[source_Y], column_N[target_Y]] = 1
    return Batch(x_BNF, kind_BN, adj_BNN, mask_BN, batch.whole_BG)


def close(one, other):
    torch.testing.assert_close(one, other, atol=FLOAT64, rtol=0)


def test_every_model_of_whole_networks_has_a_case():
    assert set(CASES) == {name for name, model in MODELS.items() if Packed in model.reads}


@every_model
@pytest.mark.parametrize("attributes", [1, 2, 3])
def test_there_is_a_column_for_each_attribute_and_a_number_for_each_member(name, attributes):
    batch, model = build(name, attributes=attributes)
    y_BTE = answers(model, batch)
    assert y_BTE.shape == (len(NETWORKS), attributes, getattr(model.config, "members", 1))
    assert y_BTE.isfinite().all()
    for first in range(attributes):
        for second in range(first):
            apart = (y_BTE[:3, first] - y_BTE[:3, second]).abs()  # of the networks that have a kernel
            assert apart.min() > 1e-6


@every_model
def test_company_changes_nothing(name):
    batch, model = build(name)
    together = answers(model, batch)
    assert together.isfinite().all()
    assert together[:, 0, 0].diff().abs().min() > 1e-7  # the networks are told apart, or the law says nothing
    close(together, torch.cat([answers(model, batch.take(torch.tensor([row]))) for row in range(len(batch))]))


@every_model
def test_the_order_of_networks_reorders_the_answers(name):
    batch, model = build(name)
    order = torch.tensor([3, 1, 0, 2, 1])
    close(answers(model, batch.take(order)), answers(model, batch)[order])


@every_model
def test_the_order_of_nodes_changes_nothing(name):
    batch, model = build(name)
    other, order = reordered(batch)
    assert not torch.equal(order, order.sort().values)
    close(answers(model, other), answers(model, batch))


@every_model
def test_edges_matter(name):
    """Also where they are numbers of the nodes, as NAR-Former writes them."""
    tokenizer = make_tokenizer(*CASES[name][:2], ())
    _, model = build(name)
    whole, cut = (
        packed([tokenizer.network(Architecture(n.ops, n.edges if kept else ())) for n in NETWORKS[:3]]).double()
        for kept in (True, False)
    )
    assert (answers(model, cut) - answers(model, whole)).abs().min() > 1e-9


@every_model
def test_every_parameter_gets_a_gradient(name):
    batch, model = build(name)
    torch.manual_seed(0)
    model.train()(batch).square().sum().backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@every_model
def test_dropout_is_for_training_only(name):
    batch, model = build(name, dropout=0.5)
    assert torch.equal(answers(model, batch), answers(model, batch))
    model.train()
    assert not torch.equal(answers(model, batch), answers(model, batch))


@every_model
def test_the_seed_decides_the_weights(name):
    one, again, other = (dict(build(name, seed)[1].named_parameters()) for seed in (1, 1, 2))
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@every_model
def test_weights_saved_and_loaded_give_the_same_answers(name):
    batch, model = build(name)
    tokenizer_name, written, sizes = CASES[name]
    tokenizer = make_tokenizer(tokenizer_name, written, ())
    other = make_model(name, sizes, tokenizer, seed=2).double().eval()
    other.precision = torch.float64
    assert not torch.equal(answers(other, batch), answers(model, batch))
    other.load_state_dict(load(save(model.state_dict())))
    assert torch.equal(answers(other, batch), answers(model, batch))


@every_model
def test_float32_is_near_float64(name):
    batch, model = build(name)
    exact = answers(model, batch)
    model.float().precision = torch.float32
    held = (getattr(batch, field.name) for field in fields(batch))
    single = Packed(*(values.float() if values.is_floating_point() else values for values in held))
    rough = answers(model, single)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough.double(), exact, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("undirected", [True, False])
@pytest.mark.parametrize("pooling", ["sum", "mean"])
def test_narformer_v2_edge_by_edge_is_narformer_v2_by_matrices(undirected, pooling):
    batch, model = build("narformer-v2", undirected=undirected, pooling=pooling)
    close(answers(model, batch), answers(model, padded(batch)))


def test_narformer_of_networks_one_after_the_other_is_narformer_of_padded_ones(monkeypatch):
    batch, model = build("narformer")
    expected = answers(model, padded(batch))
    close(answers(model, batch), expected)
    monkeypatch.setattr("narformer.models.narformer.PAIRS", 40)  # two of the small ones at once, large ones alone
    close(answers(model, batch), expected)


@pytest.mark.parametrize("name", ["kernel-sum", "tpu-cost"])
def test_times_of_kernels_add_up_to_the_answer(name):
    batch, model = build(name)
    with torch.inference_mode():
        log_times = model.kernels(batch)
    time_NX = (log_times.T if name == "kernel-sum" else log_times).exp()
    torch.testing.assert_close(batch.sums(time_NX), answers(model, batch).flatten(1).exp(), atol=2e-9, rtol=1e-10)


def test_tpu_cost_does_not_see_the_scales_of_features():
    batch, model = build("tpu-cost")
    before = answers(model, batch)
    scaled = replace(batch, x_NF=batch.x_NF * 3 - 7)
    assert (answers(model, scaled) - before).abs().max() > 1e-4
    model.standardise(scaled, torch.ones(len(scaled), 1))
    close(answers(model, scaled), before)


def each_alone(batch):
    """(numbers, edges as pairs) of each network."""
    for row in range(len(batch)):
        one = batch.take(torch.tensor([row]))
        yield one, list(zip(*one.edge_2Y.tolist(), strict=True))


def test_nnlp_node_by_node():
    batch, model = build("nnlp")
    expected = []
    with torch.inference_mode():
        for one, edges in each_alone(batch):
            h = list(one.x_NF)
            for neighbours, own in zip(model.neighbours, model.own, strict=True):
                new = []
                for i in range(len(h)):
                    near = [h[t] for s, t in edges if s == i] + [h[s] for s, t in edges if t == i]
                    mean = sum(near) / len(near) if near else torch.zeros_like(h[i])
                    z = neighbours.weight @ mean + neighbours.bias + own.weight @ h[i]
                    new.append((z / z.norm()).clamp(min=0))
                h = new
            static = (model.static[0].weight @ one.whole_BG[0] + model.static[0].bias).clamp(min=0)
            y = torch.cat([sum(h), static])
            for layer in (model.head[0], model.head[3]):
                y = (layer.weight @ y + layer.bias).clamp(min=0)
            expected.append((1 + torch.exp(-(model.head[6].weight @ y + model.head[6].bias))).log())
    close(answers(model, batch).squeeze(2), torch.stack(expected))


def test_brp_nas_by_matrices():
    """The global node is row 0 of A, and its own kind of node."""
    batch, model = build("brp-nas")
    expected = []
    with torch.inference_mode():
        for one, edges in each_alone(batch):
            N, F = one.x_NF.shape
            A = torch.eye(N + 1).double()
            A[0] = 1
            for s, t in edges:
                A[s + 1, t + 1] = 1
            H = torch.zeros(N + 1, F + 1).double()
            H[0, F], H[1:, :F] = 1, one.x_NF
            for layer, norm in zip(model.layers, model.norms, strict=True):
                H = A @ H @ layer.weight.T + layer.bias
                H = (H - H.mean(1, keepdim=True)) / (H.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
                H = (H * norm.weight + norm.bias).clamp(min=0)
            expected.append(model.head.weight @ H[0] + model.head.bias)
    close(answers(model, batch).squeeze(2), torch.stack(expected))


def test_tpu_cost_kernel_by_kernel():
    batch, model = build("tpu-cost")

    def mean(layer, near):
        values = [(layer.weight @ h + layer.bias).clamp(min=0) for h in near]
        return sum(values) / len(values) if values else torch.zeros(12).double()

    expected = []
    with torch.inference_mode():
        for one, edges in each_alone(batch):
            x_NF = functional.hardtanh((one.x_NF - model.standardised.center_F) * model.standardised.scale_F, -5, 5)
            rows = [torch.cat([model.kind.weight[k], x]) for k, x in zip(one.kind_N, x_NF, strict=True)]
            h = [(model.first.weight @ row + model.first.bias).clamp(min=0) for row in rows]
            for layer in model.layers:
                before, h = h, []
                for i, own in enumerate(before):
                    parents = mean(layer.incoming, [before[s] for s, t in edges if t == i])
                    children = mean(layer.outgoing, [before[t] for s, t in edges if s == i])
                    z = layer.all.weight @ torch.cat([own, parents, children]) + layer.all.bias
                    h.append(z.clamp(min=0) / z.clamp(min=0).norm())
            hidden = [(model.head[0].weight @ own + model.head[0].bias).clamp(min=0) for own in h]
            times = [(model.head[3].weight @ own + model.head[3].bias).exp() for own in hidden]
            expected.append(sum(times).log() if times else torch.tensor([-20.7], dtype=torch.float64))
    close(answers(model, batch).squeeze(2), torch.stack(expected))


def test_the_roofline_as_a_loop():
    batch, model = build("kernel-sum", attributes=2, members=2)
    roof_XK = model.roofline(batch)
    assert len(roof_XK) == 4
    for row in range(4):  # each member of each attribute
        (size, faster), rates = model.cache[row].exp().tolist(), model.rates[row]
        for kernel, kind in enumerate(batch.kind_N.tolist()):
            told = dict(zip(FEATURES, batch.x_NF[kernel].tolist(), strict=True))
            flops = math.exp(told["flops"])
            moved = sum(math.exp(told[name]) for name in BYTES)
            flops_ms, byte_ms, start_ms = (rates + model.apart[row, :, kind]).exp().tolist()
            cached = 1 / (1 + (moved / size) ** (1 / EDGE))  # 1 where all fits, 0 where next to nothing does
            expected = flops * flops_ms + moved * byte_ms / faster**cached + start_ms
            assert roof_XK[row, kernel].exp().item() == pytest.approx(expected, rel=1e-9)


def test_kernels_add_up_to_the_network():
    batch, model = build("kernel-sum", attributes=3, members=2)
    ms_TEK = model.kernels(batch).exp().view(3, 2, -1)
    for network in range(len(NETWORKS) - 1):  # the last one has no kernel
        said_TE = answers(model, batch)[network].exp()
        assert torch.allclose(ms_TEK[:, :, batch.owner_N == network].sum(2), said_TE)


def test_the_roofline_of_each_attribute_begins_where_its_labels_are():
    """Labels far from milliseconds, in an attribute of its own; networks without a label tell nothing."""
    batch, model = build("kernel-sum", attributes=2)
    before_XK = model.roofline(batch)  # of two members of each attribute
    target_BT = model.summed(batch, before_XK).mean(2).detach() + torch.tensor([9.0, 1.0])
    target_BT[0] = torch.nan
    model.standardise(batch, target_BT)
    expected_XK = before_XK + torch.tensor([[9.0], [9.0], [0.0], [0.0]])  # corrections reach what is nearer
    torch.testing.assert_close(model.roofline(batch), expected_XK, atol=1e-6, rtol=0)


def test_corrections_cost_in_training_alone():
    batch, model = build("kernel-sum", restraint=0.5)
    model(batch)
    assert model.strain == 0.0
    correction = model.correction(batch)
    model.train()(batch)
    assert model.strain.item() == pytest.approx(0.5 * correction.square().mean().item())
