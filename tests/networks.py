"""Networks as ONNX files, for tests."""

from __future__ import annotations

import numpy as np


def write_network(path, ndim=3, channels=(1, 2), *, sides=None, kind="FLOAT", pad=1, node=None, batch=1):
    """Write one convolution, 3 voxels wide, with random weights; return these, shape (out, in, 3, ..., 3)."""
    import onnx

    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    n_in, n_out = channels
    weights = np.random.default_rng(0).normal(size=(n_out, n_in or 1, *[3] * ndim)).astype(np.float32)
    sides = list(sides or [f"side{axis}" for axis in range(ndim)])
    data_type = getattr(onnx.TensorProto, kind)
    given_input = helper.make_tensor_value_info("image", data_type, [batch, n_in or "c", *sides])
    output = helper.make_tensor_value_info("maps", onnx.TensorProto.FLOAT, None)
    cast = helper.make_node("Cast", ["image"], ["cast"], to=onnx.TensorProto.FLOAT)
    convolve = node or helper.make_node("Conv", ["cast", "weights"], ["maps"], pads=[pad] * 2 * ndim)
    graph = helper.make_graph(
        [cast, convolve], "network", [given_input], [output], [numpy_helper.from_array(weights, "weights")]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return weights
