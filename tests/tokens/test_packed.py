"""Laws of laying networks one after the other: everything must stay with its own network."""

from dataclasses import fields

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from narformer.tokens.packed import LEAST, Packed, packed

QUICK = settings(deadline=None, max_examples=40)


@st.composite
def networks(draw):
    """One network of up to five nodes, with numbers of its own."""
    count = draw(st.integers(0, 5))
    ends = st.integers(0, max(count - 1, 0))
    edges = draw(st.lists(st.tuples(ends, ends), max_size=6)) if count else []
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    return Packed(
        torch.randn(count, 3, generator=generator),
        torch.randint(9, (count,), generator=generator),
        torch.tensor(edges, dtype=torch.int64).view(-1, 2).T,
        torch.tensor([count]),
        torch.tensor([len(edges)]),
        torch.randn(1, 2, generator=generator),
    )


many = st.lists(networks(), min_size=1, max_size=6)


def agree(one, other):
    for field in fields(Packed):
        a, b = getattr(one, field.name), getattr(other, field.name)
        assert a.dtype == b.dtype
        assert torch.equal(a, b), field.name


def slices(batch):
    """The rows of each network."""
    end = batch.nodes_B.cumsum(0).tolist()
    return [slice(stop - count, stop) for stop, count in zip(end, batch.nodes_B.tolist(), strict=True)]


@QUICK
@given(st.data(), many)
def test_taking_is_packing_what_is_taken(data, parts):
    """Any rows, in any order, as often as one likes."""
    rows = data.draw(st.lists(st.integers(0, len(parts) - 1), min_size=1, max_size=8))
    agree(packed(parts).take(torch.tensor(rows)), packed([parts[row] for row in rows]))


@QUICK
@given(many)
def test_taking_none_leaves_none(parts):
    none = packed(parts).take(torch.tensor([], dtype=torch.int64))
    assert [len(none), len(none.x_NF), none.edge_2Y.shape, len(none.whole_BG)] == [0, 0, (2, 0), 0]


@QUICK
@given(many, many, many)
def test_packing_is_associative(one, two, three):
    agree(packed([packed(one), packed([*two, *three])]), packed([packed([*one, *two]), packed(three)]))


@QUICK
@given(many)
def test_edges_stay_inside_of_their_network(parts):
    batch = packed(parts)
    source_Y, target_Y = batch.owner_N[batch.edge_2Y]
    assert torch.equal(source_Y, target_Y)
    assert torch.equal(source_Y.bincount(minlength=len(parts)), batch.edges_B)


@QUICK
@given(many)
def test_each_node_has_its_owner(parts):
    owners = [b for b, part in enumerate(parts) for _ in range(len(part.kind_N))]
    assert packed(parts).owner_N.tolist() == owners


@QUICK
@given(many)
def test_sums_are_those_of_a_loop(parts):
    batch = packed(parts)
    sums_BF = torch.stack([part.x_NF.sum(0) for part in parts])
    torch.testing.assert_close(batch.sums(batch.x_NF), sums_BF)


@QUICK
@given(many, st.floats(-1e4, 1e4))
def test_sums_of_logarithms_are_stable(parts, shift):
    batch = packed(parts).double()
    value_NT = batch.x_NF * 30 + shift
    empty_T = torch.full((3,), LEAST, dtype=torch.float64)
    expected = [value_NT[part].logsumexp(0) if part.start < part.stop else empty_T for part in slices(batch)]
    torch.testing.assert_close(batch.log_sums(value_NT), torch.stack(expected), atol=1e-12, rtol=1e-12)


@QUICK
@given(many)
def test_gradients_of_sums_of_logarithms_are_shares(parts):
    """Of each network they sum to 1, also where it has a single node; one without nodes spoils nothing."""
    batch = packed(parts).double()
    value_NT = batch.x_NF.clone().requires_grad_()
    batch.log_sums(value_NT).sum().backward()
    expected = [value_NT.detach()[part].softmax(0) for part in slices(batch)]
    torch.testing.assert_close(value_NT.grad, torch.cat(expected))


@QUICK
@given(many)
def test_other_places_and_precisions_keep_everything(parts):
    batch = packed(parts)
    agree(batch.to("cpu"), batch)
    twice = batch.double()
    for field in fields(Packed):
        before, after = getattr(batch, field.name), getattr(twice, field.name)
        assert after.dtype == (torch.float64 if before.is_floating_point() else before.dtype)
        assert torch.equal(after.to(before.dtype), before)
    assert {getattr(batch.to("meta"), field.name).device.type for field in fields(Packed)} == {"meta"}
