import pytest
import torch

from narformer.models.precision import Linear, dropout, relu_dropout


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_keeps_the_mean_and_the_share(rate, dtype):
    torch.manual_seed(0)
    out = dropout(torch.ones(200, 999, dtype=dtype), rate, training=True).float()
    dropped = (out == 0).float().mean()
    assert float(dropped) == pytest.approx(round(256 * rate) / 256, abs=0.004)
    assert float(out.mean()) == pytest.approx(1, abs=0.01)
    assert len(out.unique()) == 2


def test_dropout_is_nothing_without_training_or_rate():
    x = torch.randn(4, 5)
    assert dropout(x, 0.5, training=False) is x
    assert dropout(x, 0.0, training=True) is x


def test_dropout_lets_the_gradient_through_what_it_keeps():
    torch.manual_seed(0)
    x = torch.ones(1000, requires_grad=True)
    out = dropout(x, 0.25, training=True)
    out.sum().backward()
    torch.testing.assert_close(x.grad, out.detach())


def test_linear_follows_its_input():
    layer = Linear(3, 2)
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        assert layer(torch.ones(4, 3, dtype=dtype)).dtype == dtype
    assert layer.weight.dtype == torch.float32


def test_relu_and_dropout_in_one():
    """Kept and positive: scaled, and so is the gradient; all else is nothing."""
    torch.manual_seed(0)
    x = torch.randn(5000, requires_grad=True)
    out = relu_dropout(x, 0.25, training=True)
    assert ((out == 0) | ((out - x / 0.75).abs() < 1e-5)).all()
    assert not out[x < 0].any()
    assert float((out[x > 0] == 0).float().mean()) == pytest.approx(0.25, abs=0.03)
    out.sum().backward()
    torch.testing.assert_close(x.grad, (out > 0) / 0.75)
    assert torch.equal(relu_dropout(x, 0.25, training=False), x.relu())
