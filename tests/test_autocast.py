"""Mixed precision of PyTorch: the library computes in the dtype of its input all the same."""

import pytest

from tests.cases import CASES, leaves, problems

pytestmark = pytest.mark.backend("torch")


@pytest.mark.parametrize("row", CASES)
def test_autocast_changes_nothing(xp, row):
    """A product of float32 rows in bfloat16 would choose other clusters."""
    import torch

    x = torch.asarray(problems()[0], dtype=torch.float32, requires_grad=True)
    plain = leaves(CASES[row](x))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = leaves(CASES[row](x))
    for ours, expected in zip(cast, plain, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-6, equal_nan=True)
